package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/gguf"
	"peregrine/model/quantize"
)

// sentences writes a text and returns its path.
func sentences(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("seven birds of prey and a falcon. ", n)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// small makes a dense model with a tokenizer, whose shapes GPTQ can hold.
func small(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "small")
	succeed(t, "", "bench", "--synthetic", "tiny-falcon", "--format", "f16", "--write", dir)
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	backendtest.WriteGGUF(t, path, tinyLlama(), tinyLlamaTensors())
	c, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	files, err := filesOfGGUF(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestQuantizeRefusesBeforeOpening(t *testing.T) {
	home(t)
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free, link, dangling := filepath.Join(t.TempDir(), "new"), filepath.Join(t.TempDir(), "link"), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(t.TempDir(), link), os.Symlink(free, dangling)); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--bits is 5":            {"--bits", "5", "--out", free},
		"--group-size is 100":    {"--group-size", "100", "--out", free},
		"--group-size is 0":      {"--group-size", "0", "--out", free},
		`--method is "awq"`:      {"--method", "awq", "--out", free},
		"leave --act-order":      {"--method", "rtn", "--act-order", "--out", free},
		"--damp is 0":            {"--damp", "0", "--out", free},
		"--samples is 0":         {"--samples", "0", "--out", free},
		"and --length 1":         {"--length", "1", "--out", free},
		`is not empty ("mine")`:  {"--out", taken},
		"no GPTQ checkpoint":     {"--out", taken, "--force"},
		`required flag(s) "out"`: {},
		"name a new folder":      {"--out", "."},
		"is a mount point":       {"--out", "/proc"},
		link + " is a symbolic":  {"--out", link},
		dangling + " is a symb":  {"--out", dangling},
	} {
		code, _, errs := program(t, "", append([]string{"quantize", "/no/such/model"}, args...)...)
		if code != ExitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %q; want 2 and %q", args, code, errs, want)
		}
	}
}

// A folder that quantize made is a model for every other command, and has what its source had beside the weights.
func TestQuantizeMakesAModel(t *testing.T) {
	home(t)
	source, out := small(t), filepath.Join(t.TempDir(), "out")
	code, stdout, errs := program(t, "", "quantize", source, "--bits", "3", "--group-size", "32", "--act-order", "--sym=false",
		"--text", sentences(t, 40), "--samples", "4", "--length", "16", "--out", out)
	if code != ExitOK || strings.TrimSpace(stdout) != out {
		t.Fatalf("exit code %d, %q, %q", code, stdout, errs)
	}
	for _, want := range []string{"layer 1/2  transformer.h.0.self_attention.query_key_value  loss ", "left", "writing ", "8 matrices in"} {
		if !strings.Contains(errs, want) {
			t.Errorf("standard error lacks %q: %s", want, errs)
		}
	}
	c, err := model.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if want := "GPTQ 3 bit, group 32, act-order, asymmetric"; c.Quantization != want {
		t.Errorf("quantisation %q, want %q", c.Quantization, want)
	}
	for _, name := range []string{"tokenizer.json", "quantize_config.json", "quantize_log.csv", "model.safetensors.index.json", "gptq_model-3bit-32g.safetensors"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(out + ".part"); err == nil {
		t.Error("the working folder is still there")
	}
	if got := succeed(t, "", "inspect", out); !strings.Contains(got, "GPTQ 3 bit") {
		t.Errorf("inspect says %s", got)
	}
	code, _, errs = program(t, "", "quantize", out, "--out", out+"2", "--text", sentences(t, 40), "--samples", "4", "--length", "16")
	if code != ExitError || !strings.Contains(errs, "quantised by GPTQ already") {
		t.Errorf("a GPTQ source: exit code %d, %s", code, errs)
	}
}

// A text that is too short is refused with what there is and what is needed, and nothing is written.
func TestQuantizeSaysHowLongATextMustBe(t *testing.T) {
	home(t)
	out := filepath.Join(t.TempDir(), "out")
	code, _, errs := program(t, "", "quantize", small(t), "--text", sentences(t, 1), "--samples", "64", "--length", "16", "--out", out)
	if code != ExitError || !strings.Contains(errs, "64 sequences of 16 need 1024") || !strings.Contains(errs, "fewer --samples") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if _, err := os.Stat(out + ".part"); err == nil {
		t.Error("a working folder was made")
	}
}

// stopper cancels after some lines, as ctrl+c would.
type stopper struct {
	bytes.Buffer
	lines int
	stop  func()
}

func (s *stopper) Write(p []byte) (int, error) {
	if s.lines -= bytes.Count(p, []byte("\n")); s.lines <= 0 {
		s.stop()
	}
	return s.Buffer.Write(p)
}

// Stopped in the second layer, the same call goes on with it; other options are refused, and --force throws the rest away.
func TestQuantizeGoesOn(t *testing.T) {
	home(t)
	source, text, out := small(t), sentences(t, 40), filepath.Join(t.TempDir(), "out")
	call := []string{"quantize", source, "--text", text, "--samples", "4", "--length", "16", "--out", out}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &stopper{lines: 6, stop: cancel}
	if code := run(ctx, call, streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: errs}); code != ExitInterrupted {
		t.Fatalf("exit code %d, %s", code, errs)
	}
	if !strings.Contains(errs.String(), "the same call goes on from here") {
		t.Errorf("said %s", errs)
	}
	code, _, said := program(t, "", append(call, "--bits", "8")...)
	if want := `bits is "4" there and "8" here; finish it with its own options, or throw it away with --force`; code != ExitError || !strings.Contains(said, want) {
		t.Errorf("other options: exit code %d, %s", code, said)
	}
	code, _, said = program(t, "", call...)
	if code != ExitOK || !strings.Contains(said, "1 of 2 layers are done already") || strings.Contains(said, "layer 1/2") {
		t.Errorf("again: exit code %d, %s", code, said)
	}
	if code, _, said := program(t, "", append(call, "--force", "--bits", "8")...); code != ExitOK {
		t.Errorf("--force: exit code %d, %s", code, said)
	}
	above := filepath.Dir(source) // made to look like a checkpoint, which --force may replace
	if err := os.WriteFile(filepath.Join(above, "quantize_config.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"which is read": {out, "--force", "--out", out}, "is not empty": {source, "--out", out},
		"holds model.safetensors, which is read": append(call[1:], "--force", "--out", above),
	} {
		if code, _, said := program(t, "", append([]string{"quantize"}, args...)...); code == ExitOK || !strings.Contains(said, want) {
			t.Errorf("%v: exit code %d, %s; want %q", args, code, said, want)
		}
	}
	if c, err := model.Open(out); err != nil || c.Quantization != "GPTQ 8 bit, no group" {
		t.Errorf("after --force: %v", err)
	}
}

// A GGUF file becomes a folder whose configuration and tokenizer say the same.
func TestQuantizeOfGGUF(t *testing.T) {
	home(t)
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	backendtest.WriteGGUF(t, path, tinyLlama(), tinyLlamaTensors())
	out := filepath.Join(t.TempDir(), "out")
	succeed(t, "", "quantize", path, "--bits", "8", "--group-size", "32", "--text", sentences(t, 40), "--samples", "4", "--length", "16", "--out", out)
	a, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	b, err := model.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	a.Config.Tied, b.Config.Tied = false, false // the folder holds a copy of the head
	if x, y := a.Config, b.Config; x.Hidden != y.Hidden || x.Rope.Base != y.Rope.Base || x.NormEps != y.NormEps || x.BOS != y.BOS || x.KVHeads != y.KVHeads {
		t.Errorf("got %+v, want %+v", y, x)
	}
	ask := `["seven birds, 12 falcons"]`
	if got, want := succeed(t, ask, "debug", "tokenize", out), succeed(t, ask, "debug", "tokenize", path); got != want {
		t.Errorf("tokens %s, want %s", got, want)
	}
	if got, want := succeed(t, `{"messages":[{"role":"user","content":"Hi"}]}`, "debug", "render", out), "[Hi]"; got != want {
		t.Errorf("rendered %q, want %q", got, want)
	}
	x, y := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "y")
	succeed(t, "", "debug", "logits", path, "--ids", "1,2,3,40", "--out", x)
	succeed(t, "", "debug", "logits", out, "--ids", "1,2,3,40", "--out", y)
	want, got := floats(t, x, "logits", 4, tinyVocab), floats(t, y, "logits", 4, tinyVocab)
	var off, all float64
	for i := range want {
		d := float64(got[i] - want[i])
		off, all = off+d*d, all+float64(want[i])*float64(want[i])
	}
	if off > 1e-3*all {
		t.Errorf("the logits moved by %.3g of their squares", off/all)
	}
}

// A SentencePiece vocabulary becomes a tokenizer.json too.
func TestQuantizeOfSentencePieceGGUF(t *testing.T) {
	home(t)
	m := tinyLlama()
	tokens, types, scores := []string{"<unk>", "<s>", "</s>", "<0x2C>"}, []int32{2, 3, 3, 6}, []float32{0, 0, 0, 0}
	for i, piece := range strings.Fields("▁s ev en ev▁ ▁b ir ds ▁sev ▁seven bir birds ▁birds ▁ s e v n b i r d o f p y a l c . 1 2") {
		tokens, types, scores = append(tokens, piece), append(types, 1), append(scores, -float32(i))
	}
	delete(m, "tokenizer.ggml.merges")
	m["tokenizer.ggml.model"], m["tokenizer.ggml.tokens"], m["tokenizer.ggml.token_type"] = "llama", tokens, types
	m["tokenizer.ggml.scores"], m["tokenizer.ggml.bos_token_id"], m["tokenizer.ggml.eos_token_id"] = scores, uint32(1), uint32(2)
	path, out := filepath.Join(t.TempDir(), "tiny.gguf"), filepath.Join(t.TempDir(), "out")
	backendtest.WriteGGUF(t, path, m, tinyLlamaTensors())
	succeed(t, "", "quantize", path, "--bits", "8", "--group-size", "32", "--text", sentences(t, 40), "--samples", "4", "--length", "16", "--out", out)
	ask := `["seven birds, 12 falcons", " </s>x"]`
	got, want := succeed(t, ask, "debug", "tokenize", out, "--special"), succeed(t, ask, "debug", "tokenize", path, "--special")
	if got != want || !strings.Contains(want, "12") { // ▁seven
		t.Errorf("tokens %s, want %s", got, want)
	}
}

// The program's own text is long enough for what the options ask for by default.
func TestOwnCalibrationTextIsLongEnough(t *testing.T) {
	path := backendtest.OpenDefault(t).Path
	text, err := json.Marshal([]string{quantize.CalibrationText})
	if err != nil {
		t.Fatal(err)
	}
	var ids [][]int32
	if err := json.Unmarshal([]byte(succeed(t, string(text), "debug", "tokenize", path)), &ids); err != nil {
		t.Fatal(err)
	}
	if n := len(ids[0]); n < 64*256 || n < 21000 || n > 23000 {
		t.Errorf("the text has %d tokens; the help says some 22 000", n)
	}
}

const tinyVocab = 258

// tinyLlama is the metadata of a model with a vocabulary of single bytes.
func tinyLlama() map[string]any {
	tokens, types := []string{"<s>", "</s>"}, []int32{3, 3}
	next := rune(256)
	for b := range 256 {
		s := string(rune(b))
		switch {
		case b >= '!' && b <= '~', b >= 0xA1 && b <= 0xAC, b >= 0xAE:
		default:
			s = string(next)
			next++
		}
		tokens, types = append(tokens, s), append(types, 1)
	}
	return map[string]any{
		"general.architecture": "llama", "llama.block_count": uint32(2), "llama.context_length": uint32(64),
		"llama.embedding_length": uint32(64), "llama.feed_forward_length": uint32(96), "llama.attention.head_count": uint32(4),
		"llama.attention.head_count_kv": uint32(2), "llama.attention.layer_norm_rms_epsilon": float32(1e-5), "llama.rope.freq_base": float32(5000),
		"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
		"tokenizer.ggml.merges": []string{}, "tokenizer.ggml.bos_token_id": uint32(0), "tokenizer.ggml.eos_token_id": uint32(1),
		"tokenizer.chat_template": "{% for m in messages %}[{{ m['content'] }}]{% endfor %}",
	}
}

func tinyLlamaTensors() []gguf.Tensor {
	var list []gguf.Tensor
	seed := uint32(1)
	add := func(name string, scale float32, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data := make([]byte, 0, 4*n)
		for range n {
			seed = seed*1664525 + 1013904223
			v := scale * (float32(seed>>8)/(1<<23) - 1)
			if len(shape) == 1 {
				v = 1 + v/4
			}
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		list = append(list, gguf.Tensor{Name: name, Type: gguf.F32, Shape: shape, Data: data})
	}
	add("token_embd.weight", 1, tinyVocab, 64)
	add("output_norm.weight", 1, 64)
	for _, at := range []string{"blk.0.", "blk.1."} {
		add(at+"attn_norm.weight", 1, 64)
		add(at+"ffn_norm.weight", 1, 64)
		add(at+"attn_q.weight", 0.2, 64, 64)
		add(at+"attn_k.weight", 0.2, 32, 64)
		add(at+"attn_v.weight", 0.2, 32, 64)
		add(at+"attn_output.weight", 0.2, 64, 64)
		add(at+"ffn_gate.weight", 0.2, 96, 64)
		add(at+"ffn_up.weight", 0.2, 96, 64)
		add(at+"ffn_down.weight", 0.2, 64, 96)
	}
	return list
}

package quantize_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/quantize"
	"peregrine/model/synthetic"
)

// resumed are the options of the tests that stop and go on.
var resumed = quantize.Options{Bits: 4, GroupSize: 32, ActOrder: true, Symmetric: true}

// TestMain lets the test program be the process that TestResumeAfterAKill kills.
func TestMain(m *testing.M) {
	dir := os.Getenv("PEREGRINE_TEST_QUANTIZE")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := child(dir); err != nil {
		println(err.Error())
		os.Exit(1)
	}
}

// child quantises and says so module by module.
func child(dir string) error {
	for _, s := range shapes {
		if s.Name != "falcon-40b" {
			continue
		}
		c, err := synthetic.Open(s, dense)
		if err != nil {
			return err
		}
		j := job(c, dir+".part", resumed)
		j.Observe = func(p quantize.Progress) { fmt.Println(p.Module) }
		return finish(c, j, dir)
	}
	return nil
}

// finish runs a job and writes the checkpoint.
func finish(c *model.Checkpoint, j quantize.Job, out string) error {
	r, err := quantize.Run(context.Background(), j)
	if err != nil {
		return err
	}
	config, err := c.ConfigJSON()
	if err != nil {
		return errors.Join(err, r.Close())
	}
	err = r.Write(context.Background(), out, j, quantize.Checkpoint{Params: c.Params, Config: config}, nil)
	return errors.Join(err, r.Close())
}

// TestResumeAfterAKill kills the process after one module, two, three … of what is left, until it comes to its end.
func TestResumeAfterAKill(t *testing.T) {
	dir := t.TempDir()
	c := open(t, "falcon-40b")
	whole, cut := filepath.Join(dir, "whole"), filepath.Join(dir, "cut")
	write(t, c, job(c, whole+".part", resumed), whole)
	for kills := 0; ; kills++ {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Stderr = os.Stderr
		process.Env = append(os.Environ(), "PEREGRINE_TEST_QUANTIZE="+cut)
		out, err := process.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n <= kills && lines.Scan(); n++ {
			continue
		}
		_ = process.Process.Kill() // it may have ended
		if err := process.Wait(); err == nil {
			break
		} else if !strings.Contains(err.Error(), "killed") {
			t.Fatalf("got %v, want a kill", err)
		}
		if _, err := os.Stat(cut); err == nil {
			break // killed between giving the folder its name and the end
		}
		if kills > 40 {
			t.Fatal("the work does not get on")
		}
	}
	same(t, whole, cut)
}

// TestDamagedStateIsMadeAnew: torn and foreign files are found by their hash and never taken over.
func TestDamagedStateIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	c := open(t, "falcon-40b")
	whole := filepath.Join(dir, "whole")
	write(t, c, job(c, whole+".part", resumed), whole)
	flip := func(at int) func(b []byte) []byte {
		return func(b []byte) []byte { b[len(b)-at] ^= 1; return b }
	}
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	empty := func([]byte) []byte { return nil }
	for name, damage := range map[string]map[string]func([]byte) []byte{
		"a layer with another bit": {"layer-0001.safetensors": flip(9)},
		"a torn layer":             {"layer-0001.safetensors": cut},
		"an empty layer":           {"layer-0000.safetensors": empty},
		"torn activations":         {"layer-0002.safetensors": empty, "hidden-0002.safetensors": cut},
		"activations with a bit":   {"layer-0002.safetensors": empty, "hidden-0002.safetensors": flip(5)},
		"all activations torn":     {"layer-0002.safetensors": empty, "hidden-0002.safetensors": cut, "hidden-0001.safetensors": cut},
		"a half finished folder":   {"checkpoint/config.json": nil},
		"the head of a layer bent": {"layer-0002.safetensors": func(b []byte) []byte { b[20] ^= 1; return b }},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			j := job(c, out+".part", resumed)
			r, err := quantize.Run(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			for file, change := range damage {
				path := filepath.Join(j.Dir, file)
				if change == nil {
					if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("{"), 0o600)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				b, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(path, change(b), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			write(t, c, j, out)
			same(t, whole, out)
		})
	}
}

// TestForeignStateIsRefused, and stays.
func TestForeignStateIsRefused(t *testing.T) {
	c := open(t, "smollm2")
	dir := filepath.Join(t.TempDir(), "work")
	first := job(c, dir, resumed)
	first.Facts = map[string]string{"source": "one"}
	r, err := quantize.Run(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := quantize.Run(t.Context(), first); err == nil || !strings.Contains(err.Error(), "another process works there") {
		t.Errorf("while the folder is in use: got %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(j *quantize.Job){
		`bits is "4" there and "3" here`:             func(j *quantize.Job) { j.Options.Bits = 3 },
		`source is "one" there and "two" here`:       func(j *quantize.Job) { j.Facts = map[string]string{"source": "two"} },
		`act-order is "true" there and "false" here`: func(j *quantize.Job) { j.Options.ActOrder = false },
		`method is "gptq" there and "rtn" here`:      func(j *quantize.Job) { j.Nearest = true },
		`calibration tokens is`:                      func(j *quantize.Job) { j.Windows = j.Windows[1:] },
		`group size is "32" there and "64" here`:     func(j *quantize.Job) { j.Options.GroupSize = 64 },
		`damping is "0.01" there and "0.05" here`:    func(j *quantize.Job) { j.Options.Damping = 0.05 },
		`symmetric is "true" there and "false" here`: func(j *quantize.Job) { j.Options.Symmetric = false },
		`storable is "true" there`:                   func(j *quantize.Job) { j.Options.Storable = false },
		`static groups is "false" there`:             func(j *quantize.Job) { j.Options.StaticGroups = true },
		`norm epsilon is "1e-05" there`:              func(j *quantize.Job) { j.Params = otherConfig(j.Params, func(c *model.Config) { c.NormEps = 1e-6 }) },
		`rope {Base:100000 `:                         func(j *quantize.Job) { j.Params = otherConfig(j.Params, func(c *model.Config) { c.Rope.Base = 1e4 }) },
		`heads 10/2 of 16, ffn`: func(j *quantize.Job) {
			j.Params = otherConfig(j.Params, func(c *model.Config) { c.Heads, c.HeadDim = 5, 32 })
		},
	} {
		j := first
		change(&j)
		if _, err := quantize.Run(t.Context(), j); !errors.Is(err, quantize.ErrForeign) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ErrForeign with %q", err, want)
		}
	}
}

// otherConfig returns the same weights with another config.json beside them.
func otherConfig(p *model.Params, change func(c *model.Config)) *model.Params {
	other := *p
	change(&other.Config)
	return &other
}

// TestRunLeavesOtherFoldersAlone: a folder that Run takes is removed in the end, so that it must be its own. That of somebody
// else is not ErrForeign either, for which a caller might remove it.
func TestRunLeavesOtherFoldersAlone(t *testing.T) {
	c := open(t, "smollm2")
	for name, want := range map[string]string{"mine": `holds "mine" and no unfinished work`, "state.json": "was not written by this program"} {
		for _, text := range []string{"{", `{"a":"b"}`} {
			j := job(c, t.TempDir(), resumed)
			path := filepath.Join(j.Dir, name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := finish(c, j, filepath.Join(t.TempDir(), "out")); err == nil || errors.Is(err, quantize.ErrForeign) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: got %v, want an error with %q that is not ErrForeign", name, text, err, want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("%s is %q now (%v)", name, got, err)
			}
		}
	}
	j := job(c, t.TempDir(), resumed) // killed before the state file was whole
	for _, name := range []string{"lock", ".state.json.123"} {
		if err := os.WriteFile(filepath.Join(j.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(t, c, j, filepath.Join(t.TempDir(), "out"))
}

// TestResumeAfterEveryStop: cancelled after each module in turn, and gone on with, the result has the same bits.
func TestResumeAfterEveryStop(t *testing.T) {
	c := open(t, "falcon-40b")
	o := resumed
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	write(t, c, job(c, filepath.Join(dir, "whole.part"), o), whole)
	j := job(c, filepath.Join(dir, "cut.part"), o)
	stops, seen := 0, 0
	for {
		ctx, cancel := context.WithCancel(context.Background())
		seen = 0
		j.Observe = func(p quantize.Progress) {
			if p.Module != "" {
				seen++
			}
			if seen == 3 { // never a whole layer of four, so that most of them begin again
				cancel()
			}
		}
		if stops%3 == 2 {
			j.Observe = func(p quantize.Progress) {
				if p.Module != "" {
					seen++
				}
				if seen == 5 {
					cancel()
				}
			}
		}
		r, err := quantize.Run(ctx, j)
		cancel()
		if err == nil {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 20 {
			t.Fatal("the work does not get on")
		}
	}
	if stops < 2 {
		t.Fatalf("stopped %d times", stops)
	}
	j.Observe = nil
	write(t, c, j, filepath.Join(dir, "cut"))
	same(t, whole, filepath.Join(dir, "cut"))
}

// TestRunRemovesWhatKillsLeft: half written files would add up from kill to kill.
func TestRunRemovesWhatKillsLeft(t *testing.T) {
	c := open(t, "smollm2")
	j := job(c, filepath.Join(t.TempDir(), "work"), resumed)
	ctx, cancel := context.WithCancel(t.Context())
	j.Observe = func(quantize.Progress) { cancel() }
	if _, err := quantize.Run(ctx, j); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	left := []string{".layer-0000.safetensors.12", ".hidden-0001.safetensors.3", ".state.json.4"}
	for _, name := range left {
		if err := os.WriteFile(filepath.Join(j.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.Observe = nil
	r, err := quantize.Run(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for _, name := range left {
		if _, err := os.Stat(filepath.Join(j.Dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

// same compares the files of two folders, the log's times left out.
func same(t *testing.T, a, b string) {
	t.Helper()
	entries, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		x, err := os.ReadFile(filepath.Join(a, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() == "quantize_log.csv" {
			x, y = withoutTimes(x), withoutTimes(y)
		}
		if string(x) != string(y) {
			t.Errorf("%s: other bytes", e.Name())
		}
	}
}

func withoutTimes(log []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(log)) {
		b.WriteString(line[:strings.LastIndexByte(line, ',')] + "\n")
	}
	return []byte(b.String())
}

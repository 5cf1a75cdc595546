package quantize

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/quantize/product"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// Checkpoint is what a quantised model's folder holds besides the matrices of its layers.
type Checkpoint struct {
	Params *model.Params
	Config map[string]json.RawMessage // the source's config.json, by key
	Files  map[string][]byte          // further files by name, the tokenizer's above all
	// HeadCopy stores the head of a tied model once more, as AutoGPTQ does and as it wants to find it.
	HeadCopy bool
	// Replace says what to do with a folder that is there: true removes it once the new one is complete.
	Replace bool
}

// FileName is that of the weights, as AutoGPTQ chooses it, without its ending.
func (o Options) FileName() string { return fmt.Sprintf("gptq_model-%dbit-%dg", o.Bits, o.GroupSize) }

// config returns what AutoGPTQ writes into quantize_config.json.
func (o Options) config() map[string]any {
	return map[string]any{
		"bits": o.Bits, "group_size": o.GroupSize, "damp_percent": o.damping(), "desc_act": o.ActOrder, "static_groups": o.StaticGroups,
		"sym": o.Symmetric, "true_sequential": true, "model_name_or_path": nil, "model_file_base_name": o.FileName(),
		"quant_method": "gptq", "checkpoint_format": "gptq",
	}
}

// Write makes the checkpoint in the working folder, renames it to dir and removes the working folder, which ends r. Until
// then nothing is at dir that was not there before. observe is called with the bytes of the weight file; it may be nil.
func (r *Result) Write(ctx context.Context, dir string, j Job, c Checkpoint, observe func(done, total int64)) error {
	made := filepath.Join(r.state.dir, "checkpoint")
	if err := os.RemoveAll(made); err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	if err := os.Mkdir(made, 0o755); err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	names, err := r.writeWeights(ctx, made, j, c, observe)
	if err != nil {
		return err
	}
	if err := writeConfigs(made, names, j.Options, c); err != nil {
		return err
	}
	if err := writeWhole(filepath.Join(made, "quantize_log.csv"), r.log()); err != nil {
		return err
	}
	for name, text := range c.Files {
		path := filepath.Join(made, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("quantize: %w", err)
		}
		if err := writeWhole(path, text); err != nil {
			return err
		}
	}
	return r.publish(made, dir, c.Replace)
}

// publish gives the finished folder its name. What it replaces is kept aside until then.
func (r *Result) publish(made, dir string, replace bool) error {
	old := filepath.Join(r.state.dir, "replaced")
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	if replace {
		if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("quantize: %w", err)
		}
	}
	// A rename takes the place of an empty folder, and of nothing else.
	if err := os.Rename(made, dir); err != nil {
		err = fmt.Errorf("quantize: %w", err)
		if back := os.Rename(old, dir); back != nil && !errors.Is(back, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("quantize: what was there is in %s: %w", old, back))
		}
		return err
	}
	if parent, err := os.Open(filepath.Dir(dir)); err == nil {
		err = errors.Join(parent.Sync(), parent.Close())
		if err != nil {
			return fmt.Errorf("quantize: %w", err)
		}
	}
	if err := os.RemoveAll(r.state.dir); err != nil {
		return fmt.Errorf("quantize: %w", err)
	}
	return nil
}

// writeWeights writes the weight file and returns the bytes of every tensor by name.
func (r *Result) writeWeights(ctx context.Context, dir string, j Job, c Checkpoint, observe func(done, total int64)) (map[string]int, error) {
	names := c.Params.StoredNames()
	tensors := append([]tensor.View{}, r.Layers...)
	vectors, err := halfNorms(names.FinalNorm, c.Params.FinalNorm)
	if err != nil {
		return nil, err
	}
	tensors = append(tensors, vectors...)
	tensors = append(tensors, halfMatrix(names.Embed+".weight", c.Params.Embed))
	switch {
	case c.Params.Head != c.Params.Embed:
		tensors = append(tensors, halfMatrix(names.Head+".weight", c.Params.Head))
	case c.HeadCopy:
		head := tensors[len(tensors)-1]
		head.Name = names.Head + ".weight"
		tensors = append(tensors, head)
	}
	sizes, total := map[string]int{}, int64(0)
	for _, v := range tensors {
		sizes[v.Name] = len(v.Data)
		total += int64(len(v.Data))
	}
	var tell func(int64)
	if observe != nil {
		tell = func(done int64) { observe(min(done, total), total) }
	}
	path := filepath.Join(dir, j.Options.FileName()+".safetensors")
	return sizes, safetensors.WriteContext(ctx, path, tensors, map[string]string{"format": "pt"}, tell)
}

// halfMatrix returns the weights of m in float16, row by row. Its values are known to be within that type's range.
func halfMatrix(name string, m *quant.Matrix) tensor.View {
	data := make([]byte, 2*m.Out*m.In)
	inRows(m, func(first int, w []float32) {
		to := data[2*first*m.In:]
		for i, x := range w {
			binary.LittleEndian.PutUint16(to[2*i:], tensor.ToF16(x))
		}
	})
	return tensor.View{Name: name, DType: tensor.F16, Shape: []int{m.Out, m.In}, Data: data}
}

// checkHalf refuses a matrix with values that float16 does not hold.
func checkHalf(m *quant.Matrix) error {
	var bad atomic.Bool
	inRows(m, func(_ int, w []float32) {
		for _, x := range w {
			if tensor.ToF16(x)&0x7c00 == 0x7c00 {
				bad.Store(true)
			}
		}
	})
	if bad.Load() {
		return fmt.Errorf("quantize: tensor %q has values that are no numbers or beyond 65504; GPTQ checkpoints hold float16", m.Name)
	}
	return nil
}

// inRows calls f with neighbouring rows of m as float32, on all cores.
func inRows(m *quant.Matrix, f func(first int, w []float32)) {
	const rows = 64
	product.Parallel((m.Out+rows-1)/rows, func(i int) {
		lo := i * rows
		hi := min(lo+rows, m.Out)
		w := make([]float32, (hi-lo)*m.In)
		m.Dequantize(w, lo, hi)
		f(lo, w)
	})
}

// writeConfigs writes config.json, quantize_config.json, and an index under the name that transformers looks for, since it
// does not know AutoGPTQ's file names.
func writeConfigs(dir string, sizes map[string]int, o Options, c Checkpoint) error {
	config := map[string]any{}
	for key, v := range c.Config {
		config[key] = v
	}
	config["quantization_config"] = o.config()
	delete(config, "dtype") // what newer versions of transformers call torch_dtype
	config["torch_dtype"] = "float16"
	weights, total := map[string]string{}, 0
	for name, size := range sizes {
		weights[name] = o.FileName() + ".safetensors"
		total += size
	}
	for name, v := range map[string]any{
		"config.json": config, "quantize_config.json": o.config(),
		"model.safetensors.index.json": map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": weights},
	} {
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return fmt.Errorf("quantize: %s: %w", name, err)
		}
		if err := writeWhole(filepath.Join(dir, name), append(text, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// log returns the losses as comma-separated values, with the columns of GPTQModel's log.
func (r *Result) log() []byte {
	var b strings.Builder
	b.WriteString("layer,module,loss,damp,time\n")
	for _, l := range r.Losses {
		fmt.Fprintf(&b, "%d,%s,%.10g,%g,%.3f\n", l.Layer, l.Module, l.Loss, l.Damp, l.Seconds)
	}
	return []byte(b.String())
}

// copied are the files of a safetensors checkpoint that its quantised form needs too.
var copied = []string{
	"generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
	"added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
}

// maxCopied bounds a file that is copied; the largest tokenizers in use have near 35 MB.
const maxCopied = 256 << 20

// FolderFiles reads the files of a safetensors checkpoint's folder that its quantised form needs besides weights and
// configuration, by name.
func FolderFiles(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range copied {
		path := filepath.Join(dir, name)
		text, err := readCopied(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		}
		files[name] = text
	}
	more, err := fs.Glob(os.DirFS(dir), "additional_chat_templates/*.jinja")
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	for _, name := range more {
		if files[name], err = readCopied(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// readCopied reads a file that is copied.
func readCopied(path string) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: a named pipe would wait for a writer
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxCopied {
		return nil, fmt.Errorf("quantize: %s: is no file of a tokenizer (%v, %d bytes); remove it", path, info.Mode(), info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("quantize: %w", err)
	}
	return text, nil
}

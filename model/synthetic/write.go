package synthetic

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"peregrine/model/quant"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// Names of a checkpoint's configuration files.
const (
	configName   = "config.json"
	quantizeName = "quantize_config.json"
)

// Write writes the model that Open would make into dir, as AutoGPTQ or, dense, as transformers saves one: config.json,
// quantize_config.json and one safetensors file. There is no tokenizer. A dir that is not there is made, one that holds
// anything is refused, and so is one whose disk has no room. When ctx ends or something fails, what was begun is removed.
// progress may be nil; it is called with the weight file's bytes.
func Write(ctx context.Context, dir string, s Shape, o Options, progress func(done, total int64)) (bytes int64, err error) {
	return write(ctx, dir, s, o, usual, progress, freeBytes)
}

func write(ctx context.Context, dir string, s Shape, o Options, pools sizes, progress func(done, total int64),
	free func(string) (int64, error),
) (_ int64, err error) {
	w, err := build(s, o, pools)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	tensors, err := w.tensors()
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, v := range tensors {
		total += int64(len(v.Data))
	}
	remove, err := begin(dir, configName, quantizeName, w.fileName())
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	const beside = 16 << 20 // header, configuration, what the file system needs
	if have, err := free(dir); err == nil && have < total+beside {
		return 0, fmt.Errorf("synthetic: %s: %s needs %.2f GB, %.2f GB are free; choose another disk or fewer layers",
			dir, s.Name, float64(total+beside)/1e9, float64(have)/1e9)
	}
	if err := w.writeConfig(dir); err != nil {
		return 0, err
	}
	var tell func(int64)
	if progress != nil {
		tell = func(done int64) { progress(min(done, total), total) }
	}
	return total, safetensors.WriteContext(ctx, filepath.Join(dir, w.fileName()), tensors, map[string]string{"format": "pt"}, tell)
}

// begin makes dir, or makes sure that it is empty, and returns what undoes it once files of those names were begun. Nothing
// else that came into dir meanwhile is touched.
func begin(dir string, files ...string) (remove func() error, err error) {
	entries, err := os.ReadDir(dir)
	made := errors.Is(err, os.ErrNotExist)
	switch {
	case made:
		err = os.Mkdir(dir, 0o755)
	case err == nil && len(entries) > 0:
		return nil, fmt.Errorf("synthetic: %s: is not empty (%q); name a new folder", dir, entries[0].Name())
	}
	if err != nil {
		return nil, fmt.Errorf("synthetic: %w", err)
	}
	return func() error {
		var err error
		for _, name := range files {
			if e := os.Remove(filepath.Join(dir, name)); e != nil && !errors.Is(e, os.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
		if made && err == nil {
			err = os.Remove(dir)
		}
		return err
	}, nil
}

func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// fileName is that of the weights: as AutoGPTQ names them, or as everybody does.
func (w *weights) fileName() string {
	if w.options.Format != quant.GPTQFormat {
		return "model.safetensors"
	}
	return fmt.Sprintf("gptq_model-%dbit-%dg.safetensors", w.options.Bits, w.options.GroupSize)
}

func (w *weights) writeConfig(dir string) error {
	config, err := w.shape.config(w.options)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, configName), append(config, '\n'), 0o644); err != nil {
		return fmt.Errorf("synthetic: %w", err)
	}
	if w.options.Format != quant.GPTQFormat {
		return nil
	}
	config, err = json.MarshalIndent(w.options.quantizeConfig(), "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, quantizeName), append(config, '\n'), 0o644); err != nil {
		return fmt.Errorf("synthetic: %w", err)
	}
	return nil
}

var dtypes = map[quant.Format]tensor.DType{quant.F16: tensor.F16, quant.BF16: tensor.BF16, quant.F32: tensor.F32}

// tensors returns everything that the weight file holds. AutoGPTQ gives every quantised linear a bias, of zeros where the
// model has none, and stores a tied head once more.
func (w *weights) tensors() ([]tensor.View, error) {
	var list []tensor.View
	for name, v := range w.vectors {
		v.Name = name
		list = append(list, v)
	}
	widest := 0
	for _, l := range w.linears {
		widest = max(widest, l.out)
	}
	nothing := make([]byte, 2*widest) // F16 zeros
	indices := map[int][]byte{}
	for _, l := range w.linears {
		m := w.matrices[l.module]
		if m.Format == quant.GPTQFormat {
			list = append(list, w.quantised(l, m, indices)...)
			if !l.bias {
				list = append(list, tensor.View{Name: l.module + ".bias", DType: tensor.F16, Shape: []int{l.out}, Data: nothing[:2*l.out]})
			}
			continue
		}
		if dtypes[m.Format] == tensor.Invalid {
			return nil, fmt.Errorf("synthetic: safetensors files hold gptq, f16, bf16 and f32, not %v", m.Format)
		}
		v := tensor.View{Name: l.module + ".weight", DType: dtypes[m.Format], Shape: []int{l.out, l.in}, Data: m.Data}
		list = append(list, v)
		if w.shape.Tied && l.outer && w.options.Format == quant.GPTQFormat {
			v.Name = "lm_head.weight"
			list = append(list, v)
		}
	}
	return list, nil
}

// quantised returns the tensors of one GPTQ linear but its bias. indices holds the g_idx that many linears share.
func (w *weights) quantised(l linear, m *quant.Matrix, indices map[int][]byte) []tensor.View {
	g := m.GPTQ
	index := indices[l.in]
	if g.GIdx != nil || index == nil {
		index = make([]byte, 0, 4*l.in)
		for k := range l.in {
			index = binary.LittleEndian.AppendUint32(index, uint32(g.Group(k)))
		}
		if g.GIdx == nil {
			indices[l.in] = index
		}
	}
	return []tensor.View{
		{Name: l.module + ".qweight", DType: tensor.I32, Shape: []int{l.in / 32 * g.Bits, l.out}, Data: g.QWeight},
		{Name: l.module + ".qzeros", DType: tensor.I32, Shape: []int{g.Groups, l.out / 32 * g.Bits}, Data: g.QZeros},
		{Name: l.module + ".scales", DType: g.Scales.DType, Shape: g.Scales.Shape, Data: g.Scales.Data},
		{Name: l.module + ".g_idx", DType: tensor.I32, Shape: []int{l.in}, Data: index},
	}
}

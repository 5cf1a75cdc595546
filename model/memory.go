package model

import (
	"errors"
	"fmt"
	"slices"

	"peregrine/model/gptq"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// Memory is a model whose weights lie in memory instead of in files. Names, shapes and the order of rows are those of a
// safetensors checkpoint of the same architecture.
type Memory struct {
	Name     string                   // for people
	Config   []byte                   // what its config.json would hold, quantization_config included
	Matrices map[string]*quant.Matrix // by module, such as "lm_head"
	Vectors  map[string]tensor.View   // norms and biases, by tensor, such as "model.norm.weight"
	Release  func() error             // gives the memory back; called once, by Checkpoint.Close or by a failing OpenMemory; nil: nothing to do
}

// OpenMemory makes a checkpoint of m, with every check that Open makes of a folder. The matrices stay m's: they must neither
// change nor go before the checkpoint is closed. There is no tokenizer.
func OpenMemory(m Memory) (*Checkpoint, error) {
	src := memory{m, nil}
	fail := func(err error) (*Checkpoint, error) { return nil, errors.Join(err, src.close()) }
	config, err := parseFields(m.Name+": config.json", m.Config)
	if err != nil {
		return fail(err)
	}
	arch, modelType, err := architectureOf(config)
	if err != nil {
		return fail(err)
	}
	plan, err := arch.fromJSON(config, modelType)
	if err != nil {
		return fail(err)
	}
	if config.has("quantization_config") { // else ReadConfig would go on to look for files
		if src.gptq, err = gptq.ReadConfig("", config.raw); err != nil {
			return fail(fmt.Errorf("model: %s: %w", m.Name, err))
		}
	}
	return (&Checkpoint{Path: m.Name, Name: m.Name}).fill(src, plan)
}

// memory is the source of a checkpoint in memory.
type memory struct {
	Memory
	gptq *gptq.Config // nil: nothing is quantised
}

func (s memory) has(name string) bool {
	if _, ok := s.Vectors[name]; ok {
		return true
	}
	_, ok := s.stored(name)
	return ok
}

// stored returns the matrix whose weights the tensor of that name would hold.
func (s memory) stored(name string) (*quant.Matrix, bool) {
	for _, suffix := range []string{".weight", ".qweight"} {
		if n := len(name) - len(suffix); n > 0 && name[n:] == suffix {
			m, ok := s.Matrices[name[:n]]
			return m, ok && (suffix == ".qweight") == (m.Format == quant.GPTQFormat)
		}
	}
	return nil, false
}

func (s memory) matrix(module string) (*quant.Matrix, []float32, error) {
	m, ok := s.Matrices[module]
	if !ok {
		v, err := s.view(module + ".weight")
		if err != nil {
			return nil, nil, err
		}
		m, err = denseMatrix(s, v)
		return m, nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, nil, fmt.Errorf("model: %s: %w", s.Name, err)
	}
	bias, err := optionalVector(s, module+".bias")
	return m, bias, err
}

func (s memory) view(name string) (tensor.View, error) {
	v, ok := s.Vectors[name]
	if !ok {
		return v, missing(s, name)
	}
	v.Name = name
	return v, nil
}

func (s memory) where(string) string { return s.Name }

func (s memory) names() []string {
	names := make([]string, 0, len(s.Matrices)+len(s.Vectors))
	for module, m := range s.Matrices {
		names = append(names, module+weightSuffix(m))
	}
	for name := range s.Vectors {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func weightSuffix(m *quant.Matrix) string {
	if m.Format == quant.GPTQFormat {
		return ".qweight"
	}
	return ".weight"
}

// info describes a tensor for listings: a vector, or a matrix with what belongs to it.
func (s memory) info(name string) TensorInfo {
	if m, ok := s.stored(name); ok {
		return TensorInfo{name, m.Format.String(), []int{m.Out, m.In}, m.Bytes()}
	}
	v := s.Vectors[name]
	return TensorInfo{name, v.DType.String(), v.Shape, int64(len(v.Data))}
}

func (s memory) size() int64 {
	total := int64(0)
	for _, name := range s.names() {
		total += s.info(name).Bytes
	}
	return total
}

func (s memory) stamp() string { return "" }

func (s memory) close() error {
	if s.Release == nil {
		return nil
	}
	return s.Release()
}

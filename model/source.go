package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"peregrine/model/gguf"
	"peregrine/model/gptq"
	"peregrine/model/quant"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// source is a container's tensors by name, whatever the container is.
type source interface {
	// has reports whether there is a tensor of this name.
	has(name string) bool
	// matrix returns the weight of a module such as "model.layers.0.mlp.up_proj" and its bias, nil when it has none.
	matrix(module string) (*quant.Matrix, []float32, error)
	// view returns a tensor as it is stored, if its type is one that package tensor knows.
	view(name string) (tensor.View, error)
	// where names the file that holds the tensor.
	where(name string) string
	names() []string
	size() int64
	stamp() string // of the files; "": there are none
	close() error
}

// TensorInfo is one stored tensor, for listings.
type TensorInfo struct {
	Name  string
	Type  string // as the container names it, such as "BF16" or "Q4_1"
	Shape []int  // C order
	Bytes int64
}

// missing is the error for a tensor that is not there.
func missing(s source, name string) error {
	return fmt.Errorf("model: %s: tensor %q is missing; the file is incomplete, or the configuration is another model's: fetch both again",
		s.where(name), name)
}

// stFiles is a safetensors checkpoint, dense or GPTQ module by module.
type stFiles struct {
	*safetensors.File
	gptq *gptq.Config // nil: nothing is quantised
}

func (s stFiles) has(name string) bool { _, ok := s.Tensor(name); return ok }
func (s stFiles) names() []string      { return s.Names() }
func (s stFiles) size() int64          { return s.Size() }
func (s stFiles) stamp() string        { return s.Stamp() }
func (s stFiles) close() error         { return s.Close() }

func (s stFiles) where(name string) string {
	if shard := s.Shard(name); shard != "" {
		return filepath.Join(filepath.Dir(s.Path()), shard)
	}
	return s.Path()
}

func (s stFiles) view(name string) (tensor.View, error) {
	v, ok := s.Tensor(name)
	if !ok {
		return v, missing(s, name)
	}
	return v, nil
}

func (s stFiles) matrix(module string) (*quant.Matrix, []float32, error) {
	if s.has(module + ".qweight") {
		m, bias, err := gptq.Linear(s.File, module, s.gptq)
		if err != nil {
			return nil, nil, fmt.Errorf("model: %s: %w", s.where(module+".qweight"), err)
		}
		return m, dropZeros(bias), nil
	}
	if s.has(module+".qzeros") && !s.has(module+".weight") {
		return nil, nil, missing(s, module+".qweight")
	}
	v, err := s.view(module + ".weight")
	if err != nil {
		return nil, nil, err
	}
	m, err := denseMatrix(s, v)
	if err != nil {
		return nil, nil, err
	}
	bias, err := optionalVector(s, module+".bias")
	return m, bias, err
}

// denseMatrix makes a matrix of a stored tensor, sharing its memory. A vector is a matrix of one row.
func denseMatrix(s source, v tensor.View) (*quant.Matrix, error) {
	m := &quant.Matrix{Name: v.Name, Data: v.Data}
	switch v.DType {
	case tensor.F32:
		m.Format = quant.F32
	case tensor.F16:
		m.Format = quant.F16
	case tensor.BF16:
		m.Format = quant.BF16
	default:
		return nil, fmt.Errorf("model: %s: tensor %q is of type %v; weights must be F32, F16, BF16 or GPTQ", s.where(v.Name), v.Name, v.DType)
	}
	if err := setShape(m, v.Shape); err != nil {
		return nil, fmt.Errorf("model: %s: %w", s.where(m.Name), err)
	}
	return m, nil
}

func setShape(m *quant.Matrix, shape []int) error {
	if slices.Contains(shape, 0) {
		return fmt.Errorf("tensor %q has shape %v, which is empty; the file is damaged: fetch it again", m.Name, shape)
	}
	switch len(shape) {
	case 1:
		m.Out, m.In = 1, shape[0]
	case 2:
		m.Out, m.In = shape[0], shape[1]
	default:
		return fmt.Errorf("tensor %q has shape %v; want a matrix", m.Name, shape)
	}
	return m.Validate()
}

// optionalVector returns a tensor widened to float32, nil when there is none or it is all zero.
func optionalVector(s source, name string) ([]float32, error) {
	if !s.has(name) {
		return nil, nil
	}
	v, err := vector(s, name)
	return dropZeros(v), err
}

// dropZeros returns nil for a bias of zeros: AutoGPTQ gives one to every linear, and adding it changes nothing.
func dropZeros(bias []float32) []float32 {
	if slices.ContainsFunc(bias, func(x float32) bool { return x != 0 }) {
		return bias
	}
	return nil
}

func vector(s source, name string) ([]float32, error) {
	v, err := s.view(name)
	if err != nil {
		return nil, err
	}
	if len(v.Shape) != 1 {
		return nil, fmt.Errorf("model: %s: tensor %q has shape %v; want a vector", s.where(name), name, v.Shape)
	}
	x, err := v.Float32(nil)
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", s.where(name), err)
	}
	return x, nil
}

// ggufFile is a GGUF checkpoint.
type ggufFile struct{ *gguf.File }

func (s ggufFile) has(name string) bool { _, ok := s.Tensor(name); return ok }
func (s ggufFile) where(string) string  { return s.Path() }
func (s ggufFile) names() []string      { return s.Names() }
func (s ggufFile) size() int64          { return s.Size() }
func (s ggufFile) stamp() string        { return s.Stamp() }
func (s ggufFile) close() error         { return s.Close() }

func (s ggufFile) view(name string) (tensor.View, error) {
	t, ok := s.Tensor(name)
	if !ok {
		return tensor.View{}, missing(s, name)
	}
	v := tensor.View{Name: t.Name, Shape: t.Shape, Data: t.Data}
	switch t.Type {
	case gguf.F32:
		v.DType = tensor.F32
	case gguf.F16:
		v.DType = tensor.F16
	case gguf.BF16:
		v.DType = tensor.BF16
	default:
		return v, fmt.Errorf("model: %s: tensor %q is of type %v; want F32, F16 or BF16", s.Path(), name, t.Type)
	}
	return v, nil
}

func (s ggufFile) matrix(module string) (*quant.Matrix, []float32, error) {
	t, ok := s.Tensor(module + ".weight")
	if !ok {
		return nil, nil, missing(s, module+".weight")
	}
	m, err := FromGGUF(t)
	if err != nil {
		return nil, nil, fmt.Errorf("model: %s: %w", s.Path(), err)
	}
	bias, err := optionalVector(s, module+".bias")
	return m, bias, err
}

// FromGGUF makes a matrix of a GGUF tensor, sharing its memory. A vector is a matrix of one row.
func FromGGUF(t gguf.Tensor) (*quant.Matrix, error) {
	formats := map[gguf.Type]quant.Format{
		gguf.F32: quant.F32, gguf.F16: quant.F16, gguf.BF16: quant.BF16,
		gguf.Q4_0: quant.Q4_0, gguf.Q4_1: quant.Q4_1, gguf.Q5_0: quant.Q5_0, gguf.Q5_1: quant.Q5_1, gguf.Q8_0: quant.Q8_0,
		gguf.Q2_K: quant.Q2_K, gguf.Q3_K: quant.Q3_K, gguf.Q4_K: quant.Q4_K, gguf.Q5_K: quant.Q5_K, gguf.Q6_K: quant.Q6_K,
	}
	m := &quant.Matrix{Name: t.Name, Format: formats[t.Type], Data: t.Data}
	if err := setShape(m, t.Shape); err != nil {
		return nil, err
	}
	return m, nil
}

// notWeights are tensors that no module holds: the scalars of text-generation-inference's GPTQ files, and the rope factors of
// a GGUF file, which are read with its metadata.
var notWeights = []string{"gptq_bits", "gptq_groupsize", ropeFactors}

// unused returns the tensors of s that no module of used holds, sorted. The rotary tables that old Llama files carry do not
// count.
func unused(s source, used map[string]bool) []string {
	var names []string
	for _, name := range s.names() {
		module := name
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			module = name[:dot]
		}
		if !used[module] && !slices.Contains(notWeights, name) && !strings.HasSuffix(name, "rotary_emb.inv_freq") {
			names = append(names, name)
		}
	}
	return names
}

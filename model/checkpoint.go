package model

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"peregrine/model/gguf"
	"peregrine/model/gptq"
	"peregrine/model/quant"
	"peregrine/model/safetensors"
)

// Checkpoint is an opened model: what its files say, and its weights as views of them.
type Checkpoint struct {
	Path         string // the folder or file that was opened
	Name         string // for people: the folder's or file's name, or ORG/NAME from the hub's cache
	Config       Config
	Params       *Params
	Quantization string   // such as "BF16", "Q4_1 (embedding Q8_0)" or "GPTQ 4 bit, no group, act-order"
	Warnings     []string // what looks wrong and was read all the same, one line each
	Generation   GenerationConfig
	Tokenizer    TokenizerSource

	src source
}

// Open opens a model: a folder with config.json and safetensors files, dense or GPTQ; one of those files or their index; or a
// GGUF file. Nothing is read but headers and the norms, which are widened to float32. Close ends it and everything in it.
func Open(path string) (*Checkpoint, error) {
	file, err := GGUFPath(path)
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(path)
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, fmt.Errorf("model: %w", err)
	case file != "":
		return openGGUF(file)
	case info.IsDir():
		return openFolder(path, path, "")
	case strings.HasSuffix(name, ".safetensors"), strings.HasSuffix(name, ".safetensors.index.json"):
		return openFolder(path, filepath.Dir(path), path)
	case slices.ContainsFunc([]string{".bin", ".pt", ".pth", ".pkl", ".ckpt"}, func(s string) bool { return strings.HasSuffix(name, s) }):
		return nil, fmt.Errorf("model: %s: pickle files can run code and are not opened; convert the model to safetensors", path)
	}
	return nil, fmt.Errorf("model: %s: not a model; want a folder with config.json and safetensors files, a .safetensors file "+
		"beside its config.json, or a .gguf file", path)
}

// openFolder opens the checkpoint in dir; weights is its file when the caller named one.
func openFolder(path, dir, weights string) (*Checkpoint, error) {
	config, err := readFields(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("model: %s: no config.json in %s; want a folder with config.json and safetensors files, or a .gguf file", path, dir)
	}
	if err != nil {
		return nil, err
	}
	arch, modelType, err := architectureOf(config)
	if err != nil {
		return nil, err
	}
	plan, err := arch.fromJSON(config, modelType)
	if err != nil {
		return nil, err
	}
	quantized, err := gptq.ReadConfig(dir, config.raw)
	if err != nil {
		return nil, fmt.Errorf("model: %s: %w", dir, err)
	}
	if weights == "" {
		if weights, err = gptq.FindWeights(dir, quantized); err != nil {
			return nil, fmt.Errorf("model: %s: %w", dir, err)
		}
	}
	c := &Checkpoint{Path: path, Name: checkpointName(path)}
	if c.Tokenizer, err = folderTokenizer(dir); err != nil {
		return nil, err
	}
	generation, warnings, err := readGeneration(filepath.Join(dir, "generation_config.json"))
	if err != nil {
		return nil, err
	}
	c.Generation, c.Warnings = generation, warnings
	f, err := safetensors.Open(weights)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if quantized == nil {
		if quantized, err = gptq.Infer(f); err != nil {
			return nil, errors.Join(fmt.Errorf("model: %s: %w", weights, err), f.Close())
		}
	}
	if quantized != nil {
		c.Warnings = append(c.Warnings, quantized.Warnings()...)
	}
	return c.fill(stFiles{f, quantized}, plan)
}

func openGGUF(path string) (*Checkpoint, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	arch, err := architectureOfGGUF(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	src := ggufFile{f}
	plan, err := arch.fromGGUF(&metadata{src: src, arch: arch.name})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c := &Checkpoint{Path: path, Name: checkpointName(path), Tokenizer: ggufTokenizer(f)}
	return c.fill(src, plan)
}

// fill builds the parameters; on an error it closes src.
func (c *Checkpoint) fill(src source, plan blueprint) (*Checkpoint, error) {
	params, extra, err := build(src, plan)
	if _, isGGUF := src.(ggufFile); err == nil && isGGUF && len(extra) > 0 {
		// llama.cpp refuses these too: a GGUF file holds what its architecture needs and nothing else.
		err = fmt.Errorf("model: %s: tensor %q is no part of architecture %q as this program knows it; the results would be wrong",
			src.where(extra[0]), extra[0], plan.config.Architecture)
	}
	if err != nil {
		return nil, errors.Join(err, src.close())
	}
	if len(extra) > 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %d tensors are not used, %q the first", src.where(extra[0]), len(extra), extra[0]))
	}
	c.src, c.Params = src, params
	vocab := int32(params.Config.Vocab)
	outside := func(id int32) bool { return id < 0 || id >= vocab }
	for _, ids := range []*[]int32{&params.Config.EOS, &c.Generation.EOS} {
		if slices.ContainsFunc(*ids, outside) {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: eos_token_id %v is outside the vocabulary of %d; ignored", c.Path, *ids, vocab))
			*ids = slices.DeleteFunc(slices.Clone(*ids), outside)
		}
	}
	if outside(params.Config.BOS) {
		params.Config.BOS = -1
	}
	c.Config = params.Config
	c.Quantization = c.describe()
	return c, nil
}

// Close unmaps the files. Params, and every matrix of it, must not be used afterwards.
func (c *Checkpoint) Close() error {
	if err := c.src.close(); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	return nil
}

// Stamp tells the files' content from another one (tensor.Mapping); "" where the weights come from no file.
func (c *Checkpoint) Stamp() string { return c.src.stamp() }

// matrices returns every matrix of a layer.
func (l *Layer) matrices() []*quant.Matrix {
	return slices.Concat(l.QKV.W, l.AttnOut.W, l.Up.W, l.Down.W)
}

// describe names the weights' formats, the one with the most bytes first.
func (c *Checkpoint) describe() string {
	bytes := map[quant.Format]int64{}
	for i := range c.Params.Layers {
		for _, m := range c.Params.Layers[i].matrices() {
			bytes[m.Format] += m.Bytes()
		}
	}
	formats := make([]quant.Format, 0, len(bytes))
	for f := range bytes {
		formats = append(formats, f)
	}
	slices.SortFunc(formats, func(a, b quant.Format) int {
		if bytes[a] != bytes[b] {
			return int(max(-1, min(1, bytes[b]-bytes[a])))
		}
		return int(a) - int(b)
	})
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.String()
		if q := quantization(c.src); f == quant.GPTQFormat && q != nil {
			names[i] = q.String()
		}
	}
	text := strings.Join(names, " and ")
	if formats[0] == quant.GPTQFormat {
		return text
	}
	if f := c.Params.Embed.Format; f != formats[0] {
		text += fmt.Sprintf(" (embedding %v)", f)
	}
	if f := c.Params.Head.Format; f != formats[0] && !c.Config.Tied {
		text += fmt.Sprintf(" (head %v)", f)
	}
	return text
}

// quantization returns what a GPTQ checkpoint says of itself, nil for every other.
func quantization(src source) *gptq.Config {
	switch s := src.(type) {
	case stFiles:
		return s.gptq
	case memory:
		return s.gptq
	}
	return nil
}

// WeightBytes returns the bytes of weights that one decoded token reads: every layer, the norms and biases as float32, the
// head, and one row of an embedding that is not the head.
func (c *Checkpoint) WeightBytes() int64 {
	total := c.Params.Head.Bytes()
	if !c.Config.Tied {
		total += c.Params.Embed.Bytes() / int64(c.Params.Embed.Out)
	}
	floats := len(c.Params.FinalNorm.Weight) + len(c.Params.FinalNorm.Bias)
	for i := range c.Params.Layers {
		l := &c.Params.Layers[i]
		for _, m := range l.matrices() {
			total += m.Bytes()
		}
		for _, v := range [][]float32{
			l.AttnNorm.Weight, l.AttnNorm.Bias, l.MLPNorm.Weight, l.MLPNorm.Bias,
			l.QKV.Bias, l.AttnOut.Bias, l.Up.Bias, l.Down.Bias,
		} {
			floats += len(v)
		}
	}
	return total + 4*int64(floats)
}

// KVBytes returns the bytes of a KV cache for context tokens, 0 meaning MaxContext: float32 in the precise mode, float16 in
// the fast one.
func (c *Checkpoint) KVBytes(context int, p Precision) int64 {
	if context <= 0 {
		context = c.Config.MaxContext
	}
	size := 2
	if p == Precise {
		size = 4
	}
	token := c.Config.Layers * 2 * c.Config.KVHeads * c.Config.HeadDim * size
	high, low := bits.Mul64(uint64(token), uint64(context))
	if high != 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}

// Holds reports whether path is one of the files that the weights lie in.
func (c *Checkpoint) Holds(path string) bool {
	target, err := os.Stat(path)
	if err != nil {
		return false
	}
	for _, file := range c.Files() {
		if info, err := os.Stat(file); err == nil && os.SameFile(info, target) {
			return true
		}
	}
	return false
}

// FileBytes returns the size of the weight files.
func (c *Checkpoint) FileBytes() int64 { return c.src.size() }

// Tensors lists the stored tensors by name.
func (c *Checkpoint) Tensors() []TensorInfo {
	var list []TensorInfo
	for _, name := range c.src.names() {
		switch s := c.src.(type) {
		case stFiles:
			v, _ := s.Tensor(name)
			list = append(list, TensorInfo{name, v.DType.String(), v.Shape, int64(len(v.Data))})
		case ggufFile:
			t, _ := s.Tensor(name)
			list = append(list, TensorInfo{name, t.Type.String(), t.Shape, int64(len(t.Data))})
		case memory:
			list = append(list, s.info(name))
		}
	}
	return list
}

// Matrix returns any weight as it is stored, in the file's row order: by the tensor's name, or by its module's, to which
// ".weight" or a quantised module's tensors belong. A vector is a matrix of one row.
func (c *Checkpoint) Matrix(name string) (*quant.Matrix, error) {
	module := strings.TrimSuffix(strings.TrimSuffix(name, ".weight"), ".qweight")
	if c.src.has(module+".qweight") || c.src.has(module+".weight") {
		m, _, err := c.src.matrix(module)
		return m, err
	}
	switch s := c.src.(type) {
	case stFiles:
		if v, ok := s.Tensor(name); ok {
			return denseMatrix(s, v)
		}
	case ggufFile:
		if t, ok := s.Tensor(name); ok {
			m, err := FromGGUF(t)
			if err != nil {
				return nil, fmt.Errorf("model: %s: %w", s.Path(), err)
			}
			return m, nil
		}
	case memory:
		if v, ok := s.Vectors[name]; ok {
			return denseMatrix(s, v)
		}
	}
	return nil, fmt.Errorf("model: %s: no tensor %q and no module of that name; `peregrine inspect` lists them", c.Path, name)
}

// checkpointName names a model after its path: the folder, the file without its ending, or ORG/NAME in the hub's cache.
func checkpointName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if snapshots := filepath.Dir(path); filepath.Base(snapshots) == "snapshots" {
		if repo, ok := strings.CutPrefix(filepath.Base(filepath.Dir(snapshots)), "models--"); ok {
			return strings.ReplaceAll(repo, "--", "/")
		}
	}
	name := filepath.Base(path)
	for _, ending := range []string{".gguf", ".safetensors.index.json", ".safetensors"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

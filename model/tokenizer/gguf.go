package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// Vocabulary is a vocabulary as GGUF metadata holds it (keys tokenizer.ggml.*), filled in by whoever reads the file.
type Vocabulary struct {
	// Source names the file, for messages.
	Source string
	// Model is tokenizer.ggml.model; only "gpt2", byte-level BPE, can be read.
	Model string
	// Pre is tokenizer.ggml.pre: falcon, falcon3, gpt-2, llama-bpe, qwen2 or smollm.
	Pre string
	// Tokens by id: ordinary ones in byte symbols, control and user-defined ones as they stand in a text.
	Tokens []string
	// Types by id (tokenizer.ggml.token_type); nil means that all tokens are ordinary.
	Types []int32
	// Merges by rank, "left right".
	Merges []string
	// AddBOS, AddEOS and the ids below are carried for the caller, nil or negative where the file does not say: nothing is
	// ever added here. Ids must be below len(Tokens).
	AddBOS, AddEOS     *bool
	BOS, EOS, UNK, PAD int32
}

// Token types. Source: ggml-org/llama.cpp include/llama.h, llama_token_type @ c392e50.
const (
	typeUndefined   = 0
	typeNormal      = 1
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
	typeUnused      = 5
)

// spec turns the vocabulary into the form that tokenizer.json has.
func (v *Vocabulary) spec() (*spec, error) {
	if v.Model == "" && len(v.Tokens) == 0 {
		return nil, errors.New("the file holds no vocabulary; use a copy that has its tokenizer.ggml.* metadata")
	}
	if v.Model != "gpt2" {
		return nil, fmt.Errorf("tokenizer model %q is not supported (supported: gpt2, byte-level BPE)", v.Model)
	}
	p, err := presetFor(v.Pre)
	if err != nil {
		return nil, err
	}
	if len(v.Types) != 0 && len(v.Types) != len(v.Tokens) {
		return nil, fmt.Errorf("%d token types for %d tokens", len(v.Types), len(v.Tokens))
	}
	for _, id := range []struct {
		name string
		id   int32
	}{{"bos", v.BOS}, {"eos", v.EOS}, {"unknown", v.UNK}, {"padding", v.PAD}} {
		if int(id.id) >= max(len(v.Tokens), 1) {
			return nil, fmt.Errorf("%s token id %d, but there are only %d tokens", id.name, id.id, len(v.Tokens))
		}
	}
	out := &spec{tokens: v.Tokens, ignoreMerges: p.ignoreMerges, normalizers: p.normalizers, stages: p.stages}
	for i, kind := range v.Types {
		id := int32(i)
		switch kind {
		case typeUndefined, typeNormal:
		case typeUnknown, typeControl, typeUserDefined:
			out.added = append(out.added, addedToken{id: id, content: strings.Clone(v.Tokens[i]), special: kind != typeUserDefined})
		case typeUnused: // reserved, or padding up to the size of the embedding: no text
			out.mute = append(out.mute, id)
		default:
			return nil, fmt.Errorf("token %d (%.80q): type %d is not supported in a byte-level vocabulary", i, v.Tokens[i], kind)
		}
	}
	out.merges = make([]pair, len(v.Merges))
	for i, line := range v.Merges {
		if out.merges[i], err = parseMerge(i, line); err != nil {
			return nil, err
		}
	}
	return out, nil
}

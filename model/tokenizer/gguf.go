package tokenizer

import (
	"errors"
	"fmt"
)

// Vocabulary is a vocabulary as GGUF metadata holds it (keys tokenizer.ggml.*), filled in by whoever reads the file.
type Vocabulary struct {
	// Source names the file, for messages.
	Source string
	// Model is tokenizer.ggml.model: "gpt2", byte-level BPE, or "llama", SentencePiece BPE.
	Model string
	// Pre is tokenizer.ggml.pre: falcon, falcon3, gpt-2, llama-bpe, qwen2 or smollm. It says nothing about SentencePiece.
	Pre string
	// Tokens by id: ordinary ones in byte symbols, or with ▁ for a space, control and user-defined ones as they stand in a text.
	Tokens []string
	// Types by id (tokenizer.ggml.token_type); nil means that all tokens are ordinary, which SentencePiece's never are.
	Types []int32
	// Scores by id (tokenizer.ggml.scores), for SentencePiece.
	Scores []float32
	// Merges by rank, "left right", for byte level.
	Merges []string
	// AddSpacePrefix is tokenizer.ggml.add_space_prefix, for SentencePiece; nil means that a text gets a space in front.
	AddSpacePrefix *bool
	// Ids of special tokens, negative where the file does not say; below len(Tokens). Nothing is ever added here.
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
	typeByte        = 6
)

// spec turns the vocabulary into the form that tokenizer.json has.
func (v *Vocabulary) spec() (*spec, error) {
	if v.Model == "" && len(v.Tokens) == 0 {
		return nil, errors.New("the file holds no vocabulary; use a copy that has its tokenizer.ggml.* metadata")
	}
	for _, id := range []struct {
		name string
		id   int32
	}{{"bos", v.BOS}, {"eos", v.EOS}, {"unknown", v.UNK}, {"padding", v.PAD}} {
		if int(id.id) >= max(len(v.Tokens), 1) {
			return nil, fmt.Errorf("%s token id %d, but there are only %d tokens", id.name, id.id, len(v.Tokens))
		}
	}
	switch v.Model {
	case "gpt2":
		return v.byteLevel()
	case "llama":
		return v.sentencePiece()
	}
	return nil, fmt.Errorf("tokenizer model %.80q is not supported (supported: gpt2, byte-level BPE, and llama, SentencePiece BPE)", v.Model)
}

// byteLevel turns a vocabulary of byte symbols with merges into the form that tokenizer.json has.
func (v *Vocabulary) byteLevel() (*spec, error) {
	p, err := presetFor(v.Pre)
	if err != nil {
		return nil, err
	}
	if len(v.Types) != 0 && len(v.Types) != len(v.Tokens) {
		return nil, fmt.Errorf("%d token types for %d tokens", len(v.Types), len(v.Tokens))
	}
	out := &spec{tokens: v.Tokens, ignoreMerges: p.ignoreMerges, normalizers: p.normalizers, stages: p.stages}
	for i, kind := range v.Types {
		id := int32(i)
		switch kind {
		case typeUndefined, typeNormal:
		case typeUnknown, typeControl, typeUserDefined:
			out.addToken(id, kind != typeUserDefined)
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

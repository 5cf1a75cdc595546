// Package vocabulary says the vocabulary of a GGUF file in the words of transformers: tokenizer.json and tokenizer_config.json.
//
// The one idea: a byte-level vocabulary has everything that tokenizer.json wants, tokens, merges and kinds, but for the
// pre-tokenizer, of which GGUF has the name alone; the table here says what the names stand for, the same as package tokenizer
// does for its own use, and a test holds both against each other. SentencePiece's vocabularies have scores instead of merges,
// which package tokenizer derives for its own use too, and get the form of Llama 2.
package vocabulary

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"peregrine/model/tokenizer"
)

// Token types of GGUF. Source: ggml-org/llama.cpp include/llama.h, llama_token_type @ c392e50.
const (
	unknown     = 2
	control     = 3
	userDefined = 4
	unused      = 5
	singleByte  = 6
)

// object is a JSON object.
type object = map[string]any

func byteLevel(regex bool) object {
	return object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex}
}

func split(pattern string) object {
	return object{"type": "Split", "pattern": object{"Regex": pattern}, "behavior": "Isolated", "invert": false}
}

func sequence(members ...object) object { return object{"type": "Sequence", "pretokenizers": members} }

// The patterns of meta-llama/Meta-Llama-3-8B and Qwen/Qwen2-7B.
const (
	llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// kind is what a name in tokenizer.ggml.pre stands for.
type kind struct {
	normalizer   any
	preTokenizer object
	ignoreMerges bool
}

var (
	gpt2       = kind{preTokenizer: byteLevel(true)}
	llamaBPE   = kind{preTokenizer: sequence(split(llama3), byteLevel(false)), ignoreMerges: true}
	kindByName = map[string]kind{
		"gpt-2": gpt2, "gpt2": gpt2,
		"llama-bpe": llamaBPE, "llama3": llamaBPE, "llama-v3": llamaBPE, "falcon3": llamaBPE,
		"qwen2":  {normalizer: object{"type": "NFC"}, preTokenizer: sequence(split(qwen2), byteLevel(false))},
		"smollm": {preTokenizer: sequence(object{"type": "Digits", "individual_digits": true}, byteLevel(true))},
		"falcon": {preTokenizer: sequence(object{"type": "Punctuation", "behavior": "Contiguous"}, byteLevel(true),
			object{"type": "Digits", "individual_digits": false}, split(`[0-9][0-9][0-9]`))},
	}
)

// form is what tells the kinds of tokenizer.json apart.
type form struct {
	normalizer, preTokenizer, postProcessor any
	decoder                                 object
	unknown                                 any // token, or nil
	bytes, ignoreMerges                     bool
	merges                                  []string
}

// TokenizerJSON returns the tokenizer.json of v. begin is the id that every text begins with, nil if there is none. It refuses
// pre-tokenizers that it does not know.
func TokenizerJSON(v tokenizer.Vocabulary, begin *int32) ([]byte, error) {
	switch {
	case len(v.Types) != 0 && len(v.Types) != len(v.Tokens):
		return nil, fmt.Errorf("vocabulary: %s: %d token types for %d tokens; fetch the file again", v.Source, len(v.Types), len(v.Tokens))
	case begin != nil && int(*begin) >= len(v.Tokens):
		return nil, fmt.Errorf("vocabulary: %s: texts begin with token %d of %d; fetch the file again", v.Source, *begin, len(v.Tokens))
	}
	var f form
	var err error
	switch v.Model {
	case "gpt2":
		f, err = byteLevelForm(v)
	case "llama":
		f, err = piecesForm(v)
	default:
		err = fmt.Errorf("vocabulary: %s: tokenizer.json cannot be made of a vocabulary of kind %.40q; put the original's tokenizer.json "+
			"beside its safetensors files and start from those", v.Source, v.Model)
	}
	if err != nil {
		return nil, err
	}
	added := []object{}
	vocab := ordered{}
	for id, token := range v.Tokens {
		switch typeOf(v, id) {
		case unused:
			continue
		case unknown, control, userDefined:
			added = append(added, object{
				"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
				"special": typeOf(v, id) != userDefined,
			})
		}
		vocab = append(vocab, entry{token, id})
	}
	if begin != nil {
		f.postProcessor = beginWith(v.Tokens[*begin], *begin)
	}
	return encode(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": f.normalizer, "pre_tokenizer": f.preTokenizer, "post_processor": f.postProcessor, "decoder": f.decoder,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": f.unknown, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": f.unknown != nil, "byte_fallback": f.bytes, "ignore_merges": f.ignoreMerges, "vocab": vocab, "merges": f.merges,
		},
	})
}

func byteLevelForm(v tokenizer.Vocabulary) (form, error) {
	k, ok := kindByName[v.Pre]
	if !ok {
		return form{}, fmt.Errorf("vocabulary: %s: pre-tokenizer %.40q is not known; start from the safetensors checkpoint", v.Source, v.Pre)
	}
	f := form{
		normalizer: k.normalizer, preTokenizer: k.preTokenizer, postProcessor: byteLevel(true), decoder: byteLevel(true),
		ignoreMerges: k.ignoreMerges, merges: v.Merges,
	}
	if f.merges == nil {
		f.merges = []string{}
	}
	return f, nil
}

// piecesForm is that of Llama 2: ▁ stands for a space, and in front of a text if the file does not deny it.
func piecesForm(v tokenizer.Vocabulary) (form, error) {
	const blank = "▁"
	merges, err := v.PieceMerges()
	if err != nil {
		return form{}, err
	}
	f := form{merges: make([]string, 0, len(merges))}
	for _, m := range merges {
		// In a text that is merged every space has become a ▁, so that a token with a space is never made.
		if line := m[0] + " " + m[1]; strings.Count(line, " ") == 1 {
			f.merges = append(f.merges, line)
		}
	}
	for id, token := range v.Tokens {
		switch typeOf(v, id) {
		case unknown:
			f.unknown = token
		case singleByte:
			f.bytes = true
		}
	}
	spaces := object{"type": "Replace", "pattern": object{"String": " "}, "content": blank}
	steps := []object{{"type": "Replace", "pattern": object{"String": blank}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}
	f.normalizer = spaces
	if v.AddSpacePrefix == nil || *v.AddSpacePrefix {
		f.normalizer = object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": blank}, spaces}}
		steps = append(steps, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	f.decoder = object{"type": "Sequence", "decoders": steps}
	return f, nil
}

// typeOf returns the type of a token; without types all are ordinary.
func typeOf(v tokenizer.Vocabulary, id int) int32 {
	if len(v.Types) == 0 {
		return 1
	}
	return v.Types[id]
}

// beginWith puts a token in front of every text.
func beginWith(token string, id int32) object {
	special, first, second := object{"SpecialToken": object{"id": token, "type_id": 0}}, object{"Sequence": object{"id": "A", "type_id": 0}},
		object{"Sequence": object{"id": "B", "type_id": 1}}
	return object{
		"type": "TemplateProcessing", "single": []object{special, first}, "pair": []object{special, first, second},
		"special_tokens": object{token: object{"id": token, "ids": []int32{id}, "tokens": []string{token}}},
	}
}

// Config is what TokenizerConfigJSON says besides the vocabulary.
type Config struct {
	ChatTemplate string
	Named        map[string]string // further templates by name
	AddBOS       bool
	MaxLength    int
}

// TokenizerConfigJSON returns the tokenizer_config.json of v.
func TokenizerConfigJSON(v tokenizer.Vocabulary, c Config) ([]byte, error) {
	o := object{
		"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false, "add_bos_token": c.AddBOS,
		"model_max_length": c.MaxLength, "model_input_names": []string{"input_ids", "attention_mask"},
	}
	for key, id := range map[string]int32{"bos_token": v.BOS, "eos_token": v.EOS, "unk_token": v.UNK, "pad_token": v.PAD} {
		if id >= 0 && int(id) < len(v.Tokens) {
			o[key] = v.Tokens[id]
		}
	}
	switch {
	case len(c.Named) > 0:
		list := []object{}
		if c.ChatTemplate != "" {
			list = append(list, object{"name": "default", "template": c.ChatTemplate})
		}
		for _, name := range slices.Sorted(maps.Keys(c.Named)) {
			list = append(list, object{"name": name, "template": c.Named[name]})
		}
		o["chat_template"] = list
	case c.ChatTemplate != "":
		o["chat_template"] = c.ChatTemplate
	}
	return encode(o)
}

// encode writes JSON as people read it, with < and > as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("vocabulary: %w", err)
	}
	return b.Bytes(), nil
}

// ordered is a JSON object whose members keep their order.
type ordered []entry

type entry struct {
	token string
	id    int
}

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, x := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(x.token); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(x.id))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

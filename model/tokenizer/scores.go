package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxPiece bounds the characters of a token that merges are derived for; SentencePiece makes 16 unless told otherwise.
	maxPiece = 256
	// maxMerges bounds what is derived; Gemma's 256,000 tokens give 580,000.
	maxMerges = 1 << 23
)

// sentencePiece turns a vocabulary of tokens with scores into the form that tokenizer.json has. SentencePiece joins the
// neighbours whose token has the highest score, the leftmost of several. A list of merges says the same where no two scores are
// equal, as in what it trains; of tokens with one score the list makes one everywhere before the other, as transformers does.
// Source: google/sentencepiece src/bpe_model.cc; ggml-org/llama.cpp src/llama-vocab.cpp, llm_tokenizer_spm @ c392e50.
func (v *Vocabulary) sentencePiece() (*spec, error) {
	switch {
	case len(v.Scores) != len(v.Tokens):
		return nil, fmt.Errorf("%d token scores for %d tokens; without tokenizer.ggml.scores for each it cannot be told what is merged first", len(v.Scores), len(v.Tokens))
	case len(v.Types) != len(v.Tokens):
		return nil, fmt.Errorf("%d token types for %d tokens; without tokenizer.ggml.token_type for each, control tokens cannot be told from text", len(v.Types), len(v.Tokens))
	case len(v.Merges) != 0:
		return nil, fmt.Errorf("%d merges beside the scores of a SentencePiece vocabulary, want one of both", len(v.Merges))
	}
	out := &spec{tokens: v.Tokens, fuseUnk: true, normalizers: []string{kindReplace}, pieces: &pieces{}}
	if v.AddSpacePrefix == nil || *v.AddSpacePrefix {
		out.pieces.prefix, out.pieces.strip = prefixAlways, 1
	}
	plain := make([]bool, len(v.Tokens)) // tokens that merges may use
	for i, kind := range v.Types {
		id, token := int32(i), v.Tokens[i]
		switch kind {
		case typeUndefined, typeNormal:
			plain[i] = true
		case typeUnknown:
			out.unk = token
			out.addToken(id, true)
		case typeControl:
			out.addToken(id, true)
		case typeUserDefined:
			out.addToken(id, false)
		case typeUnused:
			out.mute = append(out.mute, id)
		case typeByte:
			if _, ok := byteToken(token); !ok {
				return nil, fmt.Errorf("token %d (%.80q): its type %d is that of a byte, which is written like <0x0A>", i, token, kind)
			}
			out.pieces.fallback = true
		default:
			return nil, fmt.Errorf("token %d (%.80q): type %d is not known", i, token, kind)
		}
		if plain[i] && math.IsNaN(float64(v.Scores[i])) {
			return nil, fmt.Errorf("token %d (%.80q): its score is not a number", i, token)
		}
	}
	var err error
	out.merges, err = v.deriveMerges(plain)
	return out, err
}

// PieceMerges returns the merges that stand for the scores of a SentencePiece vocabulary, by rank, as its tokenizer.json has them.
func (v *Vocabulary) PieceMerges() ([][2]string, error) {
	s, err := v.sentencePiece()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", v.Source, err)
	}
	merges := make([][2]string, len(s.merges))
	for i, m := range s.merges {
		merges[i] = [2]string{m.left, m.right}
	}
	return merges, nil
}

// addToken makes a token of the vocabulary one that is matched in the text.
func (s *spec) addToken(id int32, special bool) {
	s.added = append(s.added, addedToken{id: id, content: strings.Clone(s.tokens[id]), special: special})
}

// split is one way to cut a token in two.
type split struct {
	score       float32
	whole       int32
	at          int32 // bytes of its left part
	left, right int16 // characters of its parts, up to maxPiece
}

// deriveMerges returns every pair of plain tokens that together are one, by falling score of that one, then the longer
// left part first, then the longer right part, in characters, then by id. That is also the order of transformers' converter.
// Source: huggingface/transformers src/transformers/convert_slow_tokenizer.py, generate_merges @ v4.51.3.
func (v *Vocabulary) deriveMerges(plain []bool) ([]pair, error) {
	if len(v.Tokens) > maxTokens {
		return nil, fmt.Errorf("%d tokens, want at most %d", len(v.Tokens), maxTokens)
	}
	ids := newIndex(v.Tokens)
	for id, token := range v.Tokens {
		if plain[id] && token != "" && !ids.add(int32(id)) {
			return nil, fmt.Errorf("token %d: %q stands twice", id, token)
		}
	}
	var splits []split
	for id, token := range v.Tokens {
		if !plain[id] || token == "" {
			continue
		}
		n, left := utf8.RuneCountInString(token), 0
		if n > maxPiece {
			return nil, fmt.Errorf("token %d (%.80q): %d characters, want at most %d in a SentencePiece vocabulary", id, token, n, maxPiece)
		}
		for at := range token {
			if at == 0 {
				continue
			}
			left++
			_, okLeft := ids.find(token[:at])
			if _, okRight := ids.find(token[at:]); okLeft && okRight {
				splits = append(splits, split{v.Scores[id], int32(id), int32(at), int16(left), int16(n - left)})
			}
		}
		if len(splits) > maxMerges {
			return nil, fmt.Errorf("token %d: more than %d merges follow from the tokens", id, maxMerges)
		}
	}
	if len(splits) == 0 {
		return nil, errors.New("no token is made of two others: not a SentencePiece vocabulary that merges")
	}
	slices.SortFunc(splits, func(a, b split) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.left, a.left), cmp.Compare(b.right, a.right), cmp.Compare(a.whole, b.whole))
	})
	merges := make([]pair, len(splits))
	for i, s := range splits {
		token := v.Tokens[s.whole]
		merges[i] = pair{token[:s.at], token[s.at:]}
	}
	return merges, nil
}

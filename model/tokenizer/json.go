package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// maxFile bounds a tokenizer.json; the largest in use are near 35 MB.
const maxFile = 256 << 20

// readFile returns the text of a file without holding it twice.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%d bytes, want at most %d", info.Size(), maxFile)
	}
	var text strings.Builder
	text.Grow(int(info.Size()))
	if _, err := io.CopyN(&text, f, info.Size()); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return text.String(), nil
}

// parseJSON reads a tokenizer.json. What has no part in encoding plain text (truncation, padding) is left out on purpose.
func parseJSON(text string) (*spec, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	s := &scanner{text: text}
	out := &spec{}
	model := modelReader{spec: out}
	normalizers := []normalizer(nil)
	decoder := decoderSteps(nil)
	seen := keys{}
	err := s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "version":
			var version string
			if version, err = s.str(); err == nil && version != "1.0" {
				return s.failf("version %q, want 1.0", version)
			}
		case "added_tokens":
			err = readAdded(s, out)
		case "normalizer":
			normalizers, err = readNormalizers(s, nil)
		case "pre_tokenizer":
			out.stages, err = readStages(s, nil)
		case "decoder":
			decoder, err = readDecoders(s, nil)
		case "post_processor":
			out.begin, err = readPostProcessor(s, "")
		case "model":
			err = model.read(s)
		default:
			err = s.skip()
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err == nil {
		err = model.check(seen["model"])
	}
	if err == nil {
		err = out.resolve(normalizers, model.fallback, decoder)
	}
	if err != nil {
		return nil, err
	}
	return out, checkIDs(out)
}

// readAdded reads "added_tokens".
func readAdded(s *scanner, out *spec) error {
	if s.word("null") {
		return nil
	}
	return s.array(func(int) error {
		a := addedToken{id: -1}
		seen := keys{}
		err := s.object(func(key string) (err error) {
			if err := seen.add(s, key); err != nil {
				return err
			}
			switch key {
			case "id":
				a.id, err = readID(s)
			case "content":
				a.content, err = s.str()
				a.content = strings.Clone(a.content)
			case "single_word":
				a.singleWord, err = s.boolean()
			case "lstrip":
				a.lstrip, err = s.boolean()
			case "rstrip":
				a.rstrip, err = s.boolean()
			case "normalized":
				a.normalized, err = s.boolean()
			case "special":
				a.special, err = s.boolean()
			default:
				err = s.skip()
			}
			return err
		})
		if err == nil && a.id < 0 {
			err = s.failf("added token %q: no id", a.content)
		}
		out.added = append(out.added, a)
		return err
	})
}

// readID reads a token id.
func readID(s *scanner) (int32, error) {
	id, err := s.integer()
	if err == nil && id >= maxTokens+maxHoles {
		err = s.failf("id %d, want at most %d", id, maxTokens+maxHoles-1)
	}
	return int32(id), err
}

// modelReader reads the value of "model".
type modelReader struct {
	spec     *spec
	kind     string
	vocab    bool // "vocab" is an object
	merges   bool
	fallback bool
	prefix   string
	suffix   string
	dropout  string
}

func (m *modelReader) read(s *scanner) error {
	seen := keys{}
	return s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "type":
			m.kind, err = s.str()
		case "dropout":
			if !s.word("null") {
				m.dropout, err = s.number()
			}
		case "unk_token":
			m.spec.unk, err = s.optionalString()
			m.spec.unk = strings.Clone(m.spec.unk)
		case "continuing_subword_prefix":
			m.prefix, err = s.optionalString()
		case "end_of_word_suffix":
			m.suffix, err = s.optionalString()
		case "fuse_unk":
			m.spec.fuseUnk, err = s.boolean()
		case "byte_fallback":
			m.fallback, err = s.boolean()
		case "ignore_merges":
			m.spec.ignoreMerges, err = s.boolean()
		case "vocab":
			if m.vocab = s.next() == '{'; !m.vocab {
				return s.skip()
			}
			m.spec.tokens, err = readVocab(s)
		case "merges":
			m.merges = true
			m.spec.merges, err = readMerges(s)
		default:
			err = s.skip()
		}
		return err
	})
}

// check refuses other models than BPE.
func (m *modelReader) check(present bool) error {
	switch {
	case !present:
		return errors.New(`no "model": not a tokenizer.json`)
	case m.kind != "BPE" && (m.kind != "" || !m.merges):
		return fmt.Errorf("model type %q is not supported (supported: BPE, byte level or SentencePiece)", m.kind)
	case !m.vocab:
		return errors.New("the vocabulary is missing or not an object of tokens and ids")
	case !m.merges:
		return errors.New("the merges are missing")
	case m.prefix != "" || m.suffix != "":
		return fmt.Errorf("continuing_subword_prefix %q, end_of_word_suffix %q: not supported, want none", m.prefix, m.suffix)
	case strings.Trim(m.dropout, "0.") != "":
		return fmt.Errorf("dropout %s would make encoding random, want none", m.dropout)
	}
	return nil
}

// readVocab reads {"token": id, …} and returns the tokens by id.
func readVocab(s *scanner) ([]string, error) {
	type entry struct {
		token string
		id    int32
	}
	entries := make([]entry, 0, s.expected(16))
	last := int32(-1)
	err := s.object(func(token string) error {
		if err := s.expectTokens(len(entries)); err != nil {
			return err
		}
		id, err := readID(s)
		entries = append(entries, entry{token, id})
		last = max(last, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if int(last) >= len(entries)+maxHoles {
		return nil, fmt.Errorf("token id %d, but there are only %d tokens", last, len(entries))
	}
	tokens := make([]string, last+1)
	for _, e := range entries {
		if other := tokens[e.id]; other != "" {
			return nil, fmt.Errorf("tokens %.80q and %.80q: both have id %d", other, e.token, e.id)
		}
		tokens[e.id] = e.token
	}
	return tokens, nil
}

// expected guesses how many values of size bytes follow, so that a list need not grow from nothing.
func (s *scanner) expected(size int) int {
	return min((len(s.text)-s.pos)/size, 1<<16)
}

func (s *scanner) expectTokens(n int) error {
	if n >= maxTokens {
		return s.failf("more than %d tokens", maxTokens)
	}
	return nil
}

// readMerges reads ["a b", …] or [["a", "b"], …].
func readMerges(s *scanner) ([]pair, error) {
	merges := make([]pair, 0, s.expected(12))
	err := s.array(func(i int) error {
		if s.next() == '[' {
			var m [2]string
			n := 0
			err := s.array(func(k int) (err error) {
				if n++; k > 1 {
					return s.failf("merge %d: more than two tokens", i)
				}
				m[k], err = s.str()
				return err
			})
			if err == nil && n != 2 {
				err = s.failf("merge %d: %d tokens, want 2", i, n)
			}
			merges = append(merges, pair{m[0], m[1]})
			return err
		}
		line, err := s.str()
		if err != nil || strings.HasPrefix(line, "#version") {
			return err
		}
		m, err := parseMerge(i, line)
		merges = append(merges, m)
		return err
	})
	return merges, err
}

// parseMerge reads "a b".
func parseMerge(i int, line string) (pair, error) {
	left, right, ok := strings.Cut(line, " ")
	if !ok || strings.IndexByte(right, ' ') >= 0 {
		return pair{}, fmt.Errorf("merge %d: %.80q, want two tokens with a space between them", i, line)
	}
	return pair{left, right}, nil
}

// checkIDs refuses added tokens whose ids lie far beyond the vocabulary.
func checkIDs(s *spec) error {
	for _, a := range s.added {
		if int(a.id) >= len(s.tokens)+len(s.added)+maxHoles {
			return fmt.Errorf("added token %q: id %d, but there are only %d tokens", a.content, a.id, len(s.tokens)+len(s.added))
		}
	}
	return nil
}

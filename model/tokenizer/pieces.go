package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// blank is what SentencePiece writes for a space, U+2581.
const blank = "▁"

// The normalizers and pre-tokenizer of SentencePiece vocabularies, by their names in tokenizer.json.
const (
	kindReplace   = "Replace"
	kindPrepend   = "Prepend"
	kindMetaspace = "Metaspace"
)

// pieces says how a SentencePiece vocabulary differs from a byte-level one: its tokens are text with ▁ for a space.
type pieces struct {
	fallback bool // a character that is no token becomes the tokens <0xE6>, <0x97> … of its bytes
	prefix   prefix
	strip    int  // spaces that decoding takes away at the start of a text, at most
	first    bool // decoding takes away every ▁ of a text's first token
}

// prefix says where encoding puts a ▁ in front of a text, or of what follows an added token. An empty text never gets one.
// Source: huggingface/tokenizers src/normalizers/prepend.rs, src/pre_tokenizers/metaspace.rs @ v0.20.4.
type prefix int

const (
	prefixNone    prefix = iota
	prefixAlways         // everywhere, in front of a space too: Prepend
	prefixMissing        // everywhere but in front of a space: Metaspace, "always"
	prefixFirst          // as prefixMissing, but only where the whole text begins: Metaspace, "first"
)

// of returns what stands in front of text, which begins at byte start of the whole.
func (p prefix) of(text string, start int) string {
	switch {
	case p == prefixNone, text == "", p == prefixFirst && start > 0:
		return ""
	case p != prefixAlways && (text[0] == ' ' || strings.HasPrefix(text, blank)):
		return ""
	}
	return blank
}

// normalizer is one member of the normalizer sequence as tokenizer.json has it.
type normalizer struct {
	kind     string
	from, to string // Replace: what by what; Prepend: what, in to
	regex    bool   // Replace: from is a pattern
}

// resolve turns what a tokenizer.json says in its parts into one meaning: byte level, or SentencePiece where the model falls
// back to bytes or ▁ stands for a space.
func (s *spec) resolve(normalizers []normalizer, fallback bool, d decoderSteps) error {
	spaced := slices.ContainsFunc(s.stages, func(one stage) bool { return one.kind == kindMetaspace })
	for _, n := range normalizers {
		spaced = spaced || n.kind == kindReplace || n.kind == kindPrepend
	}
	level := slices.ContainsFunc(s.stages, func(one stage) bool { return one.kind == kindByteLevel })
	switch {
	case level && (fallback || spaced):
		return errors.New("byte_fallback, Metaspace, Replace or Prepend beside ByteLevel: it is neither a byte-level vocabulary nor a SentencePiece one")
	case level || !fallback && !spaced:
		for _, n := range normalizers {
			s.normalizers = append(s.normalizers, n.kind)
		}
		return d.checkByteLevel()
	}
	s.pieces = &pieces{fallback: fallback}
	if err := s.resolveNormalizers(normalizers); err != nil {
		return err
	}
	if err := s.resolveMetaspace(); err != nil {
		return err
	}
	if !slices.Contains(s.normalizers, kindReplace) {
		return fmt.Errorf("nothing turns a space into %q: want a Replace normalizer or a Metaspace pre-tokenizer", blank)
	}
	return d.resolve(s.pieces)
}

// resolveNormalizers keeps those that the library applies; a Prepend is put in front before it sees a text.
func (s *spec) resolveNormalizers(normalizers []normalizer) error {
	for _, n := range normalizers {
		switch {
		case n.kind == kindPrepend && n.to == blank && s.pieces.prefix == prefixNone:
			s.pieces.prefix = prefixAlways
		case n.kind == kindReplace && !n.regex && n.from == " " && n.to == blank && !slices.Contains(s.normalizers, kindReplace),
			slices.Contains(unicodeForms, n.kind):
			s.normalizers = append(s.normalizers, n.kind)
		default:
			return fmt.Errorf("normalizer %s is not supported in a SentencePiece vocabulary (supported: Prepend of %q, Replace of \" \" by %q, each once; %s)",
				n, blank, blank, strings.Join(unicodeForms, ", "))
		}
	}
	return nil
}

// String names a normalizer with what it does, for messages.
func (n normalizer) String() string {
	switch n.kind {
	case kindReplace:
		return fmt.Sprintf("Replace of %.80q by %.80q", n.from, n.to)
	case kindPrepend:
		return fmt.Sprintf("Prepend of %.80q", n.to)
	}
	return fmt.Sprintf("%.80q", n.kind)
}

// resolveMetaspace takes the Metaspace pre-tokenizer apart: its ▁ in front is put there before the library sees a text, its
// replacing is a normalizer, and its splitting, where it splits, a Split.
func (s *spec) resolveMetaspace() error {
	at := slices.IndexFunc(s.stages, func(one stage) bool { return one.kind == kindMetaspace })
	if at < 0 {
		return nil
	}
	m := s.stages[at]
	switch {
	case at > 0:
		return fmt.Errorf("pre-tokenizer Metaspace behind %s is not supported, want it first", s.stages[at-1].kind)
	case m.replacement != blank:
		return fmt.Errorf("pre-tokenizer Metaspace: replacement %.80q, want %q", m.replacement, blank)
	}
	for _, form := range s.normalizers { // they make spaces of other characters, which decides about the ▁ in front
		if m.scheme != prefixNone && (form == "NFKC" || form == "NFKD") {
			return fmt.Errorf("normalizer %s before a Metaspace that prepends %q is not supported", form, blank)
		}
	}
	if m.scheme != prefixNone {
		if s.pieces.prefix != prefixNone {
			return fmt.Errorf("both a Prepend normalizer and a Metaspace pre-tokenizer put %q in front, want one", blank)
		}
		s.pieces.prefix = m.scheme
	}
	if !slices.Contains(s.normalizers, kindReplace) {
		s.normalizers = append(s.normalizers, kindReplace)
	}
	rest := s.stages[1:]
	if m.split {
		rest = append([]stage{{kind: kindSplit, behavior: "MergedWithNext", pattern: blank, literal: true}}, rest...)
	}
	s.stages = rest
	return nil
}

// wordStage splits before each word, so that the library can merge and remember words instead of whole texts. It changes
// no id where no token continues behind the end of a word.
var wordStage = stage{kind: kindSplit, behavior: isolated, pattern: blank + `+[^` + blank + `]*|[^` + blank + `]+`}

// byWords adds wordStage where that changes nothing.
func (s *spec) byWords(where *seams) {
	if len(s.stages) == 0 && !s.ignoreMerges && where.clean[' '] {
		s.stages = []stage{wordStage}
	}
}

// seamMarks are characters before which a long text may be cut.
const seamMarks = " \n、。，：；？！"

// seams says before which of seamMarks no token reaches: a text that is cut there, behind another character, has the same ids.
type seams struct {
	clean map[rune]bool
	ascii bool // behind ASCII only: normalizing makes spaces of other characters
}

// newSeams looks through the tokens of a SentencePiece vocabulary.
func newSeams(s *spec) *seams {
	where := &seams{clean: make(map[rune]bool, len(seamMarks))}
	forms := len(s.normalizers) > 1
	where.ascii = slices.Contains(s.normalizers, "NFKC") || slices.Contains(s.normalizers, "NFKD")
	single := make(map[rune]bool, len(seamMarks))
	bytes := 0
	for _, r := range seamMarks {
		where.clean[r] = !forms || r == ' ' || r == '\n' // a Unicode form may make one out of another
	}
	for _, token := range s.tokens {
		if b, ok := byteToken(token); ok && token == byteTokens[b] {
			bytes++
		}
		before := rune(-1)
		for _, r := range strings.ReplaceAll(token, blank, " ") {
			if before >= 0 && before != r && where.clean[r] {
				where.clean[r] = false
			}
			single[r] = single[r] || token == string(r) || r == ' ' && token == blank
			before = r
		}
	}
	for r, clean := range where.clean { // what is no token must at least not become one with an unknown character before it
		where.clean[r] = clean && (single[r] || r != ' ' && s.pieces.fallback && bytes == len(byteTokens))
	}
	return where
}

// at says whether text can be cut before its byte i > 0.
func (s *seams) at(text string, i int) bool {
	r, _ := utf8.DecodeRuneInString(text[i:])
	if !s.clean[r] || s.ascii && text[i-1] >= utf8.RuneSelf {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	return before != r && (r != ' ' || before != '▁')
}

// byteTokens are the tokens of all bytes, as a model that falls back to bytes looks for them.
var byteTokens = makeByteTokens()

func makeByteTokens() (all [256]string) {
	for b := range all {
		all[b] = fmt.Sprintf("<0x%02X>", b)
	}
	return all
}

// byteToken returns the byte that a token such as <0x0A> stands for.
func byteToken(token string) (b byte, ok bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	n, err := strconv.ParseUint(token[3:5], 16, 8)
	return byte(n), err == nil
}

package tokenizer

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

const (
	// chunkSize is how much text the library gets at once: it needs some 300 bytes of memory for one byte of text, and is
	// fastest near this size.
	chunkSize = 16 << 10
	// maxWord bounds that where no place to cut is found nearer. A run of letters (or of digits, or of marks) that is longer
	// is cut somewhere: its ids still give back the same text, but may be others than those of the whole run.
	maxWord = 64 << 10
	// maxSlow bounds it for unknown patterns that may take quadratic time.
	maxSlow = 8 << 10
)

// cutter finds places at which a text can be cut so that the parts give the same ids as the whole.
//
// Such a place lies behind a letter and before white space, a digit or punctuation. The patterns in wordPatterns take runs of
// letters whole and never continue them with anything else but an apostrophe, so a piece always ends there; none looks
// back, so what follows is split as if the text began there; and the pre-tokenizers beside them look at single characters.
// Normalization does not join the characters on either side.
type cutter struct {
	size   int    // how much to take at once
	limit  int    // how much at most, where no place to cut is found
	spaces bool   // cut before a space only: something is put before a text that does not begin with one
	seams  *seams // where a SentencePiece vocabulary can be cut instead; nil: byte level
}

// wordPatterns are those for which that is proven by test.
var wordPatterns = []string{
	gpt2Pattern, llama3Pattern, qwen2Pattern,
	// openai/tiktoken tiktoken_ext/openai_public.py: cl100k_base and o200k_base.
	`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
	`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
}

func newCutter(s *spec) cutter {
	c := cutter{size: maxWord, limit: maxWord}
	if endsWords(s.stages) {
		c.size = chunkSize
	} else if slow(s.stages) {
		c.size, c.limit = maxSlow, maxSlow
	}
	for _, one := range s.stages {
		c.spaces = c.spaces || one.prefix
	}
	return c
}

// newPieceCutter returns the cutter of a SentencePiece vocabulary, whose tokens themselves say where a cut is safe.
func newPieceCutter(s *spec, where *seams) cutter {
	c := cutter{size: maxWord, limit: maxWord, seams: where}
	single := func(one stage) bool {
		return one == wordStage || one.kind == kindDigits || one.kind == kindPunctuation ||
			one.kind == kindSplit && one.literal && utf8.RuneCountInString(one.pattern) == 1
	}
	if !slices.ContainsFunc(s.stages, func(one stage) bool { return !single(one) }) {
		c.size = chunkSize
	} else if slow(s.stages) {
		c.size, c.limit = maxSlow, maxSlow
	}
	return c
}

// endsWords says whether the pre-tokenizer is one for which the cutter's rule is proven. Others are cut by the same rule, but
// only where a text is longer than the limit.
func endsWords(stages []stage) bool {
	for _, s := range stages {
		switch {
		case s.kind == kindDigits:
		case s.kind == kindPunctuation && (s.behavior == isolated || s.behavior == contiguous):
		case s.kind == kindByteLevel:
			return s.useRegex
		case s.kind == kindSplit && !s.literal && !s.invert && s.behavior == isolated:
			return slices.Contains(wordPatterns, s.pattern)
		default:
			return false
		}
	}
	return false
}

// slow says whether splitting may take quadratic time.
func slow(stages []stage) bool {
	return slices.ContainsFunc(stages, func(s stage) bool {
		steps, err := checkPattern(s.pattern)
		return s.kind == kindSplit && !s.literal && (steps > 0 || err != nil)
	})
}

// next returns where the part that begins at from ends.
func (c cutter) next(text string, from int) int {
	if len(text)-from <= c.size {
		return len(text)
	}
	for i := from + c.size; i > from; i-- {
		if c.safe(text, i) {
			return i
		}
	}
	end := min(from+c.limit, len(text))
	for i := from + c.size + 1; i < end; i++ {
		if c.safe(text, i) {
			return i
		}
	}
	if end == len(text) {
		return end
	}
	for i := end; i > end-64; i-- { // not before an accent, nor inside nulStandIn
		if r, _ := utf8.DecodeRuneInString(text[i:]); utf8.RuneStart(text[i]) && !unicode.IsMark(r) && r != '\uFFFF' {
			return i
		}
	}
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return end
}

// safe says whether text can be cut before its byte i > 0.
func (c cutter) safe(text string, i int) bool {
	if c.seams != nil {
		return c.seams.at(text, i)
	}
	digit := false
	switch b := text[i]; {
	case b == ' ':
	case c.spaces, b == '\'':
		return false
	case b >= '0' && b <= '9':
		digit = true
	case b == '\n', b == '\r', b == '\t', b > ' ' && b < 0x7F && !isAlphanumeric(b):
	case b == 0xE3 || b == 0xEF: // 、 。 ， ： ； ？ ！
		r, _ := utf8.DecodeRuneInString(text[i:])
		switch r {
		case 0x3001, 0x3002, 0xFF0C, 0xFF1A, 0xFF1B, 0xFF1F, 0xFF01:
		default:
			return false
		}
	default:
		return false
	}
	if before := text[i-1]; before < utf8.RuneSelf {
		return isAlphanumeric(before) && (before > '9' || !digit)
	}
	r, _ := utf8.DecodeLastRuneInString(text[:i])
	return unicode.Is(oldLetters, r)
}

// oldLetters are letters that every version of Unicode's tables since 5.0 calls so: the library's tables agree on them.
var oldLetters = &unicode.RangeTable{R16: []unicode.Range16{
	{0x00C0, 0x00D6, 1}, {0x00D8, 0x00F6, 1}, {0x00F8, 0x024F, 1}, // Latin
	{0x03B1, 0x03C9, 1}, {0x0410, 0x044F, 1}, // Greek, Cyrillic
	{0x05D0, 0x05EA, 1}, {0x0621, 0x063A, 1}, {0x0641, 0x064A, 1}, // Hebrew, Arabic
	{0x0905, 0x0939, 1}, {0x0E01, 0x0E30, 1}, // Devanagari, Thai
	{0x3041, 0x3096, 1}, {0x30A1, 0x30FA, 1}, // Kana
	{0x4E00, 0x9FA5, 1}, {0xAC00, 0xD7A3, 1}, // Han, Hangul
}}

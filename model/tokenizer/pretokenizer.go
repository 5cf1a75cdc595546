package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The kinds of pre-tokenizer by their names in tokenizer.json; Metaspace stands beside them in pieces.go.
const (
	kindByteLevel   = "ByteLevel"
	kindDigits      = "Digits"
	kindPunctuation = "Punctuation"
	kindSplit       = "Split"
	kindSequence    = "Sequence"
)

const (
	isolated   = "Isolated"
	contiguous = "Contiguous"
)

// behaviors says what becomes of a piece that a Split or Punctuation pre-tokenizer finds.
var behaviors = []string{"Removed", isolated, "MergedWithPrevious", "MergedWithNext", contiguous}

// unicodeForms are the normalizers that keep what a text says.
var unicodeForms = []string{"NFC", "NFD", "NFKC", "NFKD"}

const (
	// maxStages bounds a pre-tokenizer or normalizer sequence; real ones have up to 5 members.
	maxStages = 32
	// maxPattern bounds the bytes of one pattern; the longest in use is near 500.
	maxPattern = 4096
)

// stage is one member of the pre-tokenizer sequence, each applied to the pieces that the one before left.
// Source: huggingface/tokenizers src/pre_tokenizers/{byte_level,digits,punctuation,split}.rs @ v0.20.4.
type stage struct {
	kind       string
	prefix     bool   // ByteLevel: a piece that does not begin with a space gets one
	useRegex   bool   // ByteLevel: split by the GPT-2 pattern before mapping bytes to symbols
	individual bool   // Digits: every digit by itself, not every run
	behavior   string // Punctuation, Split: what becomes of the match
	pattern    string // Split
	literal    bool   // Split: the pattern is plain text
	invert     bool   // Split: the pattern is what stands between the pieces

	replacement string // Metaspace: what stands for a space
	scheme      prefix // Metaspace
	split       bool   // Metaspace: split before every replacement
}

// patterns of published tokenizer.json files.
const (
	// gpt2Pattern is the one that ByteLevel has built in.
	gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// llama3Pattern splits for Llama 3 (meta-llama/Meta-Llama-3-8B tokenizer.json); Falcon3 uses the same
	// (ggml-org/llama.cpp src/llama-vocab.cpp @ c392e50).
	llama3Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// qwen2Pattern is llama3Pattern with single digits (Qwen/Qwen2-7B tokenizer.json).
	qwen2Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	// falconDigits cuts digit runs in threes (tiiuae/falcon-7b tokenizer.json, quoted in ggml-org/llama.cpp issue 3502).
	falconDigits = `[0-9][0-9][0-9]`
)

// preset is how GGUF names a normalizer and pre-tokenizer.
type preset struct {
	normalizers  []string
	stages       []stage
	ignoreMerges bool // a piece that is a token as a whole is taken without merging
}

var gpt2Stages = []stage{{kind: kindByteLevel, useRegex: true}}

func splitStages(pattern string) []stage {
	return []stage{{kind: kindSplit, behavior: isolated, pattern: pattern}, {kind: kindByteLevel}}
}

// presets maps tokenizer.ggml.pre to what it stands for.
var presets = map[string]preset{
	"falcon": {stages: []stage{
		{kind: kindPunctuation, behavior: contiguous},
		{kind: kindByteLevel, useRegex: true},
		{kind: kindDigits},
		{kind: kindSplit, behavior: isolated, pattern: falconDigits},
	}},
	"falcon3":   {stages: splitStages(llama3Pattern), ignoreMerges: true},
	"gpt-2":     {stages: gpt2Stages},
	"llama-bpe": {stages: splitStages(llama3Pattern), ignoreMerges: true},
	"qwen2":     {normalizers: []string{"NFC"}, stages: splitStages(qwen2Pattern)},
	"smollm":    {stages: []stage{{kind: kindDigits, individual: true}, gpt2Stages[0]}},
}

// presetAliases are other names that converters have written.
var presetAliases = map[string]string{"llama3": "llama-bpe", "llama-v3": "llama-bpe", "gpt2": "gpt-2"}

// presetFor returns the pre-tokenizer that a GGUF file names.
func presetFor(name string) (preset, error) {
	if alias, ok := presetAliases[name]; ok {
		name = alias
	}
	if p, ok := presets[name]; ok {
		return p, nil
	}
	names := make([]string, 0, len(presets))
	for known := range presets {
		names = append(names, known)
	}
	slices.Sort(names)
	return preset{}, fmt.Errorf("pre-tokenizer %q is not supported (supported: %s); a folder with tokenizer.json may work",
		name, strings.Join(names, ", "))
}

// appendJSON appends the stage as tokenizer.json says it.
func (s stage) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, s.kind...)
	dst = append(dst, '"')
	boolean := func(name string, v bool) {
		dst = append(dst, `,"`+name+`":`...)
		dst = strconv.AppendBool(dst, v)
	}
	switch s.kind {
	case kindByteLevel:
		boolean("add_prefix_space", s.prefix)
		boolean("trim_offsets", true)
		boolean("use_regex", s.useRegex)
	case kindDigits:
		boolean("individual_digits", s.individual)
	case kindPunctuation:
		dst = append(dst, `,"behavior":"`+s.behavior+`"`...)
	case kindSplit:
		key := "Regex"
		if s.literal {
			key = "String"
		}
		dst = append(dst, `,"pattern":{"`+key+`":`...)
		dst = appendJSONString(dst, s.pattern)
		dst = append(dst, `},"behavior":"`+s.behavior+`"`...)
		boolean("invert", s.invert)
	}
	return append(dst, '}')
}

// checkStages refuses patterns that could make the library stop the process, and other than the given number of ByteLevels.
func checkStages(stages []stage, wanted int) error {
	levels := 0
	for _, s := range stages {
		switch s.kind {
		case kindByteLevel:
			levels++
		case kindDigits:
		case kindPunctuation, kindSplit:
			if !slices.Contains(behaviors, s.behavior) {
				return fmt.Errorf("pre-tokenizer %s: behavior %q is not one of %s", s.kind, s.behavior, strings.Join(behaviors, ", "))
			}
			if s.kind == kindSplit {
				if err := checkSplit(s); err != nil {
					return fmt.Errorf("pre-tokenizer Split: pattern %.200q: %w", s.pattern, err)
				}
			}
		default:
			return fmt.Errorf("pre-tokenizer %.80q is not supported (supported: %s, or %s as the first; %s, %s, %s; in a %s)",
				s.kind, kindByteLevel, kindMetaspace, kindDigits, kindPunctuation, kindSplit, kindSequence)
		}
	}
	if levels != wanted {
		return fmt.Errorf("%d %s pre-tokenizers, want %d: a vocabulary must be byte level or SentencePiece (byte_fallback, or Metaspace)",
			levels, kindByteLevel, wanted)
	}
	return nil
}

func checkSplit(s stage) error {
	switch {
	case s.pattern == "":
		return fmt.Errorf("it is empty")
	case len(s.pattern) > maxPattern:
		return fmt.Errorf("%d bytes, want at most %d", len(s.pattern), maxPattern)
	case strings.IndexByte(s.pattern, 0) >= 0:
		return fmt.Errorf("it holds a NUL byte")
	case s.literal:
		return nil
	}
	_, err := checkPattern(s.pattern)
	return err
}

// readStages reads the value of "pre_tokenizer" and flattens nested sequences.
func readStages(s *scanner, stages []stage) ([]stage, error) {
	if s.word("null") {
		return stages, nil
	}
	one := stage{useRegex: true, behavior: isolated, split: true}
	nested := []stage(nil)
	scheme := scheme{}
	seen := keys{}
	err := s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "type":
			one.kind, err = s.str()
		case "add_prefix_space", "prepend_scheme": // the first also of a ByteLevel
			err = scheme.read(s, key)
			one.prefix = scheme.add
		case "replacement":
			one.replacement, err = s.str()
		case "split":
			one.split, err = s.boolean()
		case "use_regex":
			one.useRegex, err = s.boolean()
		case "individual_digits":
			one.individual, err = s.boolean()
		case "behavior":
			one.behavior, err = s.str()
		case "invert":
			one.invert, err = s.boolean()
		case "pattern":
			var p pattern
			p, err = readPattern(s)
			one.pattern, one.literal = p.text, p.literal
		case "pretokenizers":
			err = s.array(func(int) (err error) {
				if len(nested) >= maxStages {
					return s.failf("more than %d pre-tokenizers", maxStages)
				}
				nested, err = readStages(s, nested)
				return err
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	switch one.kind {
	case kindSequence:
		return append(stages, nested...), nil
	case kindMetaspace:
		one.scheme, err = scheme.prefix(s)
	}
	return append(stages, one), err
}

// pattern is a regular expression, or a text as it stands.
type pattern struct {
	text    string
	literal bool
}

// readPattern reads {"Regex": "…"} or {"String": "…"}.
func readPattern(s *scanner) (p pattern, err error) {
	err = s.object(func(key string) (err error) {
		switch key {
		case "Regex", "String":
			p.literal = key == "String"
			p.text, err = s.str()
			return err
		default:
			return s.failf("pattern of kind %q, want Regex or String", key)
		}
	})
	return p, err
}

// readNormalizers reads the value of "normalizer" and flattens nested sequences.
func readNormalizers(s *scanner, all []normalizer) ([]normalizer, error) {
	if s.word("null") {
		return all, nil
	}
	one := normalizer{}
	nested := []normalizer(nil)
	seen := keys{}
	err := s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "type":
			one.kind, err = s.str()
		case "prepend", "content":
			one.to, err = s.str()
		case "pattern":
			var p pattern
			p, err = readPattern(s)
			one.from, one.regex = p.text, !p.literal
		case "normalizers":
			err = s.array(func(int) (err error) {
				if len(nested) >= maxStages {
					return s.failf("more than %d normalizers", maxStages)
				}
				nested, err = readNormalizers(s, nested)
				return err
			})
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if one.kind == kindSequence {
		return append(all, nested...), nil
	}
	return append(all, one), nil
}

// keys finds a member that stands twice in an object: readers disagree on which one counts.
type keys map[string]bool

func (k keys) add(s *scanner, key string) error {
	if k[key] {
		return s.failf("member %q stands twice", key)
	}
	k[key] = true
	return nil
}

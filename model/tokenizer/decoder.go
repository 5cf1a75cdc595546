package tokenizer

import "fmt"

// decoderStep is one member of the decoder sequence in a tokenizer.json.
// Source: huggingface/tokenizers src/decoders @ v0.20.4.
type decoderStep struct {
	kind        string
	from        string // Replace: the text that is replaced
	regex       bool   // Replace: from is a pattern
	content     string // Replace: by what; Strip: which character
	start, stop int64  // Strip: how many at most, in front and behind
	replacement string // Metaspace
	scheme      prefix // Metaspace
}

// decoderSteps are all of them in order, nil where the file has no decoder.
type decoderSteps []decoderStep

// readDecoders reads the value of "decoder" and flattens nested sequences.
func readDecoders(s *scanner, steps decoderSteps) (decoderSteps, error) {
	if s.word("null") {
		return steps, nil
	}
	one := decoderStep{}
	nested := decoderSteps(nil)
	scheme := scheme{}
	seen := keys{}
	err := s.object(func(key string) (err error) {
		if err := seen.add(s, key); err != nil {
			return err
		}
		switch key {
		case "type":
			one.kind, err = s.str()
		case "content":
			one.content, err = s.str()
		case "start":
			one.start, err = s.integer()
		case "stop":
			one.stop, err = s.integer()
		case "replacement":
			one.replacement, err = s.str()
		case "add_prefix_space", "prepend_scheme":
			err = scheme.read(s, key)
		case "pattern":
			var p pattern
			p, err = readPattern(s)
			one.from, one.regex = p.text, !p.literal
		case "decoders":
			err = s.array(func(int) (err error) {
				if len(nested) >= maxStages {
					return s.failf("more than %d decoders", maxStages)
				}
				nested, err = readDecoders(s, nested)
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
		return append(steps, nested...), nil
	case kindMetaspace:
		one.scheme, err = scheme.prefix(s)
	}
	return append(steps, one), err
}

// checkByteLevel refuses all but byte level: the way back to text is an own table of byte symbols.
func (d decoderSteps) checkByteLevel() error {
	for _, step := range d {
		if step.kind != kindByteLevel && step.kind != "Fuse" {
			return fmt.Errorf("decoder %.80q is not supported in a byte-level vocabulary (supported: ByteLevel, Fuse)", step.kind)
		}
	}
	return nil
}

// resolve says what a SentencePiece vocabulary's decoder does at the start of a text; that it turns ▁ into spaces and byte
// tokens into characters goes without saying. A file without a decoder takes away the ▁ that encoding puts in front.
func (d decoderSteps) resolve(p *pieces) error {
	if d == nil && p.prefix != prefixNone {
		p.strip = 1
	}
	fused := false
	for _, step := range d {
		ok := true
		switch step.kind {
		case "ByteFallback":
		case "Fuse":
			fused = true
		case kindReplace:
			ok = !step.regex && step.from == blank && step.content == " "
		case kindMetaspace:
			ok = step.replacement == blank
			p.first = step.scheme != prefixNone
		case "Strip":
			ok = fused && step.content == " " && step.stop == 0 && p.strip == 0
			p.strip = int(min(step.start, maxToken))
		default:
			ok = false
		}
		if !ok {
			return fmt.Errorf("decoder %s is not supported in a SentencePiece vocabulary (supported: Metaspace; Replace of %q by \" \", ByteFallback, "+
				"Fuse, and behind it Strip of \" \" with stop 0)", step, blank)
		}
	}
	return nil
}

// String names a step with what it does, for messages.
func (d decoderStep) String() string {
	switch d.kind {
	case kindReplace:
		return fmt.Sprintf("Replace of %.80q by %.80q", d.from, d.content)
	case "Strip":
		return fmt.Sprintf("Strip of %.80q, start %d, stop %d", d.content, d.start, d.stop)
	case kindMetaspace:
		return fmt.Sprintf("Metaspace with replacement %.80q", d.replacement)
	}
	return fmt.Sprintf("%.80q", d.kind)
}

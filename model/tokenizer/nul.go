package tokenizer

import "strings"

// The library takes texts that end at the first NUL byte. So NUL travels as nulStandIn, two noncharacters that no text for
// interchange holds, and the first normalizer in the tokenizer.json that the library gets turns it back: patterns and merges
// see the NUL itself.
const nulStandIn = "\uFFFE\uFFFF"

// withoutNUL calls each with the parts of text, NUL replaced. There is one part, except where text itself holds the stand-in,
// which is then cut in two.
func withoutNUL(text string, each func(part string)) {
	for {
		i := strings.Index(text, nulStandIn)
		if i < 0 {
			break
		}
		i += len(nulStandIn) / 2
		each(strings.ReplaceAll(text[:i], "\x00", nulStandIn))
		text = text[i:]
	}
	each(strings.ReplaceAll(text, "\x00", nulStandIn))
}

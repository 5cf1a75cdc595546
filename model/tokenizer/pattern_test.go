//go:build cgo

package tokenizer

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// knownPatterns are those of published tokenizer.json files.
var knownPatterns = append([]string{
	falconDigits, `\p{N}{1,3}`, `[\r\n]`, `[一-龥぀-ゟ゠-ヿ]+`,
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
	` ?[^(\s|[.,!?…。，、।۔،])]+`,
}, wordPatterns...)

func TestPublishedPatternsAreAccepted(t *testing.T) {
	for _, pattern := range knownPatterns {
		if _, err := checkPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// TestAcceptedPatternsNeverStopTheProcess runs them on texts that make a backtracking matcher work hard. Too many steps would
// end the test's process, as those of ` *\s*(?!\s)x` do.
func TestAcceptedPatternsNeverStopTheProcess(t *testing.T) {
	run := func(pattern string, size int, pieces ...string) {
		if _, err := checkPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
			return
		}
		split := stage{kind: kindSplit, behavior: isolated, pattern: pattern}
		tok := openTiny(t, "", `{"type":"Sequence","pretokenizers":[`+string(split.appendJSON(nil))+`,`+plainByteLevel+`]}`)
		for _, piece := range pieces {
			if ids := wholeLibrary(t, tok).encode(nil, strings.Repeat(piece, size/len(piece))); len(ids) == 0 {
				t.Errorf("%s on %q: no ids", pattern, piece)
			}
		}
	}
	for _, pattern := range knownPatterns {
		run(pattern, maxWord, " ", "aA", "1", "ﷺ")
	}
	// The most steps that are allowed, on the longest text that normalization can make of a part.
	run(`a*a?a?a?a?[bc]|a+`, 6*maxWord, "a")
	run(`\s*[x ]?[x ]?[x ]?[x ]?x|\s+`, 6*maxWord, " ")
	run(`\w*(?!\w)(?:b|c)?`, 6*maxWord, "a", "aA1")
}

// randomPattern writes a pattern over few characters, so that its parts overlap.
func randomPattern(rng *rand.Rand, depth int) string {
	atoms := []string{"a", " ", `\s`, `\S`, `[ a]`, `[^a]`, `\w`, ".", "x", `\p{L}`}
	repeats := []string{"", "", "", "*", "+", "?", "*?", "+?", "?+", "{1,3}", "{0,2}", "{2,}"}
	var b strings.Builder
	for i := range 1 + rng.IntN(3) {
		if i > 0 {
			b.WriteByte('|')
		}
		for range 1 + rng.IntN(4) {
			if depth < 2 && rng.IntN(4) == 0 {
				open := []string{"(", "(?:", "(?i:", "(?=", "(?!"}[rng.IntN(5)]
				b.WriteString(open + randomPattern(rng, depth+1) + ")" + []string{"", "?"}[rng.IntN(2)])
				continue
			}
			b.WriteString(atoms[rng.IntN(len(atoms))] + repeats[rng.IntN(len(repeats))])
		}
	}
	return b.String()
}

func TestDangerousPatternsAreRefused(t *testing.T) {
	for name, pattern := range map[string]string{
		"repeated group":                `(a+)+b`,
		"repeated plain group":          `(?:ab)*`,
		"two repetitions, then a must":  `\s*\s*x`,
		"far apart":                     `a+b*c*d`,
		"unbounded in a group":          `(?:a*|b)c`,
		"many ways":                     `a?a?a?a?a?a?a?a?a?a?a?a?a?b`,
		"many ways behind a repetition": `a*a?a?a?a?a?b`,
		"back reference":                `(a)\1`,
		"named group":                   `(?<n>a)`,
		"look behind":                   `(?<=a)b`,
		"atomic group":                  `(?>a)`,
		"recursion":                     `a\g<0>`,
		"any":                           `a(?~b)`,
		"large count":                   `a{1,1000}`,
		"count of a count":              `a{2}{3}`,
		"possessive count":              `a{2}+`,
		"open group":                    `(a`,
		"closed group":                  `a)`,
		"open class":                    `[a`,
		"empty class":                   `[]`,
		"POSIX class":                   `[[:alpha:]]`,
		"nothing to repeat":             `*a`,
		"backslash at the end":          `a\`,
		"octal":                         `\01`,
		"open property":                 `\p{L`,
		"property without name":         `\p`,
		"deep groups":                   `((((((a))))))`,
		"deep classes":                  `[a[b[c[d[e[f[g]]]]]]]`,
	} {
		if _, err := checkPattern(pattern); err == nil {
			t.Errorf("%s: %s was accepted", name, pattern)
		}
	}
}

package tokenizer

import (
	"errors"
	"fmt"
	"strings"
)

// checkPattern refuses patterns whose matching could take more than linear time in the length of a text, or that use
// constructs beyond those of published tokenizers.
//
// The library matches with Oniguruma, a backtracking matcher, and stops the whole process when one match takes more than
// 10,000,000 steps back (onig 6.5.1 src/lib.rs:647). A text is handed over in pieces of at most maxWord bytes, which
// normalization can make up to 6 times longer, so a match may take maxLinear steps a character. The rule: in each
// alternative at most one unbounded repetition stands in front of something that can still fail, and only single characters
// are repeated. In `\s*[\r\n]+` the first repetition is retried once for every space of a run, which is linear;
// `\s*\s*x` and `(a+)+` are refused.
//
// It returns how many steps back a match may take for each character: with 0, time is linear in the text; with more, it can
// be quadratic where nothing matches, because every place is tried.
func checkPattern(pattern string) (steps int, err error) {
	p := patternParser{rest: pattern}
	if _, err := p.alternatives(0); err != nil {
		return 0, err
	}
	if p.rest != "" {
		return 0, fmt.Errorf("unmatched %q", p.rest[:1])
	}
	return p.linear, nil
}

var errSteps = errors.New("matching could take too many steps: more than one repetition in front of something that can fail")

const (
	// maxLinear bounds the steps back that one match may take for each character: 6*maxWord*maxLinear < 10,000,000.
	maxLinear = 16
	// maxWays bounds those that do not depend on the length of the text.
	maxWays = 4096
)

type patternParser struct {
	rest   string
	linear int // steps for each character, summed over all alternatives
}

// alternatives reads a|b|c up to a closing parenthesis or the end, and returns in how many ways it can be tried. Inside a
// group (depth > 0) nothing unbounded may stand.
func (p *patternParser) alternatives(depth int) (ways int, err error) {
	if depth > 4 {
		return 0, errors.New("groups nested deeper than 4")
	}
	for {
		n, err := p.sequence(depth)
		if err != nil {
			return 0, err
		}
		if ways += n; ways > maxWays {
			return 0, errSteps
		}
		if !strings.HasPrefix(p.rest, "|") {
			return ways, nil
		}
		p.rest = p.rest[1:]
	}
}

// sequence reads one alternative.
func (p *patternParser) sequence(depth int) (ways int, err error) {
	open := 0 // unbounded repetitions so far
	ways = 1
	retried := 0 // ways to come to the last element that can fail behind an unbounded repetition
	for p.rest != "" && p.rest[0] != '|' && p.rest[0] != ')' {
		inside, err := p.atom(depth)
		if err != nil {
			return 0, err
		}
		low, high, err := p.quantifier()
		if err != nil {
			return 0, err
		}
		group := inside > 0
		switch {
		case low > 0 && open > 1:
			return 0, errSteps
		case group && high != 1:
			return 0, errors.New("a repeated group")
		case high < 0 && depth > 0:
			return 0, errors.New("an unbounded repetition inside a group")
		}
		last := low > 0 && open > 0
		if high < 0 {
			open++
		} else {
			ways *= high - low + max(inside, 1)
		}
		if last {
			retried = ways
		}
		if ways > maxWays {
			return 0, errSteps
		}
	}
	if p.linear += retried; p.linear > maxLinear {
		return 0, errSteps
	}
	return ways, nil
}

// atom reads one character, class or group. For a group it returns in how many ways that can be tried, else 0.
func (p *patternParser) atom(depth int) (ways int, err error) {
	switch c := p.rest[0]; c {
	case '(':
		return p.group(depth)
	case '[':
		return 0, p.class(0)
	case '\\':
		return 0, p.escape()
	case '*', '+', '?', '{':
		return 0, fmt.Errorf("%q without something to repeat", string(c))
	default:
		p.rest = p.rest[1:]
		for p.rest != "" && p.rest[0]&0xC0 == 0x80 {
			p.rest = p.rest[1:]
		}
		return 0, nil
	}
}

// groupOpeners are the groups in use: plain, without capture, without regard to case, and looking ahead.
var groupOpeners = []string{"(?:", "(?i:", "(?=", "(?!", "("}

func (p *patternParser) group(depth int) (ways int, err error) {
	for _, opener := range groupOpeners {
		if !strings.HasPrefix(p.rest, opener) || opener == "(" && strings.HasPrefix(p.rest, "(?") {
			continue
		}
		p.rest = p.rest[len(opener):]
		if ways, err = p.alternatives(depth + 1); err != nil {
			return 0, err
		}
		if !strings.HasPrefix(p.rest, ")") {
			return 0, errors.New("a group without its end")
		}
		p.rest = p.rest[1:]
		return ways, nil
	}
	return 0, fmt.Errorf("group %.4q is not supported", p.rest)
}

// class reads […], nested classes included.
func (p *patternParser) class(depth int) error {
	if depth > 4 {
		return errors.New("character classes nested deeper than 4")
	}
	p.rest = strings.TrimPrefix(p.rest[1:], "^")
	for first := true; p.rest != ""; first = false {
		switch c := p.rest[0]; {
		case c == ']' && !first:
			p.rest = p.rest[1:]
			return nil
		case c == ']':
			return errors.New("an empty character class")
		case strings.HasPrefix(p.rest, "[:"):
			return errors.New("a POSIX bracket")
		case c == '[':
			if err := p.class(depth + 1); err != nil {
				return err
			}
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		default:
			p.rest = p.rest[1:]
		}
	}
	return errors.New("a character class without its end")
}

// escape reads \p{L}, \s, \n, an escaped punctuation mark and the like: always one character.
func (p *patternParser) escape() error {
	if len(p.rest) < 2 {
		return errors.New("a backslash at the end")
	}
	c := p.rest[1]
	switch {
	case c == 'p' || c == 'P':
		end := strings.IndexByte(p.rest, '}')
		if len(p.rest) < 3 || p.rest[2] != '{' || end < 4 || end > 32 {
			return fmt.Errorf("a property without its name: %.8q", p.rest)
		}
		p.rest = p.rest[end+1:]
		return nil
	case strings.IndexByte("sSdDwWrntfv", c) >= 0, c > ' ' && c < 0x7F && !isAlphanumeric(c):
		p.rest = p.rest[2:]
		return nil
	}
	return fmt.Errorf("escape %q is not supported", p.rest[:2])
}

// quantifier reads ?, *, + or {n,m} if one stands here; high is -1 where there is no bound. Lazy and possessive forms
// retry no more often than plain ones.
func (p *patternParser) quantifier() (low, high int, err error) {
	low, high = 1, 1
	if p.rest == "" {
		return low, high, nil
	}
	switch p.rest[0] {
	case '?':
		low = 0
	case '*':
		low, high = 0, -1
	case '+':
		high = -1
	case '{':
		return p.interval()
	default:
		return low, high, nil
	}
	p.rest = p.rest[1:]
	if p.rest != "" && (p.rest[0] == '?' || p.rest[0] == '+') {
		p.rest = p.rest[1:]
	}
	return low, high, p.noSecondQuantifier()
}

// interval reads {n}, {n,}, or {n,m}.
func (p *patternParser) interval() (low, high int, err error) {
	end := strings.IndexByte(p.rest, '}')
	if end < 0 || end > 8 {
		return 0, 0, fmt.Errorf("a repetition without its end: %.8q", p.rest)
	}
	from, to, ranged := strings.Cut(p.rest[1:end], ",")
	low, ok := smallNumber(from)
	high = low
	if ranged {
		var okHigh bool
		high, okHigh = smallNumber(to)
		if to == "" {
			high, okHigh = -1, true
		}
		ok = ok && okHigh && (high < 0 || high >= low)
	}
	if !ok {
		return 0, 0, fmt.Errorf("repetition %q is not supported (want {n}, {n,} or {n,m}, at most 99)", p.rest[:end+1])
	}
	p.rest = p.rest[end+1:]
	return low, high, p.noSecondQuantifier()
}

// noSecondQuantifier refuses x{2}+ and x*++: what they mean differs between dialects.
func (p *patternParser) noSecondQuantifier() error {
	if p.rest != "" && strings.IndexByte("?*+{", p.rest[0]) >= 0 {
		return errors.New("a repetition of a repetition")
	}
	return nil
}

// smallNumber reads one or two digits.
func smallNumber(text string) (n int, ok bool) {
	if len(text) < 1 || len(text) > 2 {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

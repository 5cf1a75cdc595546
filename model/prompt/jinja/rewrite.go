package jinja

import (
	"fmt"
	"slices"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// condName is the function to which "a if c else b" is rewritten: condName(c, a, b). No template can spell it.
const condName = "if expression"

// item is one token, or a bracket with all that stands in it.
type item struct {
	tok    *tokens.Token
	inside []item
	close  *tokens.Token // nil: a single token
}

// rewrite brings the inside of a tag into the grammar that gonja's parser knows: conditional expressions become calls;
// parentheses say what the parser would bind otherwise than Jinja (the right side of "in", chained comparisons, tests,
// repeated negations); adjacent string literals become one.
func rewrite(toks []*tokens.Token, statement bool) ([]*tokens.Token, error) {
	items, rest := group(toks)
	if len(rest) > 0 {
		return nil, &Error{Line: rest[0].Line, Message: "unexpected " + rest[0].Val}
	}
	w := &rewriter{}
	w.tag(items, statement)
	return w.out, w.err
}

func (w *rewriter) tag(items []item, statement bool) {
	if statement && len(items) > 0 {
		w.put(items[0].tok)
		keyword := items[0].tok.Val
		items = items[1:]
		if keyword == "for" {
			w.loop(items)
			return
		}
	}
	w.all(items)
}

// group collects items up to a closing bracket or the end. The lexer has checked that brackets match and how deep they nest.
func group(toks []*tokens.Token) ([]item, []*tokens.Token) {
	var out []item
	for len(toks) > 0 {
		t := toks[0]
		switch t.Type {
		case tokens.LeftParenthesis, tokens.LeftBracket, tokens.LeftBrace:
			inside, rest := group(toks[1:])
			if len(rest) == 0 {
				return append(out, item{tok: t}), nil
			}
			out = append(out, item{tok: t, inside: inside, close: rest[0]})
			toks = rest[1:]
		case tokens.RightParenthesis, tokens.RightBracket, tokens.RightBrace:
			return out, toks
		default:
			out = append(out, item{tok: t})
			toks = toks[1:]
		}
	}
	return out, nil
}

type rewriter struct {
	out []*tokens.Token
	err error
}

func (w *rewriter) put(t *tokens.Token) { w.out = append(w.out, t) }

// mark puts a token of our own, located at t.
func (w *rewriter) mark(t *tokens.Token, kind tokens.Type, val string) {
	w.put(&tokens.Token{Type: kind, Val: val, Pos: t.Pos, Line: t.Line})
}

// find returns the index of the first item that is the token, or -1.
func find(items []item, kind tokens.Type, val string) int {
	for i, it := range items {
		if it.close == nil && it.tok.Type == kind && (val == "" || it.tok.Val == val) {
			return i
		}
	}
	return -1
}

// loop writes a for statement's header: "if" there filters and is no conditional expression.
func (w *rewriter) loop(items []item) {
	in := find(items, tokens.In, "")
	if in < 0 {
		w.plain(items)
		return
	}
	w.plain(items[:in])
	w.put(items[in].tok)
	items = items[in+1:]
	cond := find(items, tokens.Name, "if")
	if cond < 0 {
		w.plain(items)
		return
	}
	w.plain(items[:cond])
	w.put(items[cond].tok)
	w.all(items[cond+1:])
}

// all writes expressions that commas, colons or equal signs separate.
func (w *rewriter) all(items []item) {
	start := 0
	for i, it := range items {
		if it.close != nil {
			continue
		}
		switch it.tok.Type {
		case tokens.Comma, tokens.Colon, tokens.Assign:
			w.conditional(items[start:i])
			w.put(it.tok)
			start = i + 1
		default:
		}
	}
	w.conditional(items[start:])
}

// conditional writes one expression. It iterates over "a if b else c if d else …" so that a long chain does not recurse.
func (w *rewriter) conditional(items []item) {
	open := 0
	for {
		cond := find(items, tokens.Name, "if")
		if cond <= 0 {
			break
		}
		at := items[cond].tok
		rest := items[cond+1:]
		other := find(rest, tokens.Name, "else")
		if len(rest) == 0 || other == 0 {
			// The parser leaves out an empty argument: the call would have one too few.
			w.err = &Error{Line: at.Line, Message: "expected an expression after 'if'"}
			return
		}
		w.mark(at, tokens.Name, condName)
		w.mark(at, tokens.LeftParenthesis, "(")
		if open++; open > maxNesting {
			w.err = &Error{Line: at.Line, Message: fmt.Sprintf("more than %d conditional expressions in a row", maxNesting)}
			return
		}
		if other < 0 {
			w.plain(rest)
			w.mark(at, tokens.Comma, ",")
			items = items[:cond]
			break
		}
		w.plain(rest[:other])
		w.mark(at, tokens.Comma, ",")
		w.plain(items[:cond])
		w.mark(at, tokens.Comma, ",")
		items = rest[other+1:]
	}
	w.plain(items)
	w.closeAll(open)
}

// plain writes items without a conditional expression at their top: what or, and, not and comparisons join.
func (w *rewriter) plain(items []item) {
	start := 0
	for i, it := range items {
		if it.close != nil || it.tok.Type != tokens.And && it.tok.Type != tokens.Or {
			continue
		}
		w.not(items[start:i])
		w.put(it.tok)
		start = i + 1
	}
	w.not(items[start:])
}

// not writes a comparison with the negations in front of it. The parser knows one only.
func (w *rewriter) not(items []item) {
	open := 0
	for len(items) > 0 && items[0].close == nil && items[0].tok.Type == tokens.Not {
		w.put(items[0].tok)
		items = items[1:]
		if len(items) > 0 && items[0].close == nil && items[0].tok.Type == tokens.Not {
			w.mark(items[0].tok, tokens.LeftParenthesis, "(")
			if open++; open > maxNesting {
				w.err = &Error{Line: items[0].tok.Line, Message: fmt.Sprintf("more than %d negations in a row", maxNesting)}
				return
			}
		}
	}
	w.comparison(items)
	w.closeAll(open)
}

func (w *rewriter) closeAll(open int) {
	for ; open > 0; open-- {
		w.mark(w.out[len(w.out)-1], tokens.RightParenthesis, ")")
	}
}

// comparison writes operands with comparisons between them. The parser would take a < b < c for (a < b) < c: it is written
// as (a < b and b < c).
func (w *rewriter) comparison(items []item) {
	var operands, operators [][]item
	start := 0
	for i := 0; i < len(items); i++ {
		n := comparator(items[i:])
		if n == 0 || i > 0 && endsTest(items[:i]) {
			continue
		}
		operands, operators = append(operands, items[start:i]), append(operators, items[i:i+n])
		i += n - 1
		start = i + 1
	}
	operands = append(operands, items[start:])
	chain := len(operators) > 1
	if chain {
		w.mark(operators[0][0].tok, tokens.LeftParenthesis, "(")
	}
	w.operand(operands[0])
	for i, op := range operators {
		if i > 0 {
			w.mark(op[0].tok, tokens.And, "and")
			w.operand(operands[i])
		}
		for _, it := range op {
			w.put(it.tok)
		}
		in := op[len(op)-1].tok
		if in.Type != tokens.In || len(operands[i+1]) == 0 {
			w.operand(operands[i+1])
			continue
		}
		w.mark(in, tokens.LeftParenthesis, "(")
		w.operand(operands[i+1])
		w.mark(in, tokens.RightParenthesis, ")")
	}
	if chain {
		w.closeAll(1)
	}
}

// endsTest reports that what follows is the name of a test ("is in", "is not in") and no operator.
func endsTest(items []item) bool {
	last := items[len(items)-1]
	if last.close == nil && last.tok.Type == tokens.Not && len(items) > 1 {
		last = items[len(items)-2]
	}
	return last.close == nil && last.tok.Type == tokens.Is
}

// comparator returns how many items at the front are a comparison operator: one, two for "not in", or none.
func comparator(items []item) int {
	if items[0].close != nil {
		return 0
	}
	switch items[0].tok.Type {
	case tokens.Equals, tokens.Ne, tokens.GreaterThan, tokens.GreaterThanOrEqual, tokens.LowerThan, tokens.LowerThanOrEqual,
		tokens.In:
		return 1
	case tokens.Not:
		if len(items) > 1 && items[1].close == nil && items[1].tok.Type == tokens.In {
			return 2
		}
	default:
	}
	return 0
}

// operand writes one side of a comparison. A test binds tighter than any operator in Jinja and looser in the parser, hence
// "a * b is odd" is written as "a * (b is odd)".
func (w *rewriter) operand(items []item) {
	start := 0      // of what a test would apply to
	tested := false // what ends in front of start is a test
	for i := 0; i < len(items); i++ {
		it := items[i]
		if it.close != nil {
			continue
		}
		switch it.tok.Type {
		case tokens.Multiply, tokens.Division, tokens.FloorDivision, tokens.Modulo, tokens.Power, tokens.Tilde,
			tokens.Addition, tokens.Subtraction:
			if i > start || tested { // else it is a sign
				w.primary(items[start : i+1])
				start, tested = i+1, false
			}
		case tokens.Is:
			n := testLength(items[i+1:])
			w.mark(it.tok, tokens.LeftParenthesis, "(")
			w.primary(items[start : i+1+n])
			w.mark(it.tok, tokens.RightParenthesis, ")")
			i += n
			start, tested = i+1, true
		default:
		}
	}
	w.primary(items[start:])
}

// testLength returns how many items behind "is" belong to the test: not, its name, and an argument with all that hangs on it.
func testLength(items []item) int {
	n := 0
	single := func(kinds ...tokens.Type) bool {
		return n < len(items) && items[n].close == nil && slices.Contains(kinds, items[n].tok.Type)
	}
	if single(tokens.Not) {
		n++
	}
	if n == len(items) {
		return n
	}
	n++ // the name
	if n == len(items) || items[n].close == nil && !single(tokens.Name, tokens.String, tokens.Integer, tokens.Float) {
		return n
	}
	n++
	for n < len(items) {
		switch {
		case items[n].close != nil:
			n++
		case single(tokens.Dot) && n+1 < len(items):
			n += 2
		default:
			return n
		}
	}
	return n
}

// primary writes tokens and brackets as they are.
func (w *rewriter) primary(items []item) {
	for i, it := range items {
		if it.close != nil {
			w.put(it.tok)
			w.all(it.inside)
			w.put(it.close)
			continue
		}
		if last := len(w.out) - 1; i > 0 && it.tok.Type == tokens.String && w.out[last].Type == tokens.String {
			w.out[last].Val += it.tok.Val // adjacent literals are one
			continue
		}
		w.put(it.tok)
	}
}

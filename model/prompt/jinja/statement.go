package jinja

import (
	"errors"
	"fmt"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// at is the place of a statement; it makes a type one of gonja's control structures.
type at struct{ tok *tokens.Token }

func (a at) Position() *tokens.Token { return a.tok }
func (a at) String() string          { return fmt.Sprintf("statement at line %d", a.tok.Line) }

type (
	// ifStmt runs the first body whose condition holds; a nil condition is else.
	ifStmt struct {
		at
		conds  []nodes.Node
		bodies []*nodes.Wrapper
	}
	// forStmt runs body for each element that the filter lets through, empty if there is none.
	forStmt struct {
		at
		targets     []string
		over        nodes.Node
		filter      nodes.Node // nil: none
		recursive   bool
		body, empty *nodes.Wrapper // empty may be nil
	}
	// setStmt assigns a value, or what body writes.
	setStmt struct {
		at
		targets []nodes.Node
		value   nodes.Node // nil: body
		filters []*nodes.FilterCall
		body    *nodes.Wrapper
	}
	// macroStmt defines a macro, or the nameless one of a call statement.
	macroStmt struct {
		at
		name   string
		params []param
		body   *nodes.Wrapper
	}
	callStmt struct {
		at
		call   *nodes.Call
		caller *macroStmt
	}
	filterStmt struct {
		at
		filters []*nodes.FilterCall
		body    *nodes.Wrapper
	}
	withStmt struct {
		at
		names  []string
		values []nodes.Node
		body   *nodes.Wrapper
	}
	// jumpStmt is break or continue.
	jumpStmt struct {
		at
		jump error
	}
	// scopeStmt runs body in a scope of its own (generation, which marks the assistant's tokens for training).
	scopeStmt struct {
		at
		body *nodes.Wrapper
	}
)

type param struct {
	name  string
	value nodes.Node // default; nil: none
}

// statements finds the parser of a statement by its name; gonja's parser asks it. It counts how deep they nest.
type statements struct{ depth int }

// Get implements gonja's parser.ControlStructureGetter. Unknown names get a parser that refuses them.
func (s *statements) Get(name string) (parser.ControlStructureParser, bool) {
	known := map[string]parser.ControlStructureParser{
		"if": parseIf, "for": parseFor, "set": parseSet, "macro": parseMacro, "call": parseCall, "filter": parseFilter,
		"with": parseWith, "break": parseJump(errBreak), "continue": parseJump(errContinue),
		"generation": parseScope,
	}
	parse, ok := known[name]
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		if !ok {
			return nil, &Error{Line: line(p, args), Message: fmt.Sprintf("unknown tag %q", name)}
		}
		if s.depth++; s.depth > maxNesting {
			return nil, &Error{Line: line(p, args), Message: fmt.Sprintf("statements are nested more than %d deep", maxNesting)}
		}
		defer func() { s.depth-- }()
		at := line(p, args)
		cs, err := parse(p, args)
		var syntax *parser.SyntaxError
		if errors.As(err, &syntax) && syntax.Line == 0 { // at the end of the statement
			syntax.Line = at
		}
		return cs, err
	}, true
}

// line is where the parser stands.
func line(p, args *parser.Parser) int {
	for _, q := range []*parser.Parser{args, p} {
		if t := q.Current(); t != nil && t.Line > 0 {
			return t.Line
		}
	}
	return 0
}

// place is the statement's position: its first argument, or what follows it.
func place(p, args *parser.Parser) at {
	return at{&tokens.Token{Type: tokens.BlockBegin, Line: line(p, args)}}
}

// expression parses one expression, which must be there.
func expression(args *parser.Parser) (nodes.Node, error) {
	if args.End() {
		return nil, args.Error("expected an expression", args.Current())
	}
	e, err := args.ParseExpression()
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, args.Error("expected an expression", args.Current())
	}
	return e, nil
}

func finish(args *parser.Parser) error {
	if !args.End() {
		return args.Error("unexpected "+args.Current().Val, args.Current())
	}
	return nil
}

// body parses up to one of the end tags and refuses arguments there.
func body(p *parser.Parser, ends ...string) (*nodes.Wrapper, error) {
	w, args, err := p.WrapUntil(ends...)
	if err != nil {
		return nil, err
	}
	return w, finish(args)
}

func parseIf(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &ifStmt{at: place(p, args)}
	cond, err := expression(args)
	for {
		if err == nil && cond != nil {
			err = finish(args)
		}
		if err != nil {
			return nil, err
		}
		ends := []string{"elif", "else", "endif"}
		if cond == nil {
			ends = ends[2:]
		}
		var w *nodes.Wrapper
		if w, args, err = p.WrapUntil(ends...); err != nil {
			return nil, err
		}
		s.conds, s.bodies = append(s.conds, cond), append(s.bodies, w)
		switch w.EndTag {
		case "endif":
			return s, finish(args)
		case "else":
			cond, err = nil, finish(args)
		default:
			cond, err = expression(args)
		}
	}
}

func parseFor(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &forStmt{at: place(p, args)}
	brackets := args.Match(tokens.LeftParenthesis) != nil
	for {
		name := args.Match(tokens.Name)
		if name == nil {
			return nil, args.Error("expected the name of a loop variable", args.Current())
		}
		s.targets = append(s.targets, name.Val)
		if args.Match(tokens.Comma) == nil {
			break
		}
	}
	if brackets && args.Match(tokens.RightParenthesis) == nil {
		return nil, args.Error("expected )", args.Current())
	}
	if args.Match(tokens.In) == nil {
		return nil, args.Error("expected in", args.Current())
	}
	var err error
	if s.over, err = expression(args); err != nil {
		return nil, err
	}
	if args.MatchName("if") != nil {
		if s.filter, err = expression(args); err != nil {
			return nil, err
		}
	}
	s.recursive = args.MatchName("recursive") != nil
	if err = finish(args); err != nil {
		return nil, err
	}
	if s.body, err = body(p, "else", "endfor"); err != nil {
		return nil, err
	}
	if s.body.EndTag == "else" {
		s.empty, err = body(p, "endfor")
	}
	return s, err
}

func parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &setStmt{at: place(p, args)}
	for {
		target, err := args.ParseVariableOrLiteral()
		if err != nil {
			return nil, err
		}
		switch t := target.(type) {
		case *nodes.Name:
		case *nodes.GetAttribute:
			if _, ok := t.Node.(*nodes.Name); !ok || t.Attribute == "" {
				return nil, args.Error("cannot assign to this", args.Current())
			}
		default:
			return nil, args.Error("cannot assign to this", args.Current())
		}
		s.targets = append(s.targets, target)
		if args.Match(tokens.Comma) == nil {
			break
		}
	}
	if args.Match(tokens.Assign) == nil {
		for args.Match(tokens.Pipe) != nil {
			f, err := args.ParseFilter()
			if err != nil {
				return nil, err
			}
			s.filters = append(s.filters, f)
		}
		if err := finish(args); err != nil {
			return nil, err
		}
		var err error
		s.body, err = body(p, "endset")
		return s, err
	}
	value, err := expression(args)
	if err != nil {
		return nil, err
	}
	if args.Current(tokens.Comma) != nil {
		tuple := &nodes.Tuple{Location: args.Current(), Val: []nodes.Expression{value}}
		for args.Match(tokens.Comma) != nil && !args.End() {
			e, err := expression(args)
			if err != nil {
				return nil, err
			}
			tuple.Val = append(tuple.Val, e)
		}
		value = tuple
	}
	s.value = value
	return s, finish(args)
}

func parseFilter(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &filterStmt{at: place(p, args)}
	for {
		f, err := args.ParseFilter()
		if err != nil {
			return nil, err
		}
		s.filters = append(s.filters, f)
		if args.Match(tokens.Pipe) == nil {
			break
		}
	}
	err := finish(args)
	if err == nil {
		s.body, err = body(p, "endfilter")
	}
	return s, err
}

func parseWith(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &withStmt{at: place(p, args)}
	for !args.End() {
		name := args.Match(tokens.Name)
		if name == nil || args.Match(tokens.Assign) == nil {
			return nil, args.Error("expected a name and =", args.Current())
		}
		value, err := expression(args)
		if err != nil {
			return nil, err
		}
		s.names, s.values = append(s.names, name.Val), append(s.values, value)
		if args.Match(tokens.Comma) == nil {
			break
		}
	}
	err := finish(args)
	if err == nil {
		s.body, err = body(p, "endwith")
	}
	return s, err
}

func parseJump(jump error) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		return &jumpStmt{at: place(p, args), jump: jump}, finish(args)
	}
}

func parseScope(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &scopeStmt{at: place(p, args)}
	err := finish(args)
	if err == nil {
		s.body, err = body(p, "endgeneration")
	}
	return s, err
}

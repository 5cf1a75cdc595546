package jinja

import (
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// params parses a macro's parameters, its opening parenthesis already consumed.
func params(args *parser.Parser) ([]param, error) {
	var out []param
	for args.Match(tokens.RightParenthesis) == nil {
		name := args.Match(tokens.Name)
		if name == nil {
			return nil, args.Error("expected the name of a parameter", args.Current())
		}
		p := param{name: name.Val}
		if args.Match(tokens.Assign) != nil {
			var err error
			if p.value, err = expression(args); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
		if args.Match(tokens.Comma) == nil && args.Current(tokens.RightParenthesis) == nil {
			return nil, args.Error("expected , or )", args.Current())
		}
	}
	return out, nil
}

func parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &macroStmt{at: place(p, args)}
	name := args.Match(tokens.Name)
	if name == nil || args.Match(tokens.LeftParenthesis) == nil {
		return nil, args.Error("expected the name of a macro and (", args.Current())
	}
	s.name = name.Val
	var err error
	if s.params, err = params(args); err != nil {
		return nil, err
	}
	if err = finish(args); err != nil {
		return nil, err
	}
	s.body, err = body(p, "endmacro")
	return s, err
}

func parseCall(p, args *parser.Parser) (nodes.ControlStructure, error) {
	s := &callStmt{at: place(p, args)}
	s.caller = &macroStmt{at: s.at, name: "caller"}
	var err error
	if args.Match(tokens.LeftParenthesis) != nil {
		if s.caller.params, err = params(args); err != nil {
			return nil, err
		}
	}
	e, err := expression(args)
	if err != nil {
		return nil, err
	}
	call, ok := e.(*nodes.Call)
	if !ok {
		return nil, args.Error("expected the call of a macro", args.Current())
	}
	s.call = call
	if err = finish(args); err != nil {
		return nil, err
	}
	s.caller.body, err = body(p, "endcall")
	return s, err
}

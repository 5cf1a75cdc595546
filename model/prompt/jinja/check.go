package jinja

import (
	"fmt"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// checker walks a parsed template once: every expression must be there (the parser leaves a nil where "in" has no left
// side), and every filter and test must be known, so that a template is refused when it is opened and not in mid-chat.
type checker struct{ line int }

func (c *checker) errorf(format string, a ...any) error {
	return &Error{Line: c.line, Message: fmt.Sprintf(format, a...)}
}

func (c *checker) body(ws ...*nodes.Wrapper) error {
	for _, w := range ws {
		if w == nil {
			continue
		}
		if err := c.nodes(w.Nodes); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) nodes(ns []nodes.Node) error {
	for _, n := range ns {
		switch n := n.(type) {
		case *nodes.Output:
			c.line = n.Start.Line
			if err := c.exprs(n.Expression); err != nil {
				return err
			}
		case *nodes.ControlStructureBlock:
			c.line = n.Location.Line
			if err := c.statement(n.ControlStructure); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) statement(n nodes.Node) error {
	switch n := n.(type) {
	case *ifStmt:
		for _, cond := range n.conds {
			if cond == nil { // else
				continue
			}
			if err := c.exprs(cond); err != nil {
				return err
			}
		}
		return c.body(n.bodies...)
	case *forStmt:
		if err := c.exprs(n.over); err != nil {
			return err
		}
		if n.filter != nil {
			if err := c.exprs(n.filter); err != nil {
				return err
			}
		}
		return c.body(n.body, n.empty)
	case *setStmt:
		if n.value != nil {
			return c.exprs(n.value)
		}
		if err := c.filters(n.filters); err != nil {
			return err
		}
		return c.body(n.body)
	case *macroStmt:
		for _, p := range n.params {
			if p.value == nil {
				continue
			}
			if err := c.exprs(p.value); err != nil {
				return err
			}
		}
		return c.body(n.body)
	case *callStmt:
		if err := c.exprs(n.call); err != nil {
			return err
		}
		return c.statement(n.caller)
	case *filterStmt:
		if err := c.filters(n.filters); err != nil {
			return err
		}
		return c.body(n.body)
	case *withStmt:
		if err := c.exprs(n.values...); err != nil {
			return err
		}
		return c.body(n.body)
	case *scopeStmt:
		return c.body(n.body)
	default:
		return nil
	}
}

func (c *checker) filters(fs []*nodes.FilterCall) error {
	for _, f := range fs {
		if _, ok := filters[f.Name]; !ok {
			return c.errorf("no filter named '%s'", f.Name)
		}
		if err := c.call(f.Args, f.Kwargs); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) call(pos []nodes.Expression, kw map[string]nodes.Expression) error {
	for _, e := range pos {
		if err := c.exprs(e); err != nil {
			return err
		}
	}
	for _, e := range kw {
		if err := c.exprs(e); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) exprs(ns ...nodes.Node) error {
	for _, n := range ns {
		if err := c.expr(n); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) expr(n nodes.Node) error {
	switch n := n.(type) {
	case *nodes.None, *nodes.String, *nodes.Integer, *nodes.Float, *nodes.Bool, *nodes.Name:
		return nil
	case *nodes.List:
		return c.call(n.Val, nil)
	case *nodes.Tuple:
		return c.call(n.Val, nil)
	case *nodes.Dict:
		for _, p := range n.Pairs {
			if err := c.exprs(p.Key, p.Value); err != nil {
				return err
			}
		}
		return nil
	case *nodes.Negation:
		return c.exprs(n.Term)
	case *nodes.UnaryExpression:
		return c.exprs(n.Term)
	case *nodes.BinaryExpression:
		return c.exprs(n.Left, n.Right)
	case *nodes.FilteredExpression:
		if err := c.exprs(n.Expression); err != nil {
			return err
		}
		return c.filters(n.Filters)
	case *nodes.TestExpression:
		if !testExists(n.Test.Name) {
			return c.errorf("no test named '%s'", n.Test.Name)
		}
		if err := c.exprs(n.Expression); err != nil {
			return err
		}
		return c.call(n.Test.Args, n.Test.Kwargs)
	case *nodes.Call:
		if err := c.exprs(n.Func); err != nil {
			return err
		}
		return c.call(n.Args, n.Kwargs)
	case *nodes.GetAttribute:
		return c.exprs(n.Node)
	case *nodes.GetItem:
		return c.exprs(n.Node, n.Arg)
	case *nodes.GetSlice:
		for _, part := range []nodes.Node{n.Start, n.End, n.Step} {
			if part == nil {
				continue
			}
			if err := c.expr(part); err != nil {
				return err
			}
		}
		return c.exprs(n.Node)
	default:
		return c.errorf("expected an expression")
	}
}

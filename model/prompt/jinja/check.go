package jinja

import (
	"fmt"
	"slices"

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

// statement checks what a statement holds.
func (c *checker) statement(n nodes.Node) error {
	var exprs []nodes.Node
	var filters []*nodes.FilterCall
	var bodies []*nodes.Wrapper
	switch n := n.(type) {
	case *ifStmt:
		exprs, bodies = present(n.conds...), n.bodies // else has no condition
	case *forStmt:
		exprs, bodies = append(present(n.filter), n.over), []*nodes.Wrapper{n.body, n.empty}
	case *setStmt:
		exprs, filters, bodies = present(n.value), n.filters, []*nodes.Wrapper{n.body}
	case *macroStmt:
		for _, p := range n.params {
			exprs = append(exprs, present(p.value)...)
		}
		bodies = []*nodes.Wrapper{n.body}
	case *callStmt:
		if err := c.expr(n.call); err != nil {
			return err
		}
		return c.statement(n.caller)
	case *filterStmt:
		filters, bodies = n.filters, []*nodes.Wrapper{n.body}
	case *withStmt:
		exprs, bodies = n.values, []*nodes.Wrapper{n.body}
	case *scopeStmt:
		bodies = []*nodes.Wrapper{n.body}
	}
	if err := c.exprs(exprs...); err != nil {
		return err
	}
	if err := c.filters(filters); err != nil {
		return err
	}
	return c.body(bodies...)
}

// present returns the expressions that are there; the others are optional.
func present(ns ...nodes.Node) []nodes.Node {
	return slices.DeleteFunc(slices.Clone(ns), func(n nodes.Node) bool { return n == nil })
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
	case *nodes.FilteredExpression:
		if err := c.filters(n.Filters); err != nil {
			return err
		}
		return c.expr(n.Expression)
	case *nodes.TestExpression:
		if !testExists(n.Test.Name) {
			return c.errorf("no test named '%s'", n.Test.Name)
		}
		if err := c.call(n.Test.Args, n.Test.Kwargs); err != nil {
			return err
		}
		return c.expr(n.Expression)
	case *nodes.Call:
		if err := c.call(n.Args, n.Kwargs); err != nil {
			return err
		}
		return c.expr(n.Func)
	}
	parts, known := operands(n)
	if !known {
		return c.errorf("expected an expression")
	}
	return c.exprs(parts...)
}

// operands returns the expressions that an expression consists of; known is false if it is none, nil above all.
func operands(n nodes.Node) (parts []nodes.Node, known bool) {
	switch n := n.(type) {
	case *nodes.None, *nodes.String, *nodes.Integer, *nodes.Float, *nodes.Bool, *nodes.Name:
		return nil, true
	case *nodes.List:
		return asNodes(n.Val), true
	case *nodes.Tuple:
		return asNodes(n.Val), true
	case *nodes.Dict:
		for _, p := range n.Pairs {
			parts = append(parts, p.Key, p.Value)
		}
		return parts, true
	case *nodes.Negation:
		return []nodes.Node{n.Term}, true
	case *nodes.UnaryExpression:
		return []nodes.Node{n.Term}, true
	case *nodes.BinaryExpression:
		return []nodes.Node{n.Left, n.Right}, true
	case *nodes.GetAttribute:
		return []nodes.Node{n.Node}, true
	case *nodes.GetItem:
		return []nodes.Node{n.Node, n.Arg}, true
	case *nodes.GetSlice:
		return append(present(n.Start, n.End, n.Step), n.Node), true
	default:
		return nil, false
	}
}

func asNodes(exprs []nodes.Expression) []nodes.Node {
	out := make([]nodes.Node, len(exprs))
	for i, e := range exprs {
		out[i] = e
	}
	return out
}

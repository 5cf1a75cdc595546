package jinja

import (
	"errors"
	"time"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// run is one rendering.
type run struct {
	budget
	now   func() time.Time
	out   *builder
	known *tables
}

// scope holds the variables of a block. Reading goes up to the template's; setting stays in the scope.
type scope struct {
	vars map[string]Value
	up   *scope
}

func (s *scope) get(name string) (Value, bool) {
	for ; s != nil; s = s.up {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

func (s *scope) set(name string, v Value) {
	if s.vars == nil {
		s.vars = map[string]Value{}
	}
	s.vars[name] = v
}

func (s *scope) inner() *scope { return &scope{up: s} }

// errBreak and errContinue leave a loop's body.
var (
	errBreak    = errors.New("break")
	errContinue = errors.New("continue")
)

// insideLoop turns a jump that has left what it may leave into an error.
func insideLoop(err error) error {
	if errors.Is(err, errBreak) || errors.Is(err, errContinue) {
		return errf("%v outside of a loop", err)
	}
	return err
}

// exec runs a body.
func (r *run) exec(body []nodes.Node, s *scope) error {
	for _, n := range body {
		if err := r.node(n, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) node(n nodes.Node, s *scope) error {
	switch n := n.(type) {
	case *nodes.Data:
		if err := r.spendText(len(n.Data.Val)); err != nil {
			return located(err, n.Data.Line)
		}
		r.out.plain(n.Data.Val)
		return nil
	case *nodes.Output:
		return located(r.output(n, s), n.Start.Line)
	case *nodes.ControlStructureBlock:
		if err := r.enter(); err != nil {
			return located(err, n.Location.Line)
		}
		defer r.leave()
		return located(r.statement(n.ControlStructure, s), n.Location.Line)
	default:
		return nil
	}
}

// output writes the value of {{ expression }}.
func (r *run) output(n *nodes.Output, s *scope) error {
	v, err := r.eval(n.Expression, s)
	if err != nil {
		return err
	}
	t, err := r.str(v)
	if err != nil {
		return err
	}
	if err := r.spendTexts(t); err != nil {
		return err
	}
	r.out.text(t)
	return nil
}

func (r *run) statement(n nodes.Node, s *scope) error {
	switch n := n.(type) {
	case *ifStmt:
		return r.ifElse(n, s)
	case *forStmt:
		return r.forEach(n, s)
	case *setStmt:
		return r.assign(n, s)
	case *macroStmt:
		s.set(n.name, &macro{def: n, scope: s})
		return nil
	case *callStmt:
		return r.callBlock(n, s)
	case *filterStmt:
		t, err := r.capture(n.body, s.inner())
		if err != nil {
			return err
		}
		return r.write(r.filters(t, n.filters, s))
	case *withStmt:
		inner := s.inner()
		for i, name := range n.names {
			v, err := r.eval(n.values[i], s)
			if err != nil {
				return err
			}
			inner.set(name, v)
		}
		return r.exec(n.body.Nodes, inner)
	case *jumpStmt:
		return n.jump
	case *scopeStmt:
		return r.exec(n.body.Nodes, s.inner())
	default:
		return errf("unknown statement")
	}
}

// write writes a value that an earlier step returned with its error.
func (r *run) write(v Value, err error) error {
	if err != nil {
		return err
	}
	t, err := r.str(v)
	if err != nil {
		return err
	}
	r.out.text(t)
	return r.spendTexts(t)
}

// capture returns what a body writes.
func (r *run) capture(body *nodes.Wrapper, s *scope) (Text, error) {
	outer := r.out
	r.out = &builder{}
	err := r.exec(body.Nodes, s)
	t := r.out.done()
	r.out = outer
	return t, err
}

func (r *run) ifElse(n *ifStmt, s *scope) error {
	for i, cond := range n.conds {
		if cond != nil {
			v, err := r.eval(cond, s)
			if err != nil {
				return err
			}
			if !truth(v) {
				continue
			}
		}
		return r.exec(n.bodies[i].Nodes, s)
	}
	return nil
}

func (r *run) assign(n *setStmt, s *scope) error {
	var v Value
	var err error
	if n.value != nil {
		v, err = r.eval(n.value, s)
	} else {
		var t Text
		if t, err = r.capture(n.body, s.inner()); err == nil {
			v, err = r.filters(t, n.filters, s)
		}
	}
	if err != nil {
		return err
	}
	values := []Value{v}
	if len(n.targets) > 1 {
		if values, err = r.unpack(v, len(n.targets)); err != nil {
			return err
		}
	}
	for i, target := range n.targets {
		switch t := target.(type) {
		case *nodes.Name:
			s.set(t.Name.Val, values[i])
		case *nodes.GetAttribute:
			holder, err := r.eval(t.Node, s)
			if err != nil {
				return err
			}
			ns, ok := holder.(*namespace)
			if !ok {
				return errf("cannot assign attribute on non-namespace object")
			}
			ns.vars[t.Attribute] = values[i]
		}
	}
	return nil
}

// unpack returns the n elements of a value, as an assignment to n names does.
func (r *run) unpack(v Value, n int) ([]Value, error) {
	items, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	switch {
	case len(items) < n:
		return nil, errf("not enough values to unpack (expected %d, got %d)", n, len(items))
	case len(items) > n:
		return nil, errf("too many values to unpack (expected %d)", n)
	}
	return items, nil
}

package jinja

import "errors"

// loop is the variable of that name inside of a for statement.
type loop struct {
	items []Value
	index int // 0-based
	depth int // 0-based
	last  []Value
	// again runs the same statement for the elements of another value; nil unless the loop is recursive.
	again func(v Value) (Value, error)
}

// forEach runs a for statement.
func (r *run) forEach(n *forStmt, s *scope) error {
	v, err := r.eval(n.over, s)
	if err != nil {
		return err
	}
	return r.forItems(n, s, v, 0)
}

func (r *run) forItems(n *forStmt, s *scope, v Value, depth int) error {
	items, err := r.iterate(v)
	if err != nil {
		return err
	}
	if n.filter != nil {
		var kept []Value
		for _, item := range items {
			inner := s.inner()
			if err := r.bind(n, inner, item); err != nil {
				return err
			}
			ok, err := r.eval(n.filter, inner)
			if err != nil {
				return err
			}
			if truth(ok) {
				kept = append(kept, item)
			}
		}
		items = kept
	}
	if len(items) == 0 {
		if n.empty == nil {
			return nil
		}
		return r.exec(n.empty.Nodes, s.inner())
	}
	l := &loop{items: items, depth: depth}
	if n.recursive {
		l.again = func(v Value) (Value, error) { return r.recurse(n, s, v, depth+1) }
	}
	for l.index = range items {
		if err := r.spend(2); err != nil {
			return err
		}
		inner := s.inner()
		inner.set("loop", l)
		if err := r.bind(n, inner, items[l.index]); err != nil {
			return err
		}
		err := r.exec(n.body.Nodes, inner)
		if errors.Is(err, errBreak) {
			return nil
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	return nil
}

// recurse renders a recursive loop over v and returns what it writes.
func (r *run) recurse(n *forStmt, s *scope, v Value, depth int) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	outer := r.out
	r.out = &builder{}
	err := r.forItems(n, s, v, depth)
	t := r.out.done()
	r.out = outer
	return t, err
}

// bind sets the loop variables.
func (r *run) bind(n *forStmt, s *scope, item Value) error {
	if len(n.targets) == 1 {
		s.set(n.targets[0], item)
		return nil
	}
	values, err := r.unpack(item, len(n.targets))
	if err != nil {
		return err
	}
	for i, name := range n.targets {
		s.set(name, values[i])
	}
	return nil
}

// attr returns an attribute of the loop variable.
func (l *loop) attr(name string) (Value, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(n - l.index), true
	case "revindex0":
		return int64(n - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == n-1, true
	case "length":
		return int64(n), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		if l.index == 0 {
			return undefined{"there is no previous item"}, true
		}
		return l.items[l.index-1], true
	case "nextitem":
		if l.index == n-1 {
			return undefined{"there is no next item"}, true
		}
		return l.items[l.index+1], true
	case "cycle":
		return &function{name: "cycle", call: func(_ *run, a *args) (Value, error) {
			if len(a.pos) == 0 {
				return nil, errf("no items for cycling given")
			}
			return a.pos[l.index%len(a.pos)], nil
		}}, true
	case "changed":
		return &function{name: "changed", call: l.changed}, true
	default:
		return nil, false
	}
}

// changed reports whether its arguments differ from those of the last call in this loop.
func (l *loop) changed(r *run, a *args) (Value, error) {
	if l.last != nil {
		same, err := r.equal(&list{items: l.last}, &list{items: a.pos})
		if err != nil || same {
			return false, err
		}
	}
	l.last = append([]Value{}, a.pos...)
	return true, nil
}

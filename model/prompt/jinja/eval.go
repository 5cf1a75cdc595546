package jinja

import (
	"sort"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// eval returns the value of an expression.
func (r *run) eval(n nodes.Node, s *scope) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	v, err := r.expr(n, s)
	r.leave()
	return v, err
}

func (r *run) expr(n nodes.Node, s *scope) (Value, error) {
	switch n := n.(type) {
	case *nodes.None:
		return nil, nil
	case *nodes.String:
		return Plain(n.Val), nil
	case *nodes.Integer:
		return int64(n.Val), nil
	case *nodes.Float:
		return n.Val, nil
	case *nodes.Bool:
		return n.Val, nil
	case *nodes.Name:
		if v, ok := s.get(n.Name.Val); ok {
			return v, nil
		}
		return undefined{"'" + n.Name.Val + "' is undefined"}, nil
	case *nodes.List:
		items, err := r.evalAll(n.Val, s)
		return &list{items: items}, err
	case *nodes.Tuple:
		items, err := r.evalAll(n.Val, s)
		return &list{items: items, tuple: true}, err
	case *nodes.Dict:
		return r.dictLiteral(n, s)
	case *nodes.Negation:
		v, err := r.eval(n.Term, s)
		return !truth(v), err
	case *nodes.UnaryExpression:
		return r.unary(n, s)
	case *nodes.BinaryExpression:
		return r.binary(n, s)
	case *nodes.FilteredExpression:
		v, err := r.eval(n.Expression, s)
		if err != nil {
			return nil, err
		}
		return r.filters(v, n.Filters, s)
	case *nodes.TestExpression:
		return r.test(n, s)
	case *nodes.Call:
		return r.callExpr(n, s)
	default:
		return r.access(n, s)
	}
}

// access evaluates x.name, x[key] and x[a:b:c].
func (r *run) access(n nodes.Node, s *scope) (Value, error) {
	switch n := n.(type) {
	case *nodes.GetAttribute:
		v, err := r.eval(n.Node, s)
		if err != nil {
			return nil, err
		}
		if n.Attribute == "" {
			return r.item(v, int64(n.Index))
		}
		return r.attribute(v, n.Attribute)
	case *nodes.GetItem:
		v, err := r.eval(n.Node, s)
		if err != nil {
			return nil, err
		}
		key, err := r.eval(n.Arg, s)
		if err != nil {
			return nil, err
		}
		return r.item(v, key)
	case *nodes.GetSlice:
		return r.slice(n, s)
	default:
		return nil, errf("expected an expression")
	}
}

func (r *run) evalAll(exprs []nodes.Expression, s *scope) ([]Value, error) {
	items := make([]Value, 0, len(exprs))
	for _, e := range exprs {
		v, err := r.eval(e, s)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, nil
}

func (r *run) dictLiteral(n *nodes.Dict, s *scope) (Value, error) {
	d := newDict(len(n.Pairs))
	for _, p := range n.Pairs {
		k, err := r.eval(p.Key, s)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(p.Value, s)
		if err != nil {
			return nil, err
		}
		h, ok := hash(k)
		if !ok {
			return nil, errf("unhashable type: '%s'", typeName(k))
		}
		d.set(k, h, v)
	}
	return d, nil
}

// attribute is x.name: an attribute of the object, else an element of that name.
func (r *run) attribute(v Value, name string) (Value, error) {
	switch x := v.(type) {
	case undefined:
		return nil, errf("%s", x.why)
	case *loop:
		if a, ok := x.attr(name); ok {
			return a, nil
		}
	case *namespace:
		if a, ok := x.vars[name]; ok {
			return a, nil
		}
	case *macro:
		if name == "name" {
			return Plain(x.def.name), nil
		}
	}
	if m, err := r.method(v, name); m != nil || err != nil {
		return m, err
	}
	if d, ok := v.(*dict); ok {
		if e, ok := d.get(Plain(name)); ok {
			return e, nil
		}
	}
	return noAttribute(v, name), nil
}

func noAttribute(v Value, name string) undefined {
	if v == nil {
		return undefined{"'None' has no attribute '" + name + "'"}
	}
	return undefined{"'" + typeName(v) + " object' has no attribute '" + name + "'"}
}

// item is x[key]: an element of the object, else an attribute of that name.
func (r *run) item(v, key Value) (Value, error) {
	if u, ok := v.(undefined); ok {
		return nil, errf("%s", u.why)
	}
	switch x := v.(type) {
	case *dict:
		if e, ok := x.get(key); ok {
			return e, nil
		}
	case *list:
		if i, _, isInt, _ := asNumber(key); isInt {
			if i < 0 {
				i += int64(len(x.items))
			}
			if i >= 0 && i < int64(len(x.items)) {
				return x.items[i], nil
			}
		}
	case Text:
		if i, _, isInt, _ := asNumber(key); isInt {
			if err := r.spendRunes(x); err != nil {
				return nil, err
			}
			at := x.runes()
			if i < 0 {
				i += int64(len(at) - 1)
			}
			if i >= 0 && i < int64(len(at)-1) {
				return x.slice(at[i], at[i+1]), nil
			}
		}
	}
	if name, ok := key.(Text); ok {
		return r.attribute(v, name.String)
	}
	k, err := r.str(key)
	return undefined{"'" + typeName(v) + " object' has no element " + k.String}, err
}

// slice is x[start:end:step] with Python's rules.
func (r *run) slice(n *nodes.GetSlice, s *scope) (Value, error) {
	v, err := r.eval(n.Node, s)
	if err != nil {
		return nil, err
	}
	var at []int
	size := 0
	switch x := v.(type) {
	case undefined:
		return nil, errf("%s", x.why)
	case Text:
		if err := r.spendRunes(x); err != nil {
			return nil, err
		}
		at = x.runes()
		size = len(at) - 1
	case *list:
		size = len(x.items)
	default:
		return undefined{"'" + typeName(v) + " object' has no slices"}, nil
	}
	start, count, step, err := r.bounds(n, s, size)
	if err != nil {
		return nil, err
	}
	if err := r.spend(count); err != nil {
		return nil, err
	}
	if t, ok := v.(Text); ok {
		if step == 1 {
			return t.slice(at[start], at[start+count]), nil
		}
		var b builder
		for i := 0; i < count; i++ {
			at := at[start+i*step:]
			b.text(t.slice(at[0], at[1]))
		}
		return b.done(), nil
	}
	l := v.(*list)
	out := make([]Value, count)
	for i := range out {
		out[i] = l.items[start+i*step]
	}
	return &list{items: out, tuple: l.tuple}, nil
}

// bounds evaluates a slice's three parts for a sequence of n elements: the first index, how many, and the step.
func (r *run) bounds(n *nodes.GetSlice, s *scope, size int) (start, count, step int, err error) {
	part := func(e nodes.Node, otherwise int) (int, error) {
		if e == nil {
			return otherwise, nil
		}
		v, err := r.eval(e, s)
		if err != nil {
			return 0, err
		}
		if v == nil {
			return otherwise, nil
		}
		i, _, isInt, _ := asNumber(v)
		if !isInt {
			return 0, errf("slice indices must be integers or None, not %s", typeName(v))
		}
		return int(max(min(i, int64(1)<<40), -(int64(1) << 40))), nil
	}
	if step, err = part(n.Step, 1); err != nil {
		return 0, 0, 0, err
	}
	if step == 0 {
		return 0, 0, 0, errf("slice step cannot be zero")
	}
	low, high, first, last := 0, size, 0, size
	if step < 0 {
		low, high, first, last = -1, size-1, size-1, -1
	}
	const unset = 1 << 41
	clamp := func(i, otherwise int) int {
		switch {
		case i == unset:
			return otherwise
		case i < 0:
			return max(i+size, low)
		default:
			return min(i, high)
		}
	}
	a, err := part(n.Start, unset)
	if err != nil {
		return 0, 0, 0, err
	}
	b, err := part(n.End, unset)
	if err != nil {
		return 0, 0, 0, err
	}
	start = clamp(a, first)
	end := clamp(b, last)
	if step > 0 {
		count = max(0, (end-start+step-1)/step)
	} else {
		count = max(0, (start-end-step-1)/-step)
	}
	if count == 0 {
		start = 0
	}
	return start, count, step, nil
}

// keywords evaluates keyword arguments in the order in which they are written; the parser keeps them in a map.
func (r *run) keywords(kw map[string]nodes.Expression, s *scope) ([]keyword, error) {
	names := make([]string, 0, len(kw))
	for name := range kw {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return position(kw[names[i]]) < position(kw[names[j]]) })
	out := make([]keyword, 0, len(kw))
	for _, name := range names {
		v, err := r.eval(kw[name], s)
		if err != nil {
			return nil, err
		}
		out = append(out, keyword{name, v})
	}
	return out, nil
}

func position(e nodes.Expression) int {
	if t := e.Position(); t != nil {
		return t.Pos
	}
	return 0
}

// arguments evaluates a call's arguments.
func (r *run) arguments(pos []nodes.Expression, kw map[string]nodes.Expression, s *scope) (*args, error) {
	p, err := r.evalAll(pos, s)
	if err != nil {
		return nil, err
	}
	k, err := r.keywords(kw, s)
	return &args{pos: p, kw: k}, err
}

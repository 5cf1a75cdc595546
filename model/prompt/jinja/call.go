package jinja

import (
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// args are the arguments of a call.
type args struct {
	pos []Value
	kw  []keyword
}

type keyword struct {
	name  string
	value Value
}

// function is a callable of Go: a global, or a method bound to its object.
type function struct {
	name string
	call func(r *run, a *args) (Value, error)
}

// macro is a callable of the template.
type macro struct {
	def   *macroStmt
	scope *scope // where it was defined
}

// absent stands for an optional argument that was not given.
type absent struct{}

// take matches arguments with parameter names. A name that ends with "?" is optional and yields absent when missing.
func (a *args) take(function string, names ...string) ([]Value, error) {
	if len(a.pos) > len(names) {
		return nil, errf("%s() takes at most %d arguments (%d given)", function, len(names), len(a.pos))
	}
	out := make([]Value, len(names))
	for i := range out {
		out[i] = absent{}
	}
	copy(out, a.pos)
next:
	for _, k := range a.kw {
		for i, name := range names {
			if strings.TrimSuffix(name, "?") != k.name {
				continue
			}
			if i < len(a.pos) {
				return nil, errf("%s() got multiple values for argument '%s'", function, k.name)
			}
			out[i] = k.value
			continue next
		}
		return nil, errf("%s() got an unexpected keyword argument '%s'", function, k.name)
	}
	for i, name := range names {
		if out[i] == (absent{}) && !strings.HasSuffix(name, "?") {
			return nil, errf("%s() missing required argument '%s'", function, name)
		}
	}
	return out, nil
}

// textArg returns an argument that must be a string; an absent one is otherwise.
func textArg(function string, v Value, otherwise string) (Text, error) {
	switch v := v.(type) {
	case absent:
		return Plain(otherwise), nil
	case Text:
		return v, nil
	default:
		return Text{}, errf("%s() needs a string, not '%s'", function, typeName(v))
	}
}

// intArg returns an argument that must be an integer; an absent one is otherwise.
func intArg(function string, v Value, otherwise int) (int, error) {
	if v == (absent{}) {
		return otherwise, nil
	}
	i, _, isInt, _ := asNumber(v)
	if !isInt || int64(int32(i)) != i {
		return 0, errf("%s() needs an integer of at most 32 bits, not '%s'", function, typeName(v))
	}
	return int(i), nil
}

// callExpr evaluates f(…); a conditional expression is such a call too, and evaluates one branch only.
func (r *run) callExpr(n *nodes.Call, s *scope) (Value, error) {
	if name, ok := n.Func.(*nodes.Name); ok && name.Name.Val == condName {
		cond, err := r.eval(n.Args[0], s)
		switch {
		case err != nil:
			return nil, err
		case truth(cond):
			return r.eval(n.Args[1], s)
		case len(n.Args) == 3:
			return r.eval(n.Args[2], s)
		default:
			return undefined{"the inline if-expression evaluated to false and no else section was defined"}, nil
		}
	}
	f, err := r.eval(n.Func, s)
	if err != nil {
		return nil, err
	}
	a, err := r.arguments(n.Args, n.Kwargs, s)
	if err != nil {
		return nil, err
	}
	return r.call(f, a)
}

func (r *run) call(f Value, a *args) (Value, error) {
	switch f := f.(type) {
	case *function:
		return f.call(r, a)
	case *macro:
		return r.callMacro(f, a)
	case *loop:
		v, err := a.take("loop", "iterable")
		if err != nil {
			return nil, err
		}
		if f.again == nil {
			return nil, errf("the loop must have the 'recursive' marker to be called recursively")
		}
		return f.again(v[0])
	case undefined:
		return nil, errf("%s", f.why)
	default:
		return nil, errf("'%s' object is not callable", typeName(f))
	}
}

// callMacro runs a macro in a scope of its own, above which lies the scope of its definition.
func (r *run) callMacro(m *macro, a *args) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	s := m.scope.inner()
	for i, p := range m.def.params {
		if i < len(a.pos) {
			s.set(p.name, a.pos[i])
		}
	}
	extra := newDict(0)
next:
	for _, k := range a.kw {
		for i, p := range m.def.params {
			if p.name != k.name {
				continue
			}
			if i < len(a.pos) {
				return nil, errf("macro '%s' got multiple values for argument '%s'", m.def.name, p.name)
			}
			s.set(p.name, k.value)
			continue next
		}
		if k.name == "caller" {
			s.set("caller", k.value)
			continue
		}
		extra.set(Plain(k.name), k.name, k.value)
	}
	s.set("kwargs", extra)
	s.set("varargs", &list{items: a.pos[min(len(a.pos), len(m.def.params)):], tuple: true})
	for _, p := range m.def.params {
		if _, ok := s.vars[p.name]; ok {
			continue
		}
		if p.value == nil {
			s.set(p.name, undefined{"parameter '" + p.name + "' was not provided"})
			continue
		}
		v, err := r.eval(p.value, s)
		if err != nil {
			return nil, err
		}
		s.set(p.name, v)
	}
	t, err := r.capture(m.def.body, s)
	return t, insideLoop(err)
}

// callBlock runs {% call f(…) %}body{% endcall %}: f may write the body with caller().
func (r *run) callBlock(n *callStmt, s *scope) error {
	f, err := r.eval(n.call.Func, s)
	if err != nil {
		return err
	}
	a, err := r.arguments(n.call.Args, n.call.Kwargs, s)
	if err != nil {
		return err
	}
	a.kw = append(a.kw, keyword{"caller", &macro{def: n.caller, scope: s}})
	return r.write(r.call(f, a))
}

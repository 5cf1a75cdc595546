package jinja

import (
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// maxRange is the sandbox's own limit (jinja2/sandbox.py, MAX_RANGE).
const maxRange = 100000

var plus = &tokens.Token{Type: tokens.Addition, Val: "+"}

// globals returns the functions that every template has: Jinja's own and the two of transformers.
func (r *run) globals() map[string]Value {
	return map[string]Value{
		"range":           &function{name: "range", call: rangeOf},
		"dict":            &function{name: "dict", call: dictOf},
		"namespace":       &function{name: "namespace", call: namespaceOf},
		"joiner":          &function{name: "joiner", call: joiner},
		"cycler":          &function{name: "cycler", call: cycler},
		"raise_exception": &function{name: "raise_exception", call: raise},
		"strftime_now":    &function{name: "strftime_now", call: strftimeNow},
	}
}

func rangeOf(r *run, a *args) (Value, error) {
	p, err := a.take("range", "start", "stop?", "step?")
	if err != nil {
		return nil, err
	}
	start, err := intArg("range", p[0], 0)
	if err != nil {
		return nil, err
	}
	stop, err := intArg("range", p[1], 0)
	if err != nil {
		return nil, err
	}
	step, err := intArg("range", p[2], 1)
	if err != nil {
		return nil, err
	}
	if p[1] == (absent{}) {
		start, stop = 0, start
	}
	n := 0
	switch {
	case step == 0:
		return nil, errf("range() arg 3 must not be zero")
	case step > 0:
		n = max(0, (stop-start+step-1)/step)
	default:
		n = max(0, (start-stop-step-1)/-step)
	}
	if n > maxRange {
		return nil, errf("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	if err := r.spend(n); err != nil {
		return nil, err
	}
	out := make([]Value, n)
	for i := range out {
		out[i] = int64(start + i*step)
	}
	return &list{items: out}, nil
}

func dictOf(r *run, a *args) (Value, error) {
	d := newDict(len(a.kw))
	for _, v := range a.pos {
		from, ok := v.(*dict)
		if !ok {
			return nil, errf("dict() needs a dict or keyword arguments, not '%s'", typeName(v))
		}
		if err := r.spend(len(from.keys)); err != nil {
			return nil, err
		}
		for i, k := range from.keys {
			h, _ := hash(k)
			d.set(k, h, from.vals[i])
		}
	}
	for _, k := range a.kw {
		d.set(Plain(k.name), k.name, k.value)
	}
	return d, nil
}

func namespaceOf(r *run, a *args) (Value, error) {
	d, err := dictOf(r, a)
	if err != nil {
		return nil, err
	}
	ns := &namespace{vars: map[string]Value{}}
	for i, k := range d.(*dict).keys {
		if name, ok := k.(Text); ok {
			ns.vars[name.String] = d.(*dict).vals[i]
		}
	}
	return ns, nil
}

// joiner returns a function that is empty on its first call and the separator after it.
func joiner(_ *run, a *args) (Value, error) {
	p, err := a.take("joiner", "sep?")
	if err != nil {
		return nil, err
	}
	sep, err := textArg("joiner", p[0], ", ")
	if err != nil {
		return nil, err
	}
	used := false
	return &function{name: "joiner", call: func(*run, *args) (Value, error) {
		if !used {
			used = true
			return Plain(""), nil
		}
		return sep, nil
	}}, nil
}

// cycler returns an object whose next() goes around its elements.
func cycler(_ *run, a *args) (Value, error) {
	if len(a.pos) == 0 {
		return nil, errf("at least one item has to be provided")
	}
	at := 0
	ns := &namespace{vars: map[string]Value{"current": a.pos[0]}}
	ns.vars["next"] = &function{name: "next", call: func(*run, *args) (Value, error) {
		v := a.pos[at]
		at = (at + 1) % len(a.pos)
		ns.vars["current"] = a.pos[at]
		return v, nil
	}}
	ns.vars["reset"] = &function{name: "reset", call: func(*run, *args) (Value, error) {
		at = 0
		ns.vars["current"] = a.pos[0]
		return nil, nil
	}}
	return ns, nil
}

// raise is raise_exception(message): the template refuses the conversation.
func raise(r *run, a *args) (Value, error) {
	p, err := a.take("raise_exception", "message")
	if err != nil {
		return nil, err
	}
	t, err := r.str(p[0])
	if err != nil {
		return nil, err
	}
	return nil, &Error{Message: t.String, Raised: true}
}

func strftimeNow(r *run, a *args) (Value, error) {
	p, err := a.take("strftime_now", "format")
	if err != nil {
		return nil, err
	}
	layout, err := textArg("strftime_now", p[0], "")
	if err != nil {
		return nil, err
	}
	if err := r.spend(1 + len(layout.String)*4); err != nil {
		return nil, err
	}
	return Plain(strftime(layout.String, r.now())), nil
}

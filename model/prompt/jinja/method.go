package jinja

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tables are all that a template can call by name on a value.
type tables struct{ filters, str, list, dict map[string]filter }

var builtins = tables{filters: filters, str: stringMethods, list: listMethods, dict: dictMethods}

// mutating methods are refused by the sandbox (jinja2/sandbox.py, _mutable_spec).
var mutating = map[string][]string{
	"list": {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"},
	"dict": {"clear", "pop", "popitem", "setdefault", "update"},
}

// method returns a method bound to its object, nil if the object has none of that name.
func (r *run) method(v Value, name string) (Value, error) {
	var table map[string]filter
	switch v.(type) {
	case Text:
		table = r.known.str
	case *list:
		table = r.known.list
	case *dict:
		table = r.known.dict
	default:
		return nil, nil
	}
	if f, ok := table[name]; ok {
		return &function{name: name, call: func(r *run, a *args) (Value, error) {
			if err := r.spend(1); err != nil {
				return nil, err
			}
			return f(r, v, a)
		}}, nil
	}
	if slices.Contains(mutating[typeName(v)], name) {
		return nil, errf("access to attribute '%s' of '%s' object is unsafe.", name, typeName(v))
	}
	return nil, nil
}

var listMethods = map[string]filter{
	"count": func(r *run, v Value, a *args) (Value, error) {
		p, err := a.take("count", "value")
		if err != nil {
			return nil, err
		}
		n := int64(0)
		for _, e := range v.(*list).items {
			same, err := r.equal(e, p[0])
			if err != nil {
				return nil, err
			}
			if same {
				n++
			}
		}
		return n, nil
	},
	"index": func(r *run, v Value, a *args) (Value, error) {
		p, err := a.take("index", "value")
		if err != nil {
			return nil, err
		}
		for i, e := range v.(*list).items {
			if same, err := r.equal(e, p[0]); same || err != nil {
				return int64(i), err
			}
		}
		return nil, errf("value is not in list")
	},
	"copy": identity,
}

var dictMethods = map[string]filter{
	"items": items,
	"copy":  identity,
	"keys": func(r *run, v Value, _ *args) (Value, error) {
		d := v.(*dict)
		return &list{items: d.keys}, r.spend(len(d.keys))
	},
	"values": func(r *run, v Value, _ *args) (Value, error) {
		d := v.(*dict)
		return &list{items: d.vals}, r.spend(len(d.keys))
	},
	"get": func(_ *run, v Value, a *args) (Value, error) {
		p, err := a.take("get", "key", "default?")
		if err != nil {
			return nil, err
		}
		if e, ok := v.(*dict).get(p[0]); ok {
			return e, nil
		}
		if p[1] == (absent{}) {
			return nil, nil
		}
		return p[1], nil
	},
}

// onText makes a method of a function on a text; the whole text is paid for, character by character.
func onText(f func(r *run, t Text, a *args) (Value, error)) filter {
	return func(r *run, v Value, a *args) (Value, error) {
		t := v.(Text)
		if err := r.spendRunes(t); err != nil {
			return nil, err
		}
		return f(r, t, a)
	}
}

// mapped makes a method that replaces each character.
func mapped(f func(s string) string) filter {
	return onText(func(_ *run, t Text, _ *args) (Value, error) {
		if len(t.User) == 0 {
			return Plain(f(t.String)), nil
		}
		return t.mapRunes(func(_ int, c rune) string { return f(string(c)) }), nil
	})
}

// all makes a method that is true if f holds for all characters and there are some.
func all(f func(rune) bool) filter {
	return onText(func(_ *run, t Text, _ *args) (Value, error) {
		return t.String != "" && strings.IndexFunc(t.String, func(c rune) bool { return !f(c) }) < 0, nil
	})
}

// cased makes isupper and islower: some character has a case, and all that have one are of this.
func cased(want, other func(rune) bool) filter {
	return onText(func(_ *run, t Text, _ *args) (Value, error) {
		return strings.IndexFunc(t.String, want) >= 0 && strings.IndexFunc(t.String, other) < 0, nil
	})
}

func isAlnum(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }

// upper is str.upper. Of the characters whose upper case has two letters it knows the one in common use.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

// swapCase is str.swapcase for one character.
func swapCase(s string) string {
	return strings.ReplaceAll(strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s), "ß", "SS")
}

// capitalize puts the first character in upper and all others in lower case.
func capitalize(_ *run, t Text, _ *args) (Value, error) {
	return t.mapRunes(func(i int, c rune) string {
		if i == 0 {
			return strings.ToUpper(string(c))
		}
		return strings.ToLower(string(c))
	}), nil
}

// title puts the first letter of each word in upper, the others in lower case; breaks tells where a word ends.
func title(t Text, breaks func(rune) bool) Text {
	inside := false
	return t.mapRunes(func(_ int, c rune) string {
		was := inside
		inside = !breaks(c)
		if was {
			return strings.ToLower(string(c))
		}
		return strings.ToUpper(string(c))
	})
}

// titleFilter is Jinja's filter: words end at blanks, hyphens and opening brackets. The method ends them at any character that
// is no letter.
func titleFilter(r *run, v Value, _ *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return title(t, func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) }), r.spendRunes(t)
}

// within returns the byte range that the optional arguments start and end, in characters, leave of a text.
func (r *run) within(t Text, start, end Value) (i, j int, at []int, err error) {
	at = t.runes()
	n := len(at) - 1
	a, err := intArg("find", start, 0)
	if err != nil {
		return 0, 0, nil, err
	}
	b := n
	if end != nil {
		if b, err = intArg("find", end, n); err != nil {
			return 0, 0, nil, err
		}
	}
	if a < 0 {
		a = max(0, a+n)
	}
	if b < 0 {
		b = max(0, b+n)
	}
	b = min(b, n)
	if a > b {
		return len(t.String), len(t.String), at, nil
	}
	return at[a], at[b], at, nil
}

// find makes find, rfind, index and rindex; strict ones refuse what is not there.
func findMethod(index func(s, sub string) int, strict bool) filter {
	return onText(func(r *run, t Text, a *args) (Value, error) {
		p, err := a.take("find", "sub", "start?", "end?")
		if err != nil {
			return nil, err
		}
		sub, err := textArg("find", p[0], "")
		if err != nil {
			return nil, err
		}
		i, j, _, err := r.within(t, p[1], p[2])
		if err != nil {
			return nil, err
		}
		k := index(t.String[i:j], sub.String)
		switch {
		case k >= 0:
			return int64(utf8.RuneCountInString(t.String[:i+k])), nil
		case strict:
			return nil, errf("substring not found")
		default:
			return int64(-1), nil
		}
	})
}

// affix makes startswith and endswith, which take a string or a tuple of strings.
func affix(has func(s, sub string) bool) filter {
	return onText(func(r *run, t Text, a *args) (Value, error) {
		p, err := a.take("startswith", "prefix", "start?", "end?")
		if err != nil {
			return nil, err
		}
		i, j, _, err := r.within(t, p[1], p[2])
		if err != nil {
			return nil, err
		}
		options := []Value{p[0]}
		if l, ok := p[0].(*list); ok && l.tuple {
			options = l.items
		}
		if err := r.spend(len(options)); err != nil {
			return nil, err
		}
		for _, o := range options {
			sub, err := textArg("startswith", o, "")
			if err != nil {
				return nil, err
			}
			if has(t.String[i:j], sub.String) {
				return true, nil
			}
		}
		return false, nil
	})
}

package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is what an expression yields: nil (None), undefined, bool, int64, float64, Text, *list, *dict, *namespace or a
// callable. Lists and dicts never change once they are made; a namespace is the only thing that a template can change.
type Value = any

// undefined is the value of a name or an element that does not exist; why is the error of whoever needs more than its
// emptiness.
type undefined struct{ why string }

// list is a Python list or tuple.
type list struct {
	items []Value
	tuple bool
}

// dict keeps the order of insertion.
type dict struct {
	keys, vals []Value
	at         map[any]int
}

// namespace is what namespace() returns.
type namespace struct{ vars map[string]Value }

// List returns a list value.
func List(items ...Value) Value { return &list{items: items} }

// Pair is one element of a dict.
type Pair struct {
	Key   string
	Value Value
}

// Dict returns a dict value with its keys in the order given.
func Dict(pairs ...Pair) Value {
	d := newDict(len(pairs))
	for _, p := range pairs {
		d.set(Plain(p.Key), p.Key, p.Value)
	}
	return d
}

func newDict(n int) *dict { return &dict{at: make(map[any]int, n)} }

func (d *dict) set(key Value, hash any, val Value) {
	if i, ok := d.at[hash]; ok {
		d.vals[i] = val
		return
	}
	d.at[hash] = len(d.keys)
	d.keys, d.vals = append(d.keys, key), append(d.vals, val)
}

// get looks a key up; an unhashable one is not there.
func (d *dict) get(key Value) (Value, bool) {
	h, ok := hash(key)
	if !ok {
		return nil, false
	}
	i, ok := d.at[h]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// noneHash stands for None as a key.
type noneHash struct{}

// hash returns a Go key under which Python's equal scalars are equal (1, 1.0 and True).
func hash(v Value) (any, bool) {
	switch v := v.(type) {
	case nil:
		return noneHash{}, true
	case bool:
		if v {
			return int64(1), true
		}
		return int64(0), true
	case int64:
		return v, true
	case float64:
		if i := int64(v); float64(i) == v && math.Abs(v) < 1<<53 {
			return i, true
		}
		return v, true
	case Text:
		return v.String, true
	default:
		return nil, false
	}
}

// truth is Python's bool().
func truth(v Value) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case Text:
		return v.String != ""
	case *list:
		return len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	default:
		return true
	}
}

// typeName is Python's name of the value's type, for errors.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case undefined:
		return "Undefined"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case Text:
		return "str"
	case *list:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "dict"
	case *namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case *macro:
		return "Macro"
	default:
		return "function"
	}
}

// asNumber returns a number's value; booleans count, as in Python.
func asNumber(v Value) (i int64, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	default:
		return 0, 0, false, false
	}
}

// str is Python's str(): what an output writes.
func (r *run) str(v Value) (Text, error) {
	switch v := v.(type) {
	case Text:
		return v, nil
	case undefined:
		return Text{}, nil
	}
	var b builder
	err := r.repr(&b, v)
	return b.done(), err
}

// repr writes Python's repr().
func (r *run) repr(b *builder, v Value) error {
	if err := r.enter(); err != nil {
		return err
	}
	defer r.leave()
	switch v := v.(type) {
	case nil:
		b.plain("None")
	case undefined:
		b.plain("Undefined")
	case bool:
		if v {
			b.plain("True")
		} else {
			b.plain("False")
		}
	case int64:
		b.plain(strconv.FormatInt(v, 10))
	case float64:
		b.plain(floatRepr(v))
	case Text:
		if err := r.spendRunes(v); err != nil {
			return err
		}
		b.text(quoted(v))
	case *list:
		return r.reprList(b, v)
	case *dict:
		b.plain("{")
		for i, k := range v.keys {
			if i > 0 {
				b.plain(", ")
			}
			if err := r.repr(b, k); err != nil {
				return err
			}
			b.plain(": ")
			if err := r.repr(b, v.vals[i]); err != nil {
				return err
			}
		}
		b.plain("}")
	default:
		b.plain("<" + typeName(v) + ">")
	}
	return nil
}

func (r *run) reprList(b *builder, v *list) error {
	open, end := "[", "]"
	if v.tuple {
		open, end = "(", ")"
		if len(v.items) == 1 {
			end = ",)"
		}
	}
	b.plain(open)
	for i, e := range v.items {
		if i > 0 {
			b.plain(", ")
		}
		if err := r.repr(b, e); err != nil {
			return err
		}
	}
	b.plain(end)
	return nil
}

// floatRepr is Python's repr of a float: the shortest digits that read back, an exponent below 1e-4 and from 1e16 on.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quoted is Python's repr of a string.
func quoted(t Text) Text {
	quote := "'"
	if strings.Contains(t.String, "'") && !strings.Contains(t.String, `"`) {
		quote = `"`
	}
	var b builder
	b.plain(quote)
	b.text(t.mapRunes(func(_ int, r rune) string {
		switch {
		case r == '\\' || string(r) == quote:
			return `\` + string(r)
		case r == '\n':
			return `\n`
		case r == '\r':
			return `\r`
		case r == '\t':
			return `\t`
		case r < ' ' || r == 0x7f:
			const hex = "0123456789abcdef"
			return `\x` + string(hex[r>>4]) + string(hex[r&15])
		default:
			return string(r)
		}
	}))
	b.plain(quote)
	return b.done()
}

// length is Python's len().
func (r *run) length(v Value) (int, error) {
	switch v := v.(type) {
	case undefined:
		return 0, nil
	case Text:
		return utf8.RuneCountInString(v.String), r.spendText(len(v.String))
	case *list:
		return len(v.items), nil
	case *dict:
		return len(v.keys), nil
	default:
		return 0, errf("object of type '%s' has no len()", typeName(v))
	}
}

// iterate returns the elements of a value: of a list, the keys of a dict, the characters of a string.
func (r *run) iterate(v Value) ([]Value, error) {
	switch v := v.(type) {
	case undefined:
		return nil, nil
	case *list:
		return v.items, r.spend(len(v.items))
	case *dict:
		return v.keys, r.spend(len(v.keys))
	case Text:
		if err := r.spend(4 * (len(v.String) + 1)); err != nil {
			return nil, err
		}
		at := v.runes()
		out := make([]Value, len(at)-1)
		c := cursor{v.User}
		for i := range out {
			s := v.String[at[i]:at[i+1]]
			if c.user(at[i]) {
				out[i] = User(s)
			} else {
				out[i] = Plain(s)
			}
		}
		return out, nil
	default:
		return nil, errf("'%s' object is not iterable", typeName(v))
	}
}

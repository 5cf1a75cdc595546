package jinja

import (
	"math"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// filter is what stands behind a pipe.
type filter func(r *run, v Value, a *args) (Value, error)

// filters are all filters by name. Those for lists are in filter_list.go.
var filters = map[string]filter{
	"abs": abs, "attr": attr, "batch": batch, "capitalize": viaMethod("capitalize"), "center": viaMethod("center"), "count": length,
	"d": defaultFilter, "default": defaultFilter, "dictsort": dictsort, "e": escape, "escape": escape, "first": first,
	"float": toFloat, "forceescape": escape, "format": format, "indent": indent, "int": toInt, "items": items,
	"join": join, "last": last, "length": length, "list": toList, "lower": viaMethod("lower"), "map": mapFilter,
	"max": extreme(1), "min": extreme(-1), "reject": choose(false, false), "rejectattr": choose(false, true),
	"replace": replace, "reverse": reverse, "round": round, "safe": identity, "select": choose(true, false),
	"selectattr": choose(true, true), "sort": sortFilter, "string": toString, "sum": sum,
	"title": titleFilter, "tojson": tojson, "trim": trim, "truncate": truncate, "unique": unique,
	"upper": viaMethod("upper"), "wordcount": wordcount,
}

// filters applies a chain of filters.
func (r *run) filters(v Value, chain []*nodes.FilterCall, s *scope) (Value, error) {
	for _, f := range chain {
		a, err := r.arguments(f.Args, f.Kwargs, s)
		if err != nil {
			return nil, err
		}
		if v, err = r.filter(f.Name, v, a); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (r *run) filter(name string, v Value, a *args) (Value, error) {
	f, ok := r.known.filters[name]
	if !ok {
		return nil, errf("no filter named '%s'", name)
	}
	if err := r.spend(1); err != nil {
		return nil, err
	}
	return f(r, v, a)
}

// viaMethod makes a filter of a string's method; other values become strings first.
func viaMethod(name string) filter {
	return func(r *run, v Value, a *args) (Value, error) {
		t, err := r.str(v)
		if err != nil {
			return nil, err
		}
		return r.known.str[name](r, t, a)
	}
}

func identity(_ *run, v Value, _ *args) (Value, error) { return v, nil }

func toString(r *run, v Value, _ *args) (Value, error) { return r.str(v) }

func length(r *run, v Value, _ *args) (Value, error) {
	n, err := r.length(v)
	return int64(n), err
}

func abs(_ *run, v Value, _ *args) (Value, error) {
	i, f, isInt, ok := asNumber(v)
	switch {
	case !ok:
		return nil, errf("bad operand type for abs(): '%s'", typeName(v))
	case isInt && i == math.MinInt64:
		return nil, overflow()
	case isInt:
		return max(i, -i), nil
	default:
		return math.Abs(f), nil
	}
}

func attr(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("attr", "name")
	if err != nil {
		return nil, err
	}
	name, err := textArg("attr", p[0], "")
	if err != nil {
		return nil, err
	}
	if _, ok := v.(*dict); ok { // attributes only, not elements
		if m, err := r.method(v, name.String); m != nil || err != nil {
			return m, err
		}
		return noAttribute(v, name.String), nil
	}
	return r.attribute(v, name.String)
}

func defaultFilter(_ *run, v Value, a *args) (Value, error) {
	p, err := a.take("default", "default_value?", "boolean?")
	if err != nil {
		return nil, err
	}
	boolean := p[1] != absent{} && truth(p[1])
	if !isUndefined(v) && (!boolean || truth(v)) {
		return v, nil
	}
	if p[0] == (absent{}) {
		return Plain(""), nil
	}
	return p[0], nil
}

// escape writes the five characters that HTML reserves as entities.
func escape(r *run, v Value, _ *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if err := r.spendRunes(t); err != nil {
		return nil, err
	}
	return t.mapRunes(func(_ int, c rune) string {
		switch c {
		case '&':
			return "&amp;"
		case '<':
			return "&lt;"
		case '>':
			return "&gt;"
		case '\'':
			return "&#39;"
		case '"':
			return "&#34;"
		default:
			return string(c)
		}
	}), nil
}

func toInt(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("int", "default?", "base?")
	if err != nil {
		return nil, err
	}
	otherwise := p[0]
	if otherwise == (absent{}) {
		otherwise = int64(0)
	}
	base, err := intArg("int", p[1], 10)
	if err != nil {
		return nil, err
	}
	if i, f, isInt, ok := asNumber(v); ok {
		if !isInt {
			if math.IsNaN(f) || math.Abs(f) >= 1<<63 {
				return otherwise, nil
			}
			i = int64(f)
		}
		return i, nil
	}
	t, ok := v.(Text)
	if !ok || base < 2 || base > 36 {
		return otherwise, nil
	}
	if err := r.spendText(len(t.String)); err != nil {
		return nil, err
	}
	s := strings.ReplaceAll(strings.TrimSpace(t.String), "_", "")
	if i, err := strconv.ParseInt(s, base, 64); err == nil {
		return i, nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < 1<<63 {
		return int64(f), nil
	}
	return otherwise, nil
}

func toFloat(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("float", "default?")
	if err != nil {
		return nil, err
	}
	if _, f, _, ok := asNumber(v); ok {
		return f, nil
	}
	if t, ok := v.(Text); ok {
		if err := r.spendText(len(t.String)); err != nil {
			return nil, err
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(t.String), 64); err == nil {
			return f, nil
		}
	}
	if p[0] == (absent{}) {
		return 0.0, nil
	}
	return p[0], nil
}

func round(_ *run, v Value, a *args) (Value, error) {
	p, err := a.take("round", "precision?", "method?")
	if err != nil {
		return nil, err
	}
	digits, err := intArg("round", p[0], 0)
	if err != nil {
		return nil, err
	}
	how, err := textArg("round", p[1], "common")
	if err != nil {
		return nil, err
	}
	i, f, isInt, ok := asNumber(v)
	if !ok || digits < -300 || digits > 300 {
		return nil, errf("round needs a number and at most 300 digits, not '%s'", typeName(v))
	}
	by := math.Pow(10, float64(digits))
	switch how.String {
	case "common":
		if isInt && digits >= 0 {
			return i, nil
		}
		return math.RoundToEven(f*by) / by, nil
	case "ceil":
		return math.Ceil(f*by) / by, nil
	case "floor":
		return math.Floor(f*by) / by, nil
	default:
		return nil, errf("round: method must be common, ceil or floor")
	}
}

func replace(r *run, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return r.known.str["replace"](r, t, a)
}

func trim(r *run, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	return r.known.str["strip"](r, t, a)
}

func format(r *run, v Value, a *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	if len(a.kw) > 0 {
		d := newDict(len(a.kw))
		for _, k := range a.kw {
			d.set(Plain(k.name), k.name, k.value)
		}
		return r.percent(t, d)
	}
	return r.percent(t, &list{items: a.pos, tuple: true})
}

// indent puts blanks in front of every line but the first.
func indent(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("indent", "width?", "first?", "blank?")
	if err != nil {
		return nil, err
	}
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	pad, ok := p[0].(Text)
	if !ok {
		width, err := intArg("indent", p[0], 4)
		if err != nil {
			return nil, err
		}
		if err := r.spendText(max(width, 0)); err != nil {
			return nil, err
		}
		pad = Plain(strings.Repeat(" ", max(width, 0)))
	}
	firstToo := p[1] != absent{} && truth(p[1])
	blankToo := p[2] != absent{} && truth(p[2])
	var whole builder
	whole.text(t)
	whole.plain("\n")
	lines := whole.done().lines(false)
	if err := r.spend(len(lines) * (2 + len(pad.String)/16)); err != nil {
		return nil, err
	}
	if err := r.spendTexts(t); err != nil {
		return nil, err
	}
	var b builder
	for i, line := range lines {
		if i > 0 {
			b.plain("\n")
		}
		if i == 0 && firstToo || i > 0 && (blankToo || line.String != "") {
			b.text(pad)
		}
		b.text(line)
	}
	return b.done(), nil
}

// truncate shortens a text to a number of characters, at a word's end unless killwords says otherwise.
func truncate(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("truncate", "length?", "killwords?", "end?", "leeway?")
	if err != nil {
		return nil, err
	}
	size, err := intArg("truncate", p[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := textArg("truncate", p[2], "...")
	if err != nil {
		return nil, err
	}
	leeway, err := intArg("truncate", p[3], 5)
	if err != nil {
		return nil, err
	}
	n, err := r.length(v)
	if err != nil || n <= size+leeway {
		return v, err
	}
	t, ok := v.(Text)
	if !ok {
		return nil, errf("truncate needs a string, not '%s'", typeName(v))
	}
	if err := r.spendRunes(t); err != nil {
		return nil, err
	}
	at := t.runes()
	keep := size - (len(end.runes()) - 1)
	if keep < 0 || leeway < 0 {
		return nil, errf("truncate: length must be at least that of the end, leeway at least 0")
	}
	cut := t.slice(0, at[keep])
	if p[1] == (absent{}) || !truth(p[1]) {
		if i := strings.LastIndexByte(cut.String, ' '); i >= 0 {
			cut = cut.slice(0, i)
		}
	}
	return r.join(cut, end)
}

func wordcount(r *run, v Value, _ *args) (Value, error) {
	t, err := r.str(v)
	if err != nil {
		return nil, err
	}
	words := strings.FieldsFunc(t.String, func(c rune) bool { return c != '_' && !isAlnum(c) })
	return int64(len(words)), r.spendRunes(t)
}

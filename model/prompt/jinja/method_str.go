package jinja

import (
	"strings"
	"unicode"
)

// stringMethods are the methods of a string, with Python's meaning. Positions and lengths count characters.
var stringMethods = map[string]filter{
	"capitalize": onText(capitalize), "casefold": mapped(strings.ToLower), "center": pad(1, 1), "count": onText(countMethod),
	"endswith": affix(strings.HasSuffix), "find": findMethod(strings.Index, false), "format": onText(formatMethod),
	"index": findMethod(strings.Index, true), "isalnum": all(isAlnum), "isalpha": all(unicode.IsLetter),
	"isdecimal": all(unicode.IsDigit), "isdigit": all(unicode.IsDigit), "islower": cased(unicode.IsLower, unicode.IsUpper),
	"isnumeric": all(unicode.IsNumber), "isspace": all(isSpace), "isupper": cased(unicode.IsUpper, unicode.IsLower),
	"join": onText(joinMethod), "ljust": pad(0, 1), "lower": mapped(strings.ToLower), "lstrip": strip(true, false),
	"partition": partition(false), "removeprefix": remove(true), "removesuffix": remove(false),
	"replace": onText(replaceMethod), "rfind": findMethod(strings.LastIndex, false),
	"rindex": findMethod(strings.LastIndex, true), "rjust": pad(1, 0), "rpartition": partition(true),
	"rsplit": splitMethod(Text.rsplit, Text.rfields), "rstrip": strip(false, true), "split": splitMethod(Text.split, Text.fields),
	"splitlines": onText(splitlines), "startswith": affix(strings.HasPrefix), "strip": strip(true, true),
	"swapcase": mapped(swapCase), "title": onText(titleMethod), "upper": mapped(upper), "zfill": onText(zfill),
}

func titleMethod(_ *run, t Text, _ *args) (Value, error) {
	return title(t, func(c rune) bool { return !unicode.IsLetter(c) }), nil
}

func strip(left, right bool) filter {
	return onText(func(_ *run, t Text, a *args) (Value, error) {
		p, err := a.take("strip", "chars?")
		if err != nil {
			return nil, err
		}
		if p[0] == (absent{}) || p[0] == nil {
			return t.strip(isSpace, left, right), nil
		}
		set, err := textArg("strip", p[0], "")
		if err != nil {
			return nil, err
		}
		return t.strip(func(c rune) bool { return strings.ContainsRune(set.String, c) }, left, right), nil
	})
}

// replaceMethod is replace(old, new[, count]).
func replaceMethod(r *run, t Text, a *args) (Value, error) {
	p, err := a.take("replace", "old", "new", "count?")
	if err != nil {
		return nil, err
	}
	old, err := textArg("replace", p[0], "")
	if err != nil {
		return nil, err
	}
	with, err := textArg("replace", p[1], "")
	if err != nil {
		return nil, err
	}
	if p[2] == nil {
		p[2] = absent{}
	}
	count, err := intArg("replace", p[2], -1)
	if err != nil {
		return nil, err
	}
	n := strings.Count(t.String, old.String)
	if count >= 0 {
		n = min(n, count)
	}
	if err := r.spend(n * (2 + len(with.String)/16 + len(with.User))); err != nil {
		return nil, err
	}
	return t.replace(old.String, with, count), nil
}

// splitMethod makes split and rsplit. Without a separator both cut at runs of whitespace.
func splitMethod(cut func(t Text, sep string, limit int) []Text, fields func(t Text, limit int) []Text) filter {
	return onText(func(r *run, t Text, a *args) (Value, error) {
		p, err := a.take("split", "sep?", "maxsplit?")
		if err != nil {
			return nil, err
		}
		limit, err := intArg("split", p[1], -1)
		if err != nil {
			return nil, err
		}
		var parts []Text
		if p[0] == (absent{}) || p[0] == nil {
			parts = fields(t, limit)
		} else {
			sep, err := textArg("split", p[0], "")
			if err != nil {
				return nil, err
			}
			if sep.String == "" {
				return nil, errf("empty separator")
			}
			parts = cut(t, sep.String, limit)
		}
		return texts(parts), r.spend(2 * len(parts))
	})
}

func texts(parts []Text) *list {
	out := &list{items: make([]Value, len(parts))}
	for i, p := range parts {
		out.items[i] = p
	}
	return out
}

func splitlines(r *run, t Text, a *args) (Value, error) {
	p, err := a.take("splitlines", "keepends?")
	if err != nil {
		return nil, err
	}
	parts := t.lines(p[0] != absent{} && truth(p[0]))
	return texts(parts), r.spend(2 * len(parts))
}

// partition makes partition and rpartition: what is before, the separator, what is behind.
func partition(fromRight bool) filter {
	return onText(func(_ *run, t Text, a *args) (Value, error) {
		p, err := a.take("partition", "sep")
		if err != nil {
			return nil, err
		}
		sep, err := textArg("partition", p[0], "")
		if err != nil {
			return nil, err
		}
		if sep.String == "" {
			return nil, errf("empty separator")
		}
		i := strings.Index(t.String, sep.String)
		if fromRight {
			i = strings.LastIndex(t.String, sep.String)
		}
		parts := []Text{t, {}, {}}
		switch {
		case i >= 0:
			j := i + len(sep.String)
			parts = []Text{t.slice(0, i), t.slice(i, j), t.slice(j, len(t.String))}
		case fromRight:
			parts = []Text{{}, {}, t}
		}
		out := texts(parts)
		out.tuple = true
		return out, nil
	})
}

// remove makes removeprefix and removesuffix.
func remove(prefix bool) filter {
	return onText(func(_ *run, t Text, a *args) (Value, error) {
		p, err := a.take("removeprefix", "affix")
		if err != nil {
			return nil, err
		}
		s, err := textArg("removeprefix", p[0], "")
		if err != nil {
			return nil, err
		}
		n, m := len(t.String), len(s.String)
		switch {
		case prefix && strings.HasPrefix(t.String, s.String):
			return t.slice(m, n), nil
		case !prefix && strings.HasSuffix(t.String, s.String):
			return t.slice(0, n-m), nil
		default:
			return t, nil
		}
	})
}

func countMethod(_ *run, t Text, a *args) (Value, error) {
	p, err := a.take("count", "sub")
	if err != nil {
		return nil, err
	}
	sub, err := textArg("count", p[0], "")
	return int64(strings.Count(t.String, sub.String)), err
}

func joinMethod(r *run, t Text, a *args) (Value, error) {
	p, err := a.take("join", "iterable")
	if err != nil {
		return nil, err
	}
	elements, err := r.iterate(p[0])
	if err != nil {
		return nil, err
	}
	for i, e := range elements {
		if _, ok := e.(Text); !ok {
			return nil, errf("sequence item %d: expected str instance, %s found", i, typeName(e))
		}
	}
	return join(r, &list{items: elements}, &args{pos: []Value{t}})
}

// pad makes center, ljust and rjust; left and right say which sides are filled.
func pad(left, right int) filter {
	return onText(func(r *run, t Text, a *args) (Value, error) {
		name := "center"
		optional := "width"
		if left == right {
			optional = "width?" // the filter's default is 80
		}
		p, err := a.take(name, optional, "fill?")
		if err != nil {
			return nil, err
		}
		width, err := intArg(name, p[0], 80)
		if err != nil {
			return nil, err
		}
		fill, err := textArg(name, p[1], " ")
		if err != nil {
			return nil, err
		}
		if len(fill.runes()) != 2 {
			return nil, errf("the fill character must be exactly one character long")
		}
		missing := max(0, width-len(t.runes())+1)
		if err := r.spend(missing * (1 + len(fill.User))); err != nil {
			return nil, err
		}
		before := missing * left / (left + right)
		if left == right { // Python puts the odd one on the left only if the width is odd
			before = missing/2 + missing&width&1
		}
		var b builder
		for range before {
			b.text(fill)
		}
		b.text(t)
		for range missing - before {
			b.text(fill)
		}
		return b.done(), nil
	})
}

func zfill(r *run, t Text, a *args) (Value, error) {
	p, err := a.take("zfill", "width")
	if err != nil {
		return nil, err
	}
	width, err := intArg("zfill", p[0], 0)
	if err != nil {
		return nil, err
	}
	missing := max(0, width-len(t.runes())+1)
	if err := r.spendText(missing); err != nil {
		return nil, err
	}
	sign := 0
	if strings.HasPrefix(t.String, "+") || strings.HasPrefix(t.String, "-") {
		sign = 1
	}
	var b builder
	b.text(t.slice(0, sign))
	b.plain(strings.Repeat("0", missing))
	b.text(t.slice(sign, len(t.String)))
	return b.done(), nil
}

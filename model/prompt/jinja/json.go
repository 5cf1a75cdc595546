package jinja

import (
	"sort"
	"strconv"
	"strings"
)

// tojson is transformers' filter, json.dumps with ensure_ascii off: no HTML escapes, characters beyond ASCII as they are
// (transformers/utils/chat_template_utils.py, tojson).
func tojson(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("tojson", "ensure_ascii?", "indent?", "separators?", "sort_keys?")
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{r: r, item: ", ", key: ": "}
	w.ascii = p[0] != absent{} && truth(p[0])
	w.sort = p[3] != absent{} && truth(p[3])
	switch t := p[1].(type) {
	case absent, nil:
	case Text:
		w.indent, w.lines = t.String, true
	default:
		n, err := intArg("tojson", p[1], 0)
		if err != nil {
			return nil, err
		}
		if err := r.spend(max(n, 0)); err != nil {
			return nil, err
		}
		w.indent, w.lines = strings.Repeat(" ", max(n, 0)), true
	}
	if w.lines {
		w.item = ","
	}
	if l, ok := p[2].(*list); ok {
		if len(l.items) != 2 {
			return nil, errf("tojson: separators are two strings")
		}
		item, err := textArg("tojson", l.items[0], "")
		if err != nil {
			return nil, err
		}
		key, err := textArg("tojson", l.items[1], "")
		if err != nil {
			return nil, err
		}
		w.item, w.key = item.String, key.String
	}
	if err := w.value(v, 0); err != nil {
		return nil, err
	}
	return w.done(), nil
}

type jsonWriter struct {
	builder
	r           *run
	item, key   string // separators
	indent      string // of one level
	lines       bool   // every element on a line of its own
	ascii, sort bool
}

func (w *jsonWriter) value(v Value, level int) error {
	if err := w.r.enter(); err != nil {
		return err
	}
	defer w.r.leave()
	switch v := v.(type) {
	case nil:
		w.plain("null")
	case bool:
		w.plain(strconv.FormatBool(v))
	case int64:
		w.plain(strconv.FormatInt(v, 10))
	case float64:
		s := floatRepr(v)
		if name, ok := map[string]string{"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[s]; ok {
			s = name
		}
		w.plain(s)
	case Text:
		return w.str(v)
	case *list:
		return w.elements('[', ']', len(v.items), level, func(i int) error { return w.value(v.items[i], level+1) })
	case *dict:
		return w.dict(v, level)
	default:
		return errf("Object of type %s is not JSON serializable", typeName(v))
	}
	return nil
}

func (w *jsonWriter) dict(d *dict, level int) error {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	keys := make([]Text, len(d.keys))
	for i, k := range d.keys {
		switch k := k.(type) {
		case Text:
			keys[i] = k
		case nil:
			keys[i] = Plain("null")
		case bool:
			keys[i] = Plain(strconv.FormatBool(k))
		default:
			t, err := w.r.str(k)
			if err != nil {
				return err
			}
			keys[i] = t
		}
	}
	if w.sort {
		sort.SliceStable(order, func(i, j int) bool { return keys[order[i]].String < keys[order[j]].String })
	}
	return w.elements('{', '}', len(order), level, func(i int) error {
		if err := w.str(keys[order[i]]); err != nil {
			return err
		}
		w.plain(w.key)
		return w.value(d.vals[order[i]], level+1)
	})
}

// elements writes what brackets hold.
func (w *jsonWriter) elements(open, end byte, n, level int, write func(i int) error) error {
	w.plain(string(open))
	newline := func(level int) error {
		if !w.lines {
			return nil
		}
		w.plain("\n")
		w.plain(strings.Repeat(w.indent, level))
		return w.r.spendText(len(w.indent) * level)
	}
	for i := range n {
		if i > 0 {
			w.plain(w.item)
		}
		if err := newline(level + 1); err != nil {
			return err
		}
		if err := write(i); err != nil {
			return err
		}
	}
	if n > 0 {
		if err := newline(level); err != nil {
			return err
		}
	}
	w.plain(string(end))
	return nil
}

func (w *jsonWriter) str(t Text) error {
	if err := w.r.spendRunes(t); err != nil {
		return err
	}
	w.plain(`"`)
	w.text(t.mapRunes(func(_ int, c rune) string {
		switch {
		case c == '"' || c == '\\':
			return `\` + string(c)
		case c == '\n':
			return `\n`
		case c == '\r':
			return `\r`
		case c == '\t':
			return `\t`
		case c == '\b':
			return `\b`
		case c == '\f':
			return `\f`
		case c < ' ' || w.ascii && c > 0x7e && c <= 0xffff:
			return hex4(c)
		case w.ascii && c > 0xffff:
			c -= 0x10000
			return hex4(0xd800+c>>10) + hex4(0xdc00+c&0x3ff)
		default:
			return string(c)
		}
	}))
	w.plain(`"`)
	return nil
}

func hex4(c rune) string {
	s := strconv.FormatInt(int64(c), 16)
	return `\u` + strings.Repeat("0", 4-len(s)) + s
}

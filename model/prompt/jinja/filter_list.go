package jinja

import (
	"sort"
	"strconv"
	"strings"
)

func toList(r *run, v Value, _ *args) (Value, error) {
	out, err := r.iterate(v)
	return &list{items: out}, err
}

func first(r *run, v Value, _ *args) (Value, error) { return end(r, v, false) }

func last(r *run, v Value, _ *args) (Value, error) { return end(r, v, true) }

// end returns the first or the last element.
func end(r *run, v Value, last bool) (Value, error) {
	elements, err := r.iterate(v)
	switch {
	case err != nil:
		return nil, err
	case len(elements) == 0:
		return undefined{"the sequence was empty"}, nil
	case last:
		return elements[len(elements)-1], nil
	default:
		return elements[0], nil
	}
}

func reverse(r *run, v Value, _ *args) (Value, error) {
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(elements))
	for i, e := range elements {
		out[len(out)-1-i] = e
	}
	if _, ok := v.(Text); !ok {
		return &list{items: out}, nil
	}
	var b builder
	for _, e := range out {
		b.text(e.(Text))
	}
	return b.done(), nil
}

// items is the filter and the method of a dict: its pairs.
func items(r *run, v Value, _ *args) (Value, error) {
	if isUndefined(v) {
		return &list{}, nil
	}
	d, ok := v.(*dict)
	if !ok {
		return nil, errf("can only get item pairs from a mapping")
	}
	out := make([]Value, len(d.keys))
	for i, k := range d.keys {
		out[i] = &list{items: []Value{k, d.vals[i]}, tuple: true}
	}
	return &list{items: out}, r.spend(2 * len(out))
}

// path returns an element's attribute; "a.0.b" goes through several.
func (r *run) path(v Value, attribute Value) (Value, error) {
	if i, _, isInt, _ := asNumber(attribute); isInt {
		return r.item(v, i)
	}
	t, ok := attribute.(Text)
	if !ok {
		return nil, errf("an attribute is a string or an integer, not '%s'", typeName(attribute))
	}
	for _, name := range strings.Split(t.String, ".") {
		if err := r.spend(1); err != nil {
			return nil, err
		}
		var err error
		if i, bad := strconv.Atoi(name); bad == nil {
			v, err = r.item(v, int64(i))
		} else {
			v, err = r.item(v, Plain(name))
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// keys returns what elements are sorted or compared by: an attribute if there is one, in lower case unless cased.
func (r *run) sortKeys(elements []Value, attribute, cased Value) ([]Value, error) {
	keep := cased != absent{} && truth(cased)
	out := make([]Value, len(elements))
	for i, e := range elements {
		if attribute != (absent{}) && attribute != nil {
			var err error
			if e, err = r.path(e, attribute); err != nil {
				return nil, err
			}
		}
		if t, ok := e.(Text); ok && !keep {
			if err := r.spendRunes(t); err != nil {
				return nil, err
			}
			e = Plain(strings.ToLower(t.String))
		}
		out[i] = e
	}
	return out, nil
}

// byKey sorts elements stably by their keys and returns them.
func (r *run) byKey(elements, keys []Value, backwards bool) ([]Value, error) {
	index := make([]int, len(elements))
	for i := range index {
		index[i] = i
	}
	var failed error
	sort.SliceStable(index, func(i, j int) bool {
		if failed != nil {
			return false
		}
		c, err := r.compare(keys[index[i]], keys[index[j]])
		failed = err
		return c < 0 && !backwards || c > 0 && backwards
	})
	out := make([]Value, len(elements))
	for i, k := range index {
		out[i] = elements[k]
	}
	return out, failed
}

func sortFilter(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("sort", "reverse?", "case_sensitive?", "attribute?")
	if err != nil {
		return nil, err
	}
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	keys, err := r.sortKeys(elements, p[2], p[1])
	if err != nil {
		return nil, err
	}
	out, err := r.byKey(elements, keys, p[0] != absent{} && truth(p[0]))
	return &list{items: out}, err
}

func dictsort(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("dictsort", "case_sensitive?", "by?", "reverse?")
	if err != nil {
		return nil, err
	}
	by, err := textArg("dictsort", p[1], "key")
	if err != nil {
		return nil, err
	}
	pairs, err := items(r, v, nil)
	if err != nil {
		return nil, err
	}
	column := Value(int64(0))
	if by.String == "value" {
		column = int64(1)
	}
	elements := pairs.(*list).items
	keys, err := r.sortKeys(elements, column, p[0])
	if err != nil {
		return nil, err
	}
	out, err := r.byKey(elements, keys, p[2] != absent{} && truth(p[2]))
	return &list{items: out}, err
}

func unique(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("unique", "case_sensitive?", "attribute?")
	if err != nil {
		return nil, err
	}
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	keys, err := r.sortKeys(elements, p[1], p[0])
	if err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	out := &list{}
	for i, k := range keys {
		h, ok := hash(k)
		if !ok {
			return nil, errf("unhashable type: '%s'", typeName(k))
		}
		if !seen[h] {
			seen[h] = true
			out.items = append(out.items, elements[i])
		}
	}
	return out, nil
}

// extreme makes the filters max (1) and min (-1).
func extreme(sign int) filter {
	return func(r *run, v Value, a *args) (Value, error) {
		p, err := a.take("max", "case_sensitive?", "attribute?")
		if err != nil {
			return nil, err
		}
		elements, err := r.iterate(v)
		if err != nil {
			return nil, err
		}
		if len(elements) == 0 {
			return undefined{"no aggregated item, sequence was empty"}, nil
		}
		keys, err := r.sortKeys(elements, p[1], p[0])
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range keys {
			c, err := r.compare(keys[i], keys[best])
			if err != nil {
				return nil, err
			}
			if c*sign > 0 {
				best = i
			}
		}
		return elements[best], nil
	}
}

func sum(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("sum", "attribute?", "start?")
	if err != nil {
		return nil, err
	}
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	total := p[1]
	if total == (absent{}) {
		total = int64(0)
	}
	for _, e := range elements {
		if p[0] != (absent{}) && p[0] != nil {
			if e, err = r.path(e, p[0]); err != nil {
				return nil, err
			}
		}
		if total, err = arithmetic(plus, total, e); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func join(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("join", "d?", "attribute?")
	if err != nil {
		return nil, err
	}
	sep := Text{}
	if p[0] != (absent{}) {
		if sep, err = r.str(p[0]); err != nil {
			return nil, err
		}
	}
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	var b builder
	for i, e := range elements {
		if p[1] != (absent{}) && p[1] != nil {
			if e, err = r.path(e, p[1]); err != nil {
				return nil, err
			}
		}
		t, err := r.str(e)
		if err != nil {
			return nil, err
		}
		if err := r.spendTexts(t, sep); err != nil {
			return nil, err
		}
		if i > 0 {
			b.text(sep)
		}
		b.text(t)
	}
	return b.done(), nil
}

// batch cuts a list into lists of n elements; the last is filled up if fill_with is given.
func batch(r *run, v Value, a *args) (Value, error) {
	p, err := a.take("batch", "linecount", "fill_with?")
	if err != nil {
		return nil, err
	}
	n, err := intArg("batch", p[0], 1)
	if err != nil {
		return nil, err
	}
	if n < 1 {
		return nil, errf("batch needs at least 1 element in a row")
	}
	elements, err := r.iterate(v)
	if err != nil {
		return nil, err
	}
	out := &list{}
	for len(elements) > 0 {
		row := &list{items: elements[:min(n, len(elements)):min(n, len(elements))]}
		elements = elements[len(row.items):]
		if p[1] != (absent{}) && p[1] != nil {
			if err := r.spend(n); err != nil {
				return nil, err
			}
			for len(row.items) < n {
				row.items = append(row.items, p[1])
			}
		}
		out.items = append(out.items, row)
	}
	return out, nil
}

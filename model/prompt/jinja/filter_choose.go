package jinja

// elements are those of a value that goes through map, select or reject: none if it is false.
func (r *run) elements(v Value) ([]Value, error) {
	if !truth(v) {
		return nil, nil
	}
	return r.iterate(v)
}

// mapFilter is map('filter', …) or map(attribute='name', default=…).
func mapFilter(r *run, v Value, a *args) (Value, error) {
	elements, err := r.elements(v)
	if err != nil {
		return nil, err
	}
	out := make([]Value, len(elements))
	if len(a.pos) == 0 {
		p, err := a.take("map", "attribute", "default?")
		if err != nil {
			return nil, err
		}
		for i, e := range elements {
			if out[i], err = r.path(e, p[0]); err != nil {
				return nil, err
			}
			if isUndefined(out[i]) && p[1] != (absent{}) {
				out[i] = p[1]
			}
		}
		return &list{items: out}, nil
	}
	name, err := textArg("map", a.pos[0], "")
	if err != nil {
		return nil, err
	}
	rest := &args{pos: a.pos[1:], kw: a.kw}
	for i, e := range elements {
		if out[i], err = r.filter(name.String, e, rest); err != nil {
			return nil, err
		}
	}
	return &list{items: out}, nil
}

// choose makes select, reject, selectattr and rejectattr: the elements of which a test, or their truth, is want.
func choose(want, byAttribute bool) filter {
	return func(r *run, v Value, a *args) (Value, error) {
		elements, err := r.elements(v)
		if err != nil {
			return nil, err
		}
		pos := a.pos
		if byAttribute {
			if len(pos) == 0 {
				return nil, errf("selectattr and rejectattr need an attribute")
			}
			pos = pos[1:]
		}
		out := &list{}
		for _, e := range elements {
			subject := e
			if byAttribute {
				if subject, err = r.path(e, a.pos[0]); err != nil {
					return nil, err
				}
			}
			ok := Value(truth(subject))
			if len(pos) > 0 {
				name, err := textArg("select", pos[0], "")
				if err != nil {
					return nil, err
				}
				if ok, err = r.apply(name.String, subject, pos[1:]); err != nil {
					return nil, err
				}
			}
			if truth(ok) == want {
				out.items = append(out.items, e)
			}
		}
		return out, nil
	}
}

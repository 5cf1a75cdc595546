package jinja

import "strings"

// equal is Python's ==.
func (r *run) equal(a, b Value) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if _, _, _, ok := asNumber(a); ok {
		return equalNumbers(a, b), nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case undefined:
		return isUndefined(b), nil
	case Text:
		b, ok := b.(Text)
		if !ok || len(a.String) != len(b.String) {
			return false, nil
		}
		return a.String == b.String, r.spendText(len(a.String))
	case *list:
		b, ok := b.(*list)
		if !ok || a.tuple != b.tuple {
			return false, nil
		}
		return r.equalItems(a.items, b.items)
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false, nil
		}
		others := make([]Value, len(a.keys))
		for i, k := range a.keys {
			if others[i], ok = b.get(k); !ok {
				return false, nil
			}
		}
		return r.equalItems(a.vals, others)
	default: // functions and the like: the same object
		return a == b, nil
	}
}

// equalNumbers compares a number with anything.
func equalNumbers(a, b Value) bool {
	ai, af, aInt, _ := asNumber(a)
	bi, bf, bInt, ok := asNumber(b)
	if aInt && bInt {
		return ai == bi
	}
	return ok && af == bf
}

func (r *run) equalItems(a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := r.equal(a[i], b[i]); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// ordered evaluates < <= > >=.
func (r *run) ordered(op string, left, right Value) (Value, error) {
	c, err := r.compare(left, right)
	if err != nil {
		return nil, errf("'%s' not supported between instances of '%s' and '%s'", op, typeName(left), typeName(right))
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	default:
		return c >= 0, nil
	}
}

// compare orders two numbers, strings or lists.
func (r *run) compare(a, b Value) (int, error) {
	if err := r.enter(); err != nil {
		return 0, err
	}
	defer r.leave()
	ai, af, aInt, aok := asNumber(a)
	bi, bf, bInt, bok := asNumber(b)
	switch {
	case aInt && bInt:
		return three(ai < bi, ai > bi), nil
	case aok && bok:
		return three(af < bf, af > bf), nil
	}
	switch x := a.(type) {
	case Text:
		if y, ok := b.(Text); ok {
			return strings.Compare(x.String, y.String), r.spendText(min(len(x.String), len(y.String)))
		}
	case *list:
		y, ok := b.(*list)
		if !ok || x.tuple != y.tuple {
			break
		}
		for i := 0; i < len(x.items) && i < len(y.items); i++ {
			if c, err := r.compare(x.items[i], y.items[i]); c != 0 || err != nil {
				return c, err
			}
		}
		return three(len(x.items) < len(y.items), len(x.items) > len(y.items)), nil
	}
	return 0, errf("'<' not supported between instances of '%s' and '%s'", typeName(a), typeName(b))
}

func three(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	default:
		return 0
	}
}

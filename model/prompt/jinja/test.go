package jinja

import (
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/nodes"
)

// test evaluates "value is name(argument)" and "value in argument".
func (r *run) test(n *nodes.TestExpression, s *scope) (Value, error) {
	v, err := r.eval(n.Expression, s)
	if err != nil {
		return nil, err
	}
	pos, err := r.evalAll(n.Test.Args, s)
	if err != nil {
		return nil, err
	}
	return r.apply(n.Test.Name, v, pos)
}

// needsArgument lists the tests with one argument; all others in tests have none.
var needsArgument = map[string]func(r *run, v, arg Value) (bool, error){
	"in":          func(r *run, v, arg Value) (bool, error) { return r.contains(arg, v) },
	"eq":          func(r *run, v, arg Value) (bool, error) { return r.equal(v, arg) },
	"equalto":     func(r *run, v, arg Value) (bool, error) { return r.equal(v, arg) },
	"==":          func(r *run, v, arg Value) (bool, error) { return r.equal(v, arg) },
	"ne":          notEqual,
	"!=":          notEqual,
	"lt":          order("<"),
	"lessthan":    order("<"),
	"<":           order("<"),
	"le":          order("<="),
	"<=":          order("<="),
	"gt":          order(">"),
	"greaterthan": order(">"),
	">":           order(">"),
	"ge":          order(">="),
	">=":          order(">="),
	"divisibleby": func(_ *run, v, arg Value) (bool, error) {
		a, _, aInt, _ := asNumber(v)
		b, _, bInt, _ := asNumber(arg)
		if !aInt || !bInt || b == 0 {
			return false, errf("divisibleby needs two integers, the second not 0")
		}
		return a%b == 0, nil
	},
	"sameas": func(r *run, v, arg Value) (bool, error) {
		if typeName(v) != typeName(arg) {
			return false, nil
		}
		return r.equal(v, arg)
	},
}

func notEqual(r *run, v, arg Value) (bool, error) {
	same, err := r.equal(v, arg)
	return !same, err
}

func order(op string) func(r *run, v, arg Value) (bool, error) {
	return func(r *run, v, arg Value) (bool, error) {
		out, err := r.ordered(op, v, arg)
		if err != nil {
			return false, err
		}
		return out.(bool), nil
	}
}

// tests without an argument.
var tests = map[string]func(v Value) bool{
	"defined":   func(v Value) bool { return !isUndefined(v) },
	"undefined": isUndefined,
	"none":      func(v Value) bool { return v == nil },
	"None":      func(v Value) bool { return v == nil }, // as the lexer spells it
	"true":      func(v Value) bool { return v == true },
	"false":     func(v Value) bool { return v == false },
	"boolean":   func(v Value) bool { return typeName(v) == "bool" },
	"integer":   func(v Value) bool { return typeName(v) == "int" },
	"float":     func(v Value) bool { return typeName(v) == "float" },
	"number":    func(v Value) bool { _, _, _, ok := asNumber(v); return ok },
	"string":    func(v Value) bool { return typeName(v) == "str" },
	"mapping":   func(v Value) bool { return typeName(v) == "dict" },
	"iterable":  isSequence,
	"sequence":  isSequence,
	"callable": func(v Value) bool {
		switch v := v.(type) {
		case *function, *macro:
			return true
		case *loop:
			return v.again != nil
		default:
			return false
		}
	},
	"odd":  func(v Value) bool { i, _, isInt, _ := asNumber(v); return isInt && i%2 != 0 },
	"even": func(v Value) bool { i, _, isInt, _ := asNumber(v); return isInt && i%2 == 0 },
	"lower": func(v Value) bool {
		t, ok := v.(Text)
		return ok && strings.ToLower(t.String) == t.String && strings.IndexFunc(t.String, unicode.IsLower) >= 0
	},
	"upper": func(v Value) bool {
		t, ok := v.(Text)
		return ok && strings.ToUpper(t.String) == t.String && strings.IndexFunc(t.String, unicode.IsUpper) >= 0
	},
}

func isUndefined(v Value) bool {
	_, ok := v.(undefined)
	return ok
}

func isSequence(v Value) bool {
	switch v.(type) {
	case Text, *list, *dict, undefined:
		return true
	default:
		return false
	}
}

// apply runs one test.
func (r *run) apply(name string, v Value, pos []Value) (Value, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	if f, ok := needsArgument[name]; ok {
		if len(pos) != 1 {
			return nil, errf("test '%s' needs one argument", name)
		}
		return f(r, v, pos[0])
	}
	if t, ok := v.(Text); ok && (name == "lower" || name == "upper") {
		if err := r.spendRunes(t); err != nil {
			return nil, err
		}
	}
	f, ok := tests[name]
	if !ok {
		return nil, errf("no test named '%s'", name)
	}
	return f(v), nil
}

// testExists reports whether a template may name the test.
func testExists(name string) bool {
	_, one := needsArgument[name]
	_, none := tests[name]
	return one || none
}

// contains is "v in holder".
func (r *run) contains(holder, v Value) (bool, error) {
	switch h := holder.(type) {
	case undefined:
		return false, nil
	case Text:
		t, ok := v.(Text)
		if !ok {
			return false, errf("'in <string>' requires string as left operand, not %s", typeName(v))
		}
		if err := r.spendText(len(h.String)); err != nil {
			return false, err
		}
		return strings.Contains(h.String, t.String), nil
	case *dict:
		_, ok := h.get(v)
		return ok, nil
	case *list:
		for _, e := range h.items {
			if same, err := r.equal(e, v); same || err != nil {
				return same, err
			}
		}
		return false, nil
	default:
		return false, errf("argument of type '%s' is not iterable", typeName(holder))
	}
}

package jinja

import (
	"math"
	"strings"

	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

func (r *run) unary(n *nodes.UnaryExpression, s *scope) (Value, error) {
	v, err := r.eval(n.Term, s)
	if err != nil {
		return nil, err
	}
	i, f, isInt, ok := asNumber(v)
	switch u, undef := v.(undefined); {
	case undef:
		return nil, errf("%s", u.why)
	case !ok:
		return nil, errf("bad operand type for unary %s: '%s'", n.Operator.Val, typeName(v))
	case isInt && !n.Negative:
		return i, nil
	case isInt && i == math.MinInt64:
		return nil, overflow()
	case isInt:
		return -i, nil
	case n.Negative:
		return -f, nil
	default:
		return f, nil
	}
}

// overflow refuses integers beyond 64 bits; Python's have no limit.
func overflow() error { return errf("integer is too large") }

func (r *run) binary(n *nodes.BinaryExpression, s *scope) (Value, error) {
	left, err := r.eval(n.Left, s)
	if err != nil {
		return nil, err
	}
	op := n.Operator.Token.Type
	if op == tokens.And && !truth(left) || op == tokens.Or && truth(left) {
		return left, nil
	}
	right, err := r.eval(n.Right, s)
	if err != nil {
		return nil, err
	}
	switch op {
	case tokens.And, tokens.Or:
		return right, nil
	case tokens.Equals:
		return r.equal(left, right)
	case tokens.Ne:
		same, err := r.equal(left, right)
		return !same, err
	case tokens.Tilde:
		return r.concat(left, right)
	default:
		return r.strictBinary(n.Operator.Token, left, right)
	}
}

// strictBinary evaluates the operators that undefined values have no part in.
func (r *run) strictBinary(token *tokens.Token, left, right Value) (Value, error) {
	op := token.Type
	if u, ok := left.(undefined); ok {
		return nil, errf("%s", u.why)
	}
	_, isText := left.(Text)
	if u, ok := right.(undefined); ok && (op != tokens.Modulo || !isText) {
		return nil, errf("%s", u.why)
	}
	switch op {
	case tokens.LowerThan, tokens.LowerThanOrEqual, tokens.GreaterThan, tokens.GreaterThanOrEqual:
		return r.ordered(token.Val, left, right)
	default:
	}
	if v, ok, err := r.sequences(op, left, right); ok || err != nil {
		return v, err
	}
	return arithmetic(token, left, right)
}

// concat is ~: the strings of both sides.
func (r *run) concat(left, right Value) (Value, error) {
	a, err := r.str(left)
	if err != nil {
		return nil, err
	}
	b, err := r.str(right)
	if err != nil {
		return nil, err
	}
	return r.join(a, b)
}

func (r *run) join(a, b Text) (Value, error) {
	if err := r.spendTexts(a, b); err != nil {
		return nil, err
	}
	var out builder
	out.text(a)
	out.text(b)
	return out.done(), nil
}

// sequences evaluates +, * and % where one side is a string or a list.
func (r *run) sequences(op tokens.Type, left, right Value) (v Value, ok bool, err error) {
	if op == tokens.Multiply {
		if _, _, isInt, _ := asNumber(left); isInt {
			left, right = right, left
		}
		n, _, isInt, _ := asNumber(right)
		if !isInt {
			return nil, false, nil
		}
		return r.repeat(left, n)
	}
	switch x := left.(type) {
	case Text:
		if op == tokens.Modulo {
			v, err = r.percent(x, right)
			return v, true, err
		}
		if op != tokens.Addition {
			return nil, false, nil
		}
		y, ok := right.(Text)
		if !ok {
			return nil, true, errf("can only concatenate str (not \"%s\") to str", typeName(right))
		}
		v, err = r.join(x, y)
		return v, true, err
	case *list:
		y, ok := right.(*list)
		if op != tokens.Addition || !ok || x.tuple != y.tuple {
			return nil, false, nil
		}
		if err := r.spend(len(x.items) + len(y.items)); err != nil {
			return nil, true, err
		}
		items := append(append(make([]Value, 0, len(x.items)+len(y.items)), x.items...), y.items...)
		return &list{items: items, tuple: x.tuple}, true, nil
	}
	return nil, false, nil
}

// repeat is a string or a list times n.
func (r *run) repeat(v Value, n int64) (Value, bool, error) {
	n = max(n, 0)
	switch x := v.(type) {
	case Text:
		size := int64(len(x.String)/16 + len(x.User) + 1)
		if n > int64(r.limit)/size {
			return nil, true, r.spend(r.limit + 1)
		}
		if err := r.spend(int(n * size)); err != nil {
			return nil, true, err
		}
		if len(x.User) == 0 {
			return Plain(strings.Repeat(x.String, int(n))), true, nil
		}
		var b builder
		for ; n > 0; n-- {
			b.text(x)
		}
		return b.done(), true, nil
	case *list:
		if n > int64(r.limit)/int64(len(x.items)+1) {
			return nil, true, r.spend(r.limit + 1)
		}
		if err := r.spend(int(n) * len(x.items)); err != nil {
			return nil, true, err
		}
		items := make([]Value, 0, int(n)*len(x.items))
		for ; n > 0; n-- {
			items = append(items, x.items...)
		}
		return &list{items: items, tuple: x.tuple}, true, nil
	}
	return nil, false, nil
}

// arithmetic evaluates operators on numbers.
func arithmetic(op *tokens.Token, left, right Value) (Value, error) {
	ai, af, aInt, aok := asNumber(left)
	bi, bf, bInt, bok := asNumber(right)
	if !aok || !bok {
		return nil, errf("unsupported operand type(s) for %s: '%s' and '%s'", op.Val, typeName(left), typeName(right))
	}
	if aInt && bInt && op.Type != tokens.Division {
		if op.Type != tokens.Power || bi >= 0 {
			return integers(op.Type, ai, bi)
		}
	}
	switch op.Type {
	case tokens.Addition:
		return af + bf, nil
	case tokens.Subtraction:
		return af - bf, nil
	case tokens.Multiply:
		return af * bf, nil
	case tokens.Power:
		return math.Pow(af, bf), nil
	default:
	}
	if bf == 0 {
		return nil, errf("division by zero")
	}
	switch op.Type {
	case tokens.Division:
		return af / bf, nil
	case tokens.FloorDivision:
		return math.Floor(af / bf), nil
	default:
		m := math.Mod(af, bf)
		if m != 0 && (m < 0) != (bf < 0) {
			m += bf
		}
		return m, nil
	}
}

func integers(op tokens.Type, a, b int64) (Value, error) {
	switch op {
	case tokens.Addition:
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
		return nil, overflow()
	case tokens.Subtraction:
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
		return nil, overflow()
	case tokens.Multiply:
		return multiply(a, b)
	case tokens.Power:
		out := int64(1)
		if a == 0 || a == 1 || a == -1 { // the only bases whose powers stay small
			b = min(b, 2+b%2)
		}
		for ; b > 0; b-- {
			v, err := multiply(out, a)
			if err != nil {
				return nil, err
			}
			out = v.(int64)
		}
		return out, nil
	default:
	}
	if b == 0 {
		return nil, errf("integer division or modulo by zero")
	}
	if a == math.MinInt64 && b == -1 {
		return nil, overflow()
	}
	q, m := a/b, a%b
	if m != 0 && (m < 0) != (b < 0) {
		q, m = q-1, m+b
	}
	if op == tokens.FloorDivision {
		return q, nil
	}
	return m, nil
}

func multiply(a, b int64) (Value, error) {
	if a == 0 || b == 0 {
		return int64(0), nil
	}
	c := a * b
	if c/b != a || a == -1 && b == math.MinInt64 || b == -1 && a == math.MinInt64 {
		return nil, overflow()
	}
	return c, nil
}

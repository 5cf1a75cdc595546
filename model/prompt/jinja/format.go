package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a format specification: of printf style, or of str.format.
type spec struct {
	fill       rune
	align      byte // '<', '>', '^', '=' or 0
	sign       byte // '+', ' ' or 0
	alternate  bool
	zero       bool
	comma      bool
	width      int
	precision  int // -1: none
	conversion byte
}

// maxField bounds width and precision; the budget bounds them further.
const maxField = 1 << 20

// percent is Python's text % value.
func (r *run) percent(t Text, v Value) (Value, error) {
	values := []Value{v}
	named, _ := v.(*dict)
	lenient := named != nil || isUndefined(v) // a mapping need not be used, and Python takes a list for one
	if l, ok := v.(*list); ok && l.tuple {
		values = l.items
	} else if ok {
		lenient = true
	}
	var b builder
	s := t.String
	at, used := 0, 0
	for {
		i := strings.IndexByte(s[at:], '%')
		if i < 0 {
			break
		}
		b.text(t.slice(at, at+i))
		at += i + 1
		key, n, sp, err := r.percentSpec(s[at:])
		if err != nil {
			return nil, err
		}
		at += n
		if sp.conversion == '%' {
			b.plain("%")
			continue
		}
		var arg Value
		switch {
		case key != "" && named != nil:
			e, ok := named.get(Plain(key))
			if !ok {
				return nil, errf("KeyError: '%s'", key)
			}
			arg = e
		case key != "":
			return nil, errf("format requires a mapping")
		case used >= len(values):
			return nil, errf("not enough arguments for format string")
		default:
			arg = values[used]
			used++
		}
		field, err := r.percentField(sp, arg)
		if err != nil {
			return nil, err
		}
		b.text(field)
	}
	if used < len(values) && !lenient {
		return nil, errf("not all arguments converted during string formatting")
	}
	b.text(t.slice(at, len(s)))
	out := b.done()
	return out, r.spendTexts(t, out)
}

// percentSpec parses what follows a percent sign.
func (r *run) percentSpec(s string) (key string, n int, sp spec, err error) {
	sp = spec{fill: ' ', precision: -1, align: '>'}
	if strings.HasPrefix(s, "(") {
		end := strings.IndexByte(s, ')')
		if end < 0 {
			return "", 0, sp, errf("incomplete format key")
		}
		key, n = s[1:end], end+1
	}
	for ; n < len(s) && strings.IndexByte("-+ #0", s[n]) >= 0; n++ {
		switch s[n] {
		case '-':
			sp.align = '<'
		case '#':
			sp.alternate = true
		case '0':
			sp.zero = true
		default:
			sp.sign = max(sp.sign&0x7f, s[n])
		}
	}
	if sp.width, n, err = digits(s, n); err != nil {
		return "", 0, sp, err
	}
	if n < len(s) && s[n] == '.' {
		if sp.precision, n, err = digits(s, n+1); err != nil {
			return "", 0, sp, err
		}
	}
	if n >= len(s) {
		return "", 0, sp, errf("incomplete format")
	}
	sp.conversion = s[n]
	if strings.IndexByte("sradiufFeEgGxXoc%", sp.conversion) < 0 {
		c, _ := utf8.DecodeRuneInString(s[n:])
		return "", 0, sp, errf("unsupported format character %q", c)
	}
	return key, n + 1, sp, r.spend(1)
}

// digits reads a decimal number of at most maxField; none is 0.
func digits(s string, at int) (value, next int, err error) {
	for ; at < len(s) && s[at] >= '0' && s[at] <= '9'; at++ {
		if value = value*10 + int(s[at]-'0'); value > maxField {
			return 0, 0, errf("a field is wider than %d", maxField)
		}
	}
	return value, at, nil
}

// percentField formats one value.
func (r *run) percentField(sp spec, v Value) (Text, error) {
	switch sp.conversion {
	case 's', 'r', 'a':
		var t Text
		var err error
		if sp.conversion == 's' {
			t, err = r.str(v)
		} else {
			var b builder
			err = r.repr(&b, v)
			t = b.done()
		}
		if err != nil {
			return Text{}, err
		}
		sp.zero = false
		return r.text(sp, t)
	case 'c':
		if t, ok := v.(Text); ok && utf8.RuneCountInString(t.String) == 1 {
			return r.text(sp, t)
		}
		return Text{}, errf("%%c requires a character here")
	case 'i', 'u':
		sp.conversion = 'd'
	}
	if _, _, _, ok := asNumber(v); !ok {
		return Text{}, errf("%%%c format: a number is required, not %s", sp.conversion, typeName(v))
	}
	if sp.zero && sp.align != '<' {
		sp.fill, sp.align = '0', '='
	}
	return r.number(sp, v)
}

// text formats a string: cut to the precision, filled up to the width.
func (r *run) text(sp spec, t Text) (Text, error) {
	if err := r.spendRunes(t); err != nil {
		return Text{}, err
	}
	at := t.runes()
	if sp.precision >= 0 && sp.precision < len(at)-1 {
		t = t.slice(0, at[sp.precision])
		at = at[:sp.precision+1]
	}
	missing := max(0, sp.width-len(at)+1)
	if err := r.spend(missing); err != nil {
		return Text{}, err
	}
	before := 0
	switch sp.align {
	case '>', '=':
		before = missing
	case '^':
		before = missing / 2
	}
	var b builder
	b.plain(strings.Repeat(string(sp.fill), before))
	b.text(t)
	b.plain(strings.Repeat(string(sp.fill), missing-before))
	return b.done(), nil
}

// number formats a number.
func (r *run) number(sp spec, v Value) (Text, error) {
	if err := r.spend(1 + max(0, sp.width) + max(0, sp.precision)); err != nil {
		return Text{}, err
	}
	i, f, isInt, _ := asNumber(v)
	var body string
	negative := f < 0
	switch c := sp.conversion; c {
	case 'd', 'x', 'X', 'o', 'b':
		if !isInt {
			if f != f || f >= 1<<63 || f < -1<<63 {
				return Text{}, errf("cannot format %s as an integer", floatRepr(f))
			}
			i = int64(f)
		}
		base := map[byte]int{'d': 10, 'x': 16, 'X': 16, 'o': 8, 'b': 2}[c]
		body = strings.TrimPrefix(strconv.FormatInt(i, base), "-")
		for len(body) < sp.precision {
			body = strings.Repeat("0", sp.precision-len(body)) + body
		}
		if prefix := map[byte]string{'x': "0x", 'X': "0X", 'o': "0o", 'b': "0b"}[c]; sp.alternate {
			body = prefix + body
		}
		if c == 'X' {
			body = strings.ToUpper(body)
		}
		negative = i < 0
	default:
		body = floating(sp, f)
	}
	if sp.comma {
		body = grouped(body)
	}
	sign := ""
	switch {
	case negative:
		sign = "-"
	case sp.sign != 0:
		sign = string(sp.sign)
	}
	missing := max(0, sp.width-len(sign)-len(body))
	fill := strings.Repeat(string(sp.fill), missing)
	switch sp.align {
	case '=':
		return Plain(sign + fill + body), nil
	case '<':
		return Plain(sign + body + fill), nil
	case '^':
		half := len(string(sp.fill)) * (missing / 2)
		return Plain(fill[:half] + sign + body + fill[half:]), nil
	default:
		return Plain(fill + sign + body), nil
	}
}

// floating writes the digits of a float, without a sign.
func floating(sp spec, f float64) string {
	if f < 0 {
		f = -f
	}
	precision := sp.precision
	if precision < 0 {
		precision = 6
	}
	c := sp.conversion | 0x20
	if c == 'g' {
		// Python's g: precision counts digits, trailing zeros go, an exponent below 1e-4 and from 10^precision on.
		precision = max(precision, 1)
		e := strconv.FormatFloat(f, 'e', precision-1, 64)
		exp := 0
		if k := strings.IndexByte(e, 'e'); k >= 0 {
			exp, _ = strconv.Atoi(e[k+1:]) // digits by construction
		}
		if exp < -4 || exp >= precision {
			k := strings.IndexByte(e, 'e')
			mantissa := e[:k]
			if strings.Contains(mantissa, ".") && !sp.alternate {
				mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
			}
			e = mantissa + e[k:]
		} else {
			e = strconv.FormatFloat(f, 'f', precision-1-exp, 64)
			if strings.Contains(e, ".") && !sp.alternate {
				e = strings.TrimRight(strings.TrimRight(e, "0"), ".")
			}
		}
		if sp.conversion == 'G' {
			return strings.ToUpper(e)
		}
		return e
	}
	s := strings.ToLower(strconv.FormatFloat(f, c, precision, 64))
	s = strings.TrimPrefix(s, "+")
	if sp.conversion < 'a' {
		return strings.ToUpper(s)
	}
	return s
}

// grouped puts a comma between groups of three digits.
func grouped(s string) string {
	whole, rest, dot := strings.Cut(s, ".")
	var b strings.Builder
	for i, c := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	if dot {
		return b.String() + "." + rest
	}
	return b.String()
}

package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatMethod is str.format: {}, {0}, {name}, each with an optional !s or !r and a format specification. Attributes and
// nested fields are refused.
func formatMethod(r *run, t Text, a *args) (Value, error) {
	var b builder
	s := t.String
	next := 0
	for at := 0; at < len(s); {
		i := strings.IndexAny(s[at:], "{}")
		if i < 0 {
			b.text(t.slice(at, len(s)))
			break
		}
		b.text(t.slice(at, at+i))
		at += i
		if at+1 < len(s) && s[at+1] == s[at] {
			b.text(t.slice(at, at+1))
			at += 2
			continue
		}
		end := strings.IndexByte(s[at:], '}')
		if s[at] == '}' || end < 0 {
			return nil, errf("single '%c' encountered in format string", s[at])
		}
		field, err := r.formatField(s[at+1:at+end], a, &next)
		if err != nil {
			return nil, err
		}
		b.text(field)
		at += end + 1
	}
	out := b.done()
	return out, r.spendTexts(out)
}

// formatField formats what stands between braces; next counts the fields without a number.
func (r *run) formatField(field string, a *args, next *int) (Text, error) {
	name, layout, _ := strings.Cut(field, ":")
	name, conversion, _ := strings.Cut(name, "!")
	var v Value
	switch i, err := strconv.Atoi(name); {
	case name == "":
		i = *next
		*next++
		if i >= len(a.pos) {
			return Text{}, errf("replacement index %d out of range for positional args tuple", i)
		}
		v = a.pos[i]
	case err == nil:
		if i < 0 || i >= len(a.pos) {
			return Text{}, errf("replacement index %d out of range for positional args tuple", i)
		}
		v = a.pos[i]
	default:
		v = absent{}
		for _, k := range a.kw {
			if k.name == name {
				v = k.value
			}
		}
		if v == (absent{}) {
			return Text{}, errf("KeyError: '%s'", name)
		}
	}
	var err error
	switch conversion {
	case "":
	case "s":
		v, err = r.str(v)
	case "r":
		var b builder
		err = r.repr(&b, v)
		v = b.done()
	default:
		return Text{}, errf("unknown conversion %q", conversion)
	}
	if err != nil {
		return Text{}, err
	}
	return r.formatSpec(layout, v)
}

// formatSpec formats a value by [[fill]align][sign][#][0][width][,][.precision][type].
func (r *run) formatSpec(s string, v Value) (Text, error) {
	if s == "" {
		return r.str(v)
	}
	sp := spec{fill: ' ', precision: -1}
	if c, n := utf8.DecodeRuneInString(s); n < len(s) && strings.IndexByte("<>^=", s[n]) >= 0 {
		sp.fill, sp.align, s = c, s[n], s[n+1:]
	} else if strings.IndexByte("<>^=", s[0]) >= 0 {
		sp.align, s = s[0], s[1:]
	}
	at := 0
	flag := func(set string) byte {
		if at < len(s) && strings.IndexByte(set, s[at]) >= 0 {
			at++
			return s[at-1]
		}
		return 0
	}
	if sp.sign = flag("+- "); sp.sign == '-' {
		sp.sign = 0
	}
	sp.alternate = flag("#") != 0
	if flag("0") != 0 && sp.align == 0 {
		sp.fill, sp.align = '0', '='
	}
	var err error
	if sp.width, at, err = digits(s, at); err != nil {
		return Text{}, err
	}
	sp.comma = flag(",") != 0
	if flag(".") != 0 {
		if sp.precision, at, err = digits(s, at); err != nil {
			return Text{}, err
		}
	}
	sp.conversion = flag("sdfFeEgGxXob%")
	if at < len(s) {
		return Text{}, errf("invalid format specifier")
	}
	return r.formatValue(sp, v)
}

// formatValue formats a number, or anything else as a string.
func (r *run) formatValue(sp spec, v Value) (Text, error) {
	i, f, isInt, ok := asNumber(v)
	_, isBool := v.(bool)
	switch {
	case ok && !isBool && sp.conversion == 's', !ok && sp.conversion != 0 && sp.conversion != 's':
		return Text{}, errf("unknown format code '%c' for object of type '%s'", sp.conversion, typeName(v))
	case !ok, isBool && (sp.conversion == 0 || sp.conversion == 's'):
		t, err := r.str(v)
		if err != nil {
			return Text{}, err
		}
		return r.text(sp, t)
	case isInt && sp.precision >= 0 && sp.conversion == 0:
		return Text{}, errf("precision not allowed in integer format specifier")
	}
	if sp.align == 0 {
		sp.align = '>'
	}
	switch {
	case sp.conversion == '%':
		sp.conversion = 'f'
		t, err := r.number(sp, f*100)
		return Plain(t.String + "%"), err
	case sp.conversion == 0 && isInt:
		sp.conversion, v = 'd', i
	case sp.conversion == 0 && sp.precision < 0:
		return r.text(sp, Plain(floatRepr(f)))
	case sp.conversion == 0:
		sp.conversion = 'g'
	}
	return r.number(sp, v)
}

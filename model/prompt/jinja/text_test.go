package jinja

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The user writes in letters of the private use area, which have no case and occur in no template: in what is rendered,
// exactly those must be marked as the user's.
const (
	ua, ub, uc = "\ue000", "\ue001", "\ue002"
	content    = ua + ub + uc + ub + uc
)

// written returns the spans of private-use letters.
func written(s string) []Span {
	var b builder
	for _, c := range s {
		b.from(string(c), c >= 0xe000 && c < 0xf900)
	}
	return b.user
}

func TestUserTextStaysMarked(t *testing.T) {
	messages := List(Dict(Pair{"role", Plain("user")}, Pair{"content", User(content)}),
		Dict(Pair{"role", Plain("assistant")}, Pair{"content", User(ub + uc)}))
	for _, source := range []string{
		`<{{ u }}>`, `{{ 'a' + u + 'b' }}`, `{{ 'a' ~ u ~ u ~ 1 }}`, `{{ u * 3 }}`, `{{ ('x' ~ u) * 3 }}`,
		`{{ u[1:3] }}`, `{{ u[::-1] }}`, `{{ u[::2] ~ '-' ~ u[-1] }}`, `{{ ('ab' ~ u ~ 'cd')[1:4] }}`, `{{ ('ab' ~ u)[0] }}`,
		`{{ u.replace('` + ub + `', 'XY') }}`, `{{ 'a-b-c'.replace('-', u) }}`, `{{ u.replace('` + ub + `', '', 1) }}`,
		`{{ u.replace('', '.') }}`, `{{ u | replace('` + ua + `', u) }}`,
		`{{ u.split('` + ub + `') | join('|') }}`, `{{ ('x ' ~ u ~ ' y').split() | join(u) }}`, `{{ u.rsplit('` + ub + `', 1)[0] }}`,
		`{{ ('  ' ~ u ~ '  ').strip() }}`, `{{ ('  ' ~ u ~ '  ') | trim }}`, `{{ u.strip('` + ua + `') }}`, `{{ u.removeprefix('` + ua + `') ~ 'x' }}`,
		`{{ ('aB' ~ u ~ 'Cd') | upper }}`, `{{ ('aB' ~ u ~ 'Cd').lower() }}`, `{{ ('ab ' ~ u ~ ' cd') | title }}`, `{{ ('ab ' ~ u) | capitalize }}`,
		`{{ ('aB' ~ u).swapcase() }}`, `{{ [u, 'x', u] | join(', ') }}`, `{{ ', '.join([u, 'x']) }}`, `{{ u.join(['a', 'b', 'c']) }}`,
		`{{ '%s and %5s' % (u, 'x') }}`, `{{ '%-9s|%.2s' % (u, u) }}`, `{{ '{} {x:>8}'.format(u, x=u) }}`, `{{ '%s' | format(u) }}`,
		`{{ [u, {'k': u}] }}`, `{{ {'k': [u, 1]} | tojson }}`, `{{ messages | tojson(indent=2) }}`, `{{ ('<' ~ u ~ '>') | e }}`,
		`{{ ('a\n' ~ u ~ '\nb') | indent(2) }}`, `{{ ('a b c ' ~ u ~ ' d e f') | truncate(9) }}`, `{{ u.center(11, '*') }}`, `{{ u.ljust(8) ~ u.rjust(8) }}`,
		`{{ u.zfill(8) }}`, `{{ u | reverse }}`, `{{ ('a' ~ u) | list | join('-') }}`, `{% for c in 'x' ~ u %}[{{ c }}]{% endfor %}`,
		`{{ ('x-' ~ u ~ '-y').partition('-') | join }}`, `{{ ('x\n' ~ u).splitlines(true) | join }}`,
		`{% set s %}<{{ u }}>{% endset %}{{ s ~ s }}`, `{% filter upper %}a{{ u }}b{% endfilter %}`,
		`{% macro m(a) %}[{{ a }}{{ caller() }}]{% endmacro %}{% call m(u) %}({{ u }}){% endcall %}`,
		`{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.role ~ ':' ~ m.content ~ '\n' %}{% endfor %}{{ ns.s }}`,
		`{{ messages | map(attribute='content') | map('upper') | join('+') }}`, `{{ messages | selectattr('role', 'eq', 'user') | first }}`,
		`{{ u | default('x') }}{{ '' | default(u, true) }}{{ (u if u else 'n') ~ (u or 'n') }}`, `{{ (messages | last).content | string | safe }}`,
		`{% for x in [[u, ['y' ~ u]]] recursive %}{% if x is string %}{{ x }}{% else %}({{ loop(x) }}){% endif %}{% endfor %}`,
	} {
		t.Run(source, func(t *testing.T) {
			tm, err := Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tm.Render(map[string]Value{"u": User(content), "messages": messages}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if want := written(got.String); !reflect.DeepEqual(got.User, want) {
				t.Errorf("in %q got spans %v, want %v", got.String, got.User, want)
			}
		})
	}
}

func TestEscapedUserTextStaysMarked(t *testing.T) {
	tm, err := Parse(`{{ u | tojson }}{{ u | e }}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Render(map[string]Value{"u": User("<\n>")}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Text{String: "\"<\\n>\"&lt;\n&gt;", User: []Span{{1, 5}, {6, 15}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBytesThatAreNoUTF8StayAsTheyAre(t *testing.T) {
	tm, err := Parse(`{{ u }}|{{ u | upper }}|{{ u[1:] }}|{{ u | replace('a', 'b') }}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Render(map[string]Value{"u": User("\xffa\xc3")}, Options{})
	if want := "\xffa\xc3|\xffA\xc3|a\xc3|\xffb\xc3"; err != nil || got.String != want {
		t.Errorf("got %q %v, want %q", got.String, err, want)
	}
}

func TestErrorNamesItsLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\nb\n{{ x.y }}":                                        "line 3: 'x' is undefined",
		"{# c\n\n #}\n{% if 1 %}\n{{ 1 + }}":                     "line 5: expected either a number",
		"{% for x in [1] %}\n\n{{ 1 / 0 }}\n{% endfor %}":        "line 3: division by zero",
		"\n\n{{ 'a\nb":                                           "line 3: string is not closed",
		"{% macro m() %}\n{{ nope.x }}{% endmacro %}\n{{ m() }}": "line 2: 'nope' is undefined",
		"\n{{ 1 | nope }}":                                       "line 2: no filter named 'nope'",
		"\n{% nope %}":                                           "line 2: unknown tag \"nope\"",
	} {
		tm, err := Parse(source)
		if err == nil {
			_, err = tm.Render(nil, Options{})
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", source, err, want)
		}
	}
}

func TestRaisedMessageIsTheWholeError(t *testing.T) {
	tm, err := Parse("\n{{ raise_exception('No ' ~ what) }}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = tm.Render(map[string]Value{"what": User("way")}, Options{})
	if e := (*Error)(nil); !errors.As(err, &e) || !e.Raised || e.Error() != "No way" {
		t.Errorf("got %v, want No way", err)
	}
}

func TestStrftimeNowFollowsPython(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 5, 0, 7, 9, 1234000, time.UTC) }
	tm, err := Parse("{{ strftime_now('%d %b %Y|%A %B %-d %H:%M:%S %p %j %y|%-H|%%|%e|%f|%Q|%') }}")
	if err != nil {
		t.Fatal(err)
	}
	got, err := tm.Render(nil, Options{Now: now})
	if want := "05 Mar 2026|Thursday March 5 00:07:09 AM 064 26|0|%| 5|001234|%Q|%"; err != nil || got.String != want {
		t.Errorf("got %q %v, want %q", got.String, err, want)
	}
}

func TestTemplateMayRenderInParallel(t *testing.T) {
	tm, err := Parse("{% set ns = namespace(n=0) %}{% for i in range(50) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}{{ 1 / zero }}")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := tm.Render(map[string]Value{"zero": int64(0)}, Options{})
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err == nil || err.Error() != "line 1: division by zero" {
			t.Errorf("got %v, want division by zero", err)
		}
	}
}

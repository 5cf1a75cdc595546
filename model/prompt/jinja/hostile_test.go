package jinja

import (
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostile templates try to take time, memory or stack. refused says what the error must hold; "" means that the template may
// also render, if it does so within the limits.
var hostile = []struct{ name, source, refused string }{
	{"nested loops", `{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}`, "steps"},
	{"empty range bodies in a row", strings.Repeat(`{% for i in range(100000) %}{% endfor %}`, 50), "steps"},
	{"range too big", `{% for i in range(1000000000) %}{% endfor %}`, "Range too big"},
	{"no condition", `{{ 'a' if }}`, "after 'if'"},
	{"no condition before else", `{{ 'a' if else 'b' }}`, "after 'if'"},
	{"no condition in a chain", `{{ 'a' if true else 'b' if }}`, "after 'if'"},
	{"range beyond integers", `{{ range(9999999999999) }}`, "range"},
	{"string times a number", `{{ 'x' * 1000000000 }}`, "steps"},
	{"string times the largest number", `{{ 'xy' * 9223372036854775807 }}`, "steps"},
	{"user text times a number", `{{ user * 100000000 }}`, "steps"},
	{"list times a number", `{{ [0] * 1000000000 }}`, "steps"},
	{"empty list times a number", `{{ [] * 9000000000 }}`, ""},
	{"doubling text", `{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}`, "steps"},
	{"doubling text with plus", `{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, "steps"},
	{"doubling user text", `{% set ns = namespace(s=user ~ '-') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, "steps"},
	{"doubling a list", `{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`, "steps"},
	{"doubling by joining", `{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}`, "steps"},
	{"doubling by formatting", `{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}`, "steps"},
	{"doubling by str.format", `{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}`, "steps"},
	{"growing by replace", `{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}`, "steps"},
	{"growing by replacing nothing", `{% set ns = namespace(s='xx') %}{% for i in range(60) %}{% set ns.s = ns.s.replace('', ns.s) %}{% endfor %}`, "steps"},
	{"growing by escape", `{% set ns = namespace(s='&') %}{% for i in range(100000) %}{% set ns.s = ns.s | e %}{% endfor %}`, "steps"},
	{"growing by tojson", `{% set ns = namespace(s='"') %}{% for i in range(100) %}{% set ns.s = ns.s | tojson %}{% endfor %}`, "steps"},
	{"growing by capturing", `{% set s = 'x' %}` + strings.Repeat(`{% set s %}{{ s }}{{ s }}{% endset %}`, 60), "steps"},
	{"a value that doubles in print", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}`, "steps"},
	{"a value that doubles in tojson", `{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | tojson }}`, "steps"},
	{"a value that doubles in ==", `{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}`, "steps"},
	{"a deep value in print", `{% set ns = namespace(l=1) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}`, "deep"},
	{"a deep value in tojson", `{% set ns = namespace(l=1) %}{% for i in range(9999) %}{% set ns.l = {'a': ns.l} %}{% endfor %}{{ ns.l | tojson(indent=2) }}`, "deep"},
	{"a deep value in sort", `{% set ns = namespace(l=1, m=1) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% set ns.m = [ns.m] %}{% endfor %}{{ [ns.l, ns.m] | sort }}`, "deep"},
	{"a namespace that holds itself", `{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}{{ ns.a == ns.a }}`, ""},
	{"a macro that calls itself", `{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`, "deep"},
	{"macros that call each other twice", `{% macro a(n) %}{{ b(n+1) }}{{ b(n+1) }}{% endmacro %}{% macro b(n) %}{{ a(n+1) if n < 60 }}{{ a(n+1) if n < 60 }}{% endmacro %}{{ a(0) }}`, "steps"},
	{"a caller that calls itself", `{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}`, "deep"},
	{"a recursive loop without end", `{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}`, "deep"},
	{"wide center", `{{ 'x'.center(2000000000) }}`, "steps"},
	{"wide ljust", `{{ 'x'.ljust(2000000000) }}`, "steps"},
	{"wide zfill", `{{ 'x'.zfill(2000000000) }}`, "steps"},
	{"wide field", `{{ '%1000000000d' % 1 }}`, "wider"},
	{"many wide fields", `{{ ('%1000000d' * 100) % ((1,) * 100) }}`, "steps"},
	{"wide str.format", `{{ '{:>1000000000}'.format(1) }}`, "wider"},
	{"long precision", `{{ '%.1000000f' % 1 }}`, ""},
	{"wide indent", `{{ 'a\nb' | indent(2000000000) }}`, "steps"},
	{"wide indent of many lines", `{{ ('a\n' * 10000) | indent(100000) }}`, "steps"},
	{"wide tojson", `{{ [1] | tojson(indent=2000000000) }}`, "steps"},
	{"filled batch", `{{ [1] | batch(2000000000, 0) | list }}`, "steps"},
	{"power beyond integers", `{{ 2 ** 1000000000 }}`, "too large"},
	{"power of one", `{{ 1 ** 9000000000000000000 }}`, ""},
	{"sum beyond integers", `{{ 9223372036854775807 + 1 }}`, "too large"},
	{"modulo of text", `{{ '%s' % x }}`, ""},
	{"modulo by zero", `{{ 1 % 0 }}`, "zero"},
	{"sorting much", `{% for i in range(1000) %}{% set x = range(10000) | list | sort(reverse=true) %}{% endfor %}`, "steps"},
	{"deep brackets", `{{ ` + strings.Repeat("(", 50000) + "1" + strings.Repeat(")", 50000) + ` }}`, "nested"},
	{"deep lists", `{{ ` + strings.Repeat("[", 50000) + strings.Repeat("]", 50000) + ` }}`, "nested"},
	{"deep statements", strings.Repeat("{% if 1 %}", 5000) + strings.Repeat("{% endif %}", 5000), "nested"},
	{"deep statements left open", strings.Repeat("{% for x in y %}", 8000), "nested"},
	{"long chain of attributes", `{{ x` + strings.Repeat(".a", 50000) + ` }}`, "deep"},
	{"long chain of methods", `{{ 'x'` + strings.Repeat(".strip()", 15000) + ` }}`, "deep"},
	{"chain of methods that gonja runs 2^60 times", `{{ 'x'` + strings.Repeat(".strip()", 60) + ` }}`, ""},
	{"long chain of operators", `{{ 1` + strings.Repeat(" ~ 1", 30000) + ` }}`, "deep"},
	{"long chain of filters", `{{ 'x'` + strings.Repeat("|upper", 20000) + ` }}`, ""},
	{"long chain of conditions", `{{ ` + strings.Repeat("1 if 0 else ", 10000) + `2 }}`, "in a row"},
	{"long chain of negations", `{{ ` + strings.Repeat("not ", 30000) + `1 }}`, "in a row"},
	{"long chain of comparisons", `{{ 1` + strings.Repeat(" < 1", 30000) + ` }}`, "deep"},
	{"many elifs", `{% if 0 %}` + strings.Repeat("{% elif 0 %}", 10000) + `{% endif %}`, ""},
	{"too long", strings.Repeat("x", maxSource+1), "limit"},
	{"raise in a loop", `{% for i in range(100000) %}{{ raise_exception('no') }}{% endfor %}`, "no"},
	{"break outside of a loop", `{% break %}`, "outside"},
	{"files", `{% include '/etc/passwd' %}`, "unknown tag"},
	{"import", `{% import 'x' as y %}`, "unknown tag"},
	{"extends", `{% extends 'x' %}`, "unknown tag"},
	{"long raised message", `{{ raise_exception('x' * 100000) }}`, "x"},
}

// cpuTime is what the process has computed so far. On a machine that does other things as well, wall time says little.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHostileTemplateIsRefused bounds time and memory, and sees that nothing is left running.
func TestHostileTemplateIsRefused(t *testing.T) {
	vars := map[string]Value{"user": User("hello")}
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			goroutines := runtime.NumGoroutine()
			start := cpuTime(t)
			tm, err := Parse(h.source)
			if err == nil {
				_, err = tm.Render(vars, Options{})
			}
			took := cpuTime(t) - start
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MB allocated in all: %.80v", took.Round(time.Millisecond), allocated, err)
			if took > second {
				t.Errorf("took %v, want at most %v", took, second)
			}
			if allocated > 128 {
				t.Errorf("allocated %d MB, want at most 128", allocated)
			}
			if n := runtime.NumGoroutine(); n > goroutines {
				t.Errorf("%d goroutines left, want %d", n, goroutines)
			}
			if h.refused != "" && (err == nil || !strings.Contains(err.Error(), h.refused)) {
				t.Errorf("got error %.200v, want one with %q", err, h.refused)
			}
		})
	}
}

"""Writes cases.json: what Jinja2 renders for small templates, one construct each.

Run with Python 3.11, Jinja2 3.1.6: python make.py > cases.json
The environment is the one in which transformers renders chat templates (utils/chat_template_utils.py): the immutable
sandbox, trim_blocks and lstrip_blocks, loop controls, a generation block, tojson without HTML escapes, raise_exception.
"""
import json
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


env = jinja2.sandbox.ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception

VARS = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "  Hi\r\n\r\nthere <b>\"you\"</b>  "},
        {"role": "assistant", "content": "<think>hm\n</think>\n\nHello!"},
        {"role": "user", "content": "Grüße 🦙 你好 é"},
    ],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None,
    "n": 7, "f": 2.5, "s": "It's a tEst-case", "empty": "", "xs": [3, 1, 2, 3], "words": ["b", "A", "c"],
    "d": {"b": 1, "a": [True, None, 1.0, "x\ny"], "c": {"k": "<&>'\""}},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25}, {"name": "Cy", "age": 30}],
}

TEMPLATES = r"""
plain text
a {{ n }} b
{{ n }} {% if n %}x{% endif %} y
@@
line
   {% if n %}
   indented
   {% endif %}
last
@@
  {{ n }}  {% if n %} x {% endif %}
@@
{# comment #}
after comment
   {# indented comment #}
x
@@
a {#- tight -#} b
@@
a   {%- if n -%}   b   {%- endif -%}   c
@@
a
  {%+ if n %}b{% endif +%}
c
@@
{{- n -}}   x   {{- n }}
@@
{% raw %}{{ not }} {% rendered %}{% endraw %}
@@
x {%- raw -%}  {{ a }}  {%- endraw -%}  y
@@
{% if n %}


blank lines{% endif %}

@@
{{ 'a\'b' }} {{ "c\"d" }} {{ '\\' }} {{ 'tab\tnl\n' }} {{ '\x41\u00e9\U0001F999\101' }} {{ '\d\ ' }}
@@
{{ 'multi
line' }}
@@
{{ n
   + 1
}}{% if n
   and
   f %}yes{% endif %}
@@
{{ (n == 7)and(f == 2.5) }} {{ not(n) }} {{ n in[7] }}
@@
{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ 7.5 % 2 }}
@@
{{ 1 / 3 }} {{ 1e16 }} {{ 1e15 }} {{ 0.00001 }} {{ 1.0 }} {{ 100000000000000000000.0 }} {{ 1_000 }} {{ 0x1F }} {{ 0b11 }} {{ 0o17 }}
@@
{{ none }} {{ None }} {{ true }} {{ False }} {{ nothing }} {{ [1, 'a', none, 2.0, true] }} {{ (1,) }} {{ () }} {{ {'a': 1, "b": [2]} }}
@@
{{ 'a' ~ 1 ~ none ~ nothing ~ 2.5 ~ [1] }}
@@
{{ 'a' * 3 }} {{ 3 * 'b' }} {{ [1] * 2 }} {{ 'a' * -1 }} {{ [1] + [2] }} {{ (1,) + (2,) }}
@@
{{ "it's" }} {{ ["it's", 'a"b', 'both\'"', 'back\\slash', 'nl\n'] }}
@@
{{ n if n else 0 }} {{ 'a' if not n else 'b' if f else 'c' }} {{ ('x' if n > 5 else 'y') + 'z' }} [{{ 'q' if false }}]
@@
{{ ['a' if n else 'b', 'c' if not n else 'd'] }} {{ {'k': 1 if n else 2} }} {{ "x" if n is defined and n is number else "y" }}
@@
{% set a = 1 if n else 2 %}{{ a }}{% set a, b = 3, 4 %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}
@@
{% set x = 1 %}{% for i in xs %}{% set x = i %}{{ x }}{% endfor %}{{ x }}
@@
{% set ns = namespace(a=0, b='q') %}{% for i in xs %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}
@@
{% if n %}{% set inside = 5 %}{% endif %}{{ inside }}
@@
{% set block %}a {{ n }} b{% endset %}[{{ block }}]{% set up | upper %}abc{% endset %}{{ up }}
@@
{% for i in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}
@@
{% for i in xs if i > 1 %}{{ i }}{{ ',' if not loop.last }}{% else %}none{% endfor %}|{% for i in [] %}x{% else %}empty{% endfor %}
@@
{% for i in xs %}{{ loop.previtem }}-{{ i }}-{{ loop.nextitem }};{% endfor %}
@@
{% for i in xs %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i) }}{% endfor %}
@@
{% for i in xs %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}
@@
{% for a in xs %}{% for b in words %}{{ loop.depth }}{{ a }}{{ b }} {% endfor %}{{ loop.depth0 }}{% endfor %}
@@
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for (k, v) in d | dictsort %}{{ k }}{% endfor %}{% for k in d %}{{ k }}{% endfor %}
@@
{% for c in 'Grüße 🦙' %}[{{ c }}]{% endfor %}
@@
{% for x in [1, [2, [3]]] recursive %}{% if x is sequence %}({{ loop(x) }}){% else %}{{ x }}d{{ loop.depth }}{% endif %}{% endfor %}
@@
{% macro m(a, b='B', c=none) %}{{ a }}{{ b }}{{ c }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}|{{ m(1, 2, 3, 4) }}|{{ m(b=1, a=2) }}|{{ m(1, z=5) }}
@@
{% macro tag(name) %}<{{ name }}>{{ caller() }}</{{ name }}>{% endmacro %}{% call tag('b') %}in {{ n }}{% endcall %}
@@
{% macro each(l) %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(v) each(xs) %}[{{ v }}]{% endcall %}
@@
{% macro fact(k) %}{{ 1 if k < 2 else k * (fact(k - 1) | int) }}{% endmacro %}{{ fact(5) }}
@@
{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}
@@
{% filter upper | trim %}  abc {{ s }} {% endfilter %}
@@
{% generation %}{{ n }}{% endgeneration %}|
@@
{% generation %}{% set g = 1 %}{% endgeneration %}{{ g }}
@@
{% do [1, 2] %}x
@@
{{ messages[0].role }} {{ messages[0]['content'] }} {{ messages[-1].content }} {{ messages | length }} {{ messages[1:] | length }} {{ messages[::-1][0].role }} {{ messages[:-1][-1].role }}
@@
{{ s[0] }}{{ s[-1] }}{{ s[2:5] }}{{ s[::2] }}{{ s[::-1] }}{{ s[5:2] }}{{ s[-4:] }}{{ s[:100] }}{{ s[10:0:-3] }}{{ xs[5:] }}{{ xs[1:-1] }}
@@
{{ messages[3].content[6] }} {{ messages[3].content[6:9] }} {{ messages[3].content | length }} {{ messages[3].content[::-1] }}
@@
[{{ s[100] }}] [{{ xs[100] }}] [{{ d.missing }}] [{{ d['missing'] }}]
@@
{{ 'a' in 'abc' }} {{ 'z' not in 'abc' }} {{ 3 in xs }} {{ 'b' in d }} {{ none in [none] }} {{ 'user' in messages | map(attribute='role') | list }} {{ 1 in [1] + [2] and true }} {{ 1.0 in xs }} {{ 'x' in nothing }}
@@
{{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' == 'a' }} {{ [1, 2] == [1, 2] }} {{ (1,) == [1] }} {{ {'a': 1} == {'a': 1} }} {{ none == nothing }} {{ nothing == undefined2 }} {{ 'a' < 'b' }} {{ 1 < 2.5 }} {{ [1, 2] < [1, 3] }} {{ 'a' != 1 }}
@@
{{ (messages[0]['role'] == 'user') != (0 % 2 == 0) }} {{ not n == 7 }} {{ n > 3 and n < 9 or false }} {{ '' or 'dflt' }} {{ 'a' and 'b' }} {{ none or 0 }}
@@
{{ n is defined }} {{ nothing is defined }} {{ nothing is not defined }} {{ none is none }} {{ n is not none }} {{ s is string }} {{ d is mapping }} {{ xs is iterable }} {{ xs is sequence }} {{ s is iterable }} {{ n is number }} {{ f is float }} {{ n is integer }} {{ true is boolean }} {{ true is true }} {{ 1 is true }} {{ n is odd }} {{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(3) }} {{ n is eq 7 }} {{ n is ne(8) }} {{ n is gt 3 }} {{ n is in [7] }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ n is sameas 7 }} {{ range is callable }}
@@
{{ '  a b ' | trim }}| {{ 'xxaxx' | trim('x') }} {{ 'abc' | upper }} {{ 'ABC' | lower }} {{ s | title }} {{ s.title() }} {{ s | capitalize }} {{ s.capitalize() }} {{ 'aXb'.swapcase() }}
@@
{{ 'abcabc' | replace('b', 'X') }} {{ 'abcabc' | replace('b', 'X', 1) }} {{ 'abcabc'.replace('b', 'Y') }} {{ 'abcabc'.replace('b', 'Y', 1) }} {{ 'abc'.replace('', '-') }} {{ 'aaa'.replace('aa', 'b') }}
@@
{{ 'a,b,,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b c '.split() }} {{ ' a  b c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ 'a b'.rsplit() }} {{ 'a</t>b'.split('</t>')[-1] }}
@@
{{ 'a\nb\r\nc\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('-') }} {{ 'abc'.rpartition('-') }}
@@
{{ '  x '.strip() }}|{{ '  x '.lstrip() }}|{{ '  x '.rstrip() }}|{{ 'abxba'.strip('ab') }}|{{ '\n\nx\n'.lstrip('\n') }}|{{ '\u00a0x\u2003'.strip() }}|
@@
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.find('c') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('b') }} {{ 'abc'.index('b') }} {{ 'aXbX'.count('X') }} {{ 'Grüße'.find('e') }} {{ 'abcabc'.find('a', 1) }}
@@
{{ 'abc'.isdigit() }} {{ '12'.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' '.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ ''.isalpha() }} {{ 'abc'.removeprefix('a') }} {{ 'abc'.removesuffix('c') }} {{ 'a'.removeprefix('b') }}
@@
{{ 'ab'.center(5) }}|{{ 'ab'.center(7, '*') }}|{{ 'abc'.center(6, '*') }}|{{ 'ab'.ljust(4) }}|{{ 'ab'.rjust(4) }}|{{ '-5'.zfill(4) }}|{{ '5'.zfill(3) }}|{{ 'ab' | center(5) }}|
@@
{{ ', '.join(words) }} {{ words | join(', ') }} {{ xs | join }} {{ people | join(', ', attribute='name') }} {{ ''.join(['a', 'b']) }}
@@
{{ xs | first }} {{ xs | last }} {{ xs | sum }} {{ xs | max }} {{ xs | min }} {{ xs | sort }} {{ xs | sort(reverse=true) }} {{ xs | unique | list }} {{ xs | reverse | list }} {{ 'abc' | reverse }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ words | max }} {{ xs | length }} {{ xs | count }} {{ [] | first }}
@@
{{ people | map(attribute='name') | list }} {{ people | map('length') | list }} {{ words | map('upper') | join }} {{ people | selectattr('age', 'equalto', 30) | map(attribute='name') | list }} {{ people | rejectattr('age', 'gt', 26) | list | length }} {{ people | selectattr('tags') | list | length }} {{ people | selectattr('tags', 'defined') | list | length }} {{ xs | select('odd') | list }} {{ xs | reject('in', [3]) | list }} {{ xs | select | list }} {{ people | map(attribute='tags', default='-') | list }}
@@
{{ people | map(attribute='tags.0') | list }} {{ xs | batch(2) | map(attribute=0) | list }}
@@
{{ xs | batch(2) | map(attribute=0) | list }} {{ messages | map(attribute='content') | map('length') | list }}
@@
{{ people | sort(attribute='age') | map(attribute='name') | join(',') }} {{ people | sort(attribute='name') | map(attribute='name') | join(',') }} {{ people | sum(attribute='age') }} {{ people | max(attribute='age') }} {{ people | unique(attribute='age') | list | length }}
@@
{{ nothing | default('d') }} {{ '' | default('d') }} {{ '' | default('d', true) }} {{ none | default('d') }} {{ nothing | d }} {{ d.x | default(d.b) }}
@@
{{ '5' | int }} {{ 'x' | int }} {{ 'x' | int(9) }} {{ '5.7' | int }} {{ 5.7 | int }} {{ '5.5' | float }} {{ 'x' | float }} {{ 2.567 | round(2) }} {{ 2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ -5 | abs }} {{ 5 | string }} {{ 'ff' | int(base=16) }}
@@
{{ d | tojson }} {{ d | tojson(indent=2) }}
@@
{{ messages | tojson }} {{ 'Grüße <&>\' \u2028 \x07' | tojson }} {{ xs | tojson(indent=4) }} {{ {} | tojson(indent=2) }} {{ [] | tojson }} {{ d | tojson(sort_keys=true) }} {{ xs | tojson(separators=(',', ':')) }} {{ 'é🦙' | tojson(ensure_ascii=true) }} {{ none | tojson }} {{ 1.5 | tojson }}
@@
{{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('b') }} {{ d.get('z') }} {{ d.get('z', 5) }} {{ d | items | list }} {{ d | dictsort }} {{ d.c | dictsort }} {{ {'b': 1, 'a': 2} | dictsort(by='value') }} {{ d | length }} {{ d.c.k | e }}
@@
{{ '%s and %d' % ('a', 5) }} {{ '%05.2f' % 3.14159 }} {{ '%x' % 255 }} {{ '%s' % 'q' }} {{ '%-5s|' % 'ab' }} {{ '%5s|' % 'ab' }} {{ '%+d' % 5 }} {{ '%%' % () }} {{ '%(a)s' % {'a': 1} }} {{ '%s' % none }} {{ '%r' % 'x' }} {{ '%e' % 12345.678 }} {{ '%g' % 0.0001 }} {{ '%g' % 1234567 }} {{ '%i' % 3.9 }} {{ '%.2s' % 'abc' }} {{ '%#x' % 10 }}
@@
{{ '%s=%s' | format('a', 1) }} {{ '{} {}'.format('a', 1) }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x:>5}|{y:<4}|'.format(x='q', y=2) }} {{ '{:.2f}'.format(3.14159) }} {{ '{:,}'.format(1234567) }} {{ '{:05d}'.format(42) }} {{ '{{}}'.format() }} {{ '{!r}'.format('a') }} {{ '{:^7}|'.format('ab') }} {{ '{:x}'.format(255) }} {{ '{:.1%}'.format(0.256) }} {{ '{:*>6}'.format(3) }}
@@
{{ 'a\nb\n\nc' | indent }} {{ 'a\nb' | indent(2, true) }} {{ 'a\n\nb' | indent(2, blank=true) }} {{ 'a\nb' | indent('> ') }}
@@
{{ 'hello big world' | truncate(9) }} {{ 'hello big world' | truncate(9, true) }} {{ 'hello big world' | truncate(12, end='!', leeway=0) }} {{ 'a b  c' | wordcount }} {{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 0) | list }}
@@
{{ range(3) | list }} {{ range(1, 4) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }} {{ range(3)[1] }} {% for i in range(2) %}{{ i }}{% endfor %}
@@
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {% set j = joiner('; ') %}{{ j() }}a{{ j() }}b {% set c = cycler('x', 'y') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}
@@
{{ s.upper().lower().strip().replace('t', 'T').replace('T', 't') }} {{ (s | upper).lower() }} {{ ('a' ~ 'b').upper() }} {{ [1, 2][0] }} {{ {'a': {'b': 5}}.a.b }} {{ {'a': 1}['a'] }} {{ 'abc'[1:].upper() }} {{ messages[0].role.upper()[0] }}
@@
{{ s | upper | lower | trim }} {{ 'a' ~ 'B' | lower ~ 'C' }} {{ ('a' ~ 'B') | lower }} {{ -n | abs }} {{ - n }} {{ +n }} {{ n - -1 }}
@@
{{ 'a' 'b' }}
@@
{{ messages[2].content.split('</think>')[-1].lstrip('\n') }} {{ messages[2].content.split('</think>')[0].split('<think>')[-1].strip() }} {{ messages[1].content.strip().replace('\r\n', '\n').replace('\n\n', '\n') }}
@@
{%- for message in messages -%}
    {%- if message.role == 'system' -%}
        {{- message.content + '\n' -}}
    {%- elif message.role == "user" and
         message.content is string -%}
        {{- 'U: ' + message.content | trim + '\n' -}}
    {%- else -%}
        {{- 'A: ' + (message.content.split('</think>') | last | trim) + eos_token + '\n' -}}
    {%- endif -%}
{%- endfor -%}
{{- 'A:' if add_generation_prompt else '' -}}
@@
{{ raise_exception('Roles must <alternate> "' + messages[0].role + '"') }}
@@
{% if messages[0].role != 'user' %}{{ raise_exception('first ' ~ 1) }}{% endif %}
@@
{{ nothing.x }}
@@
{{ d.missing.x }}
@@
{{ nothing + 'a' }}
@@
{{ d.missing + 'a' }}
@@
{{ nothing() }}
@@
{{ none.x.y }}
@@
{{ 'a' + 1 }}
@@
{{ 1 + 'a' }}
@@
{{ 1 % 0 }}
@@
{{ 1 / 0 }}
@@
{{ '%d' % 'x' }}
@@
{{ 'x'.nope() }}
@@
{{ [1].append(2) }}
@@
{{ d.update({'x': 1}) }}
@@
{{ d.pop('b') }}
@@
{{ 1 < 'a' }}
@@
{{ range(1000000) | length }}
@@
{{ 5 | length }}
@@
{% for a, b in [1] %}{% endfor %}
@@
{% for a, b in [[1]] %}{% endfor %}
@@
{% set d.x = 1 %}
@@
{{ n | nofilter }}
@@
{{ n is notest }}
@@
{% include 'x' %}
@@
{% unknown %}
@@
{% if n %}
@@
{{ n
@@
{{ 'open }}
@@
{{ (1 }}
@@
{{ 1 $ 2 }}
@@
{# open
@@
{% endif %}
@@
{{ }}
@@
{% for x in %}{% endfor %}
@@
{% set = 1 %}
@@
{{ n | }}
@@
{{ n. }}
@@
{{ ''.join([1]) }}
@@
{{ 'abc'.index('z') }}
@@
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
@@
{{ loop }}{% for i in xs %}{% endfor %}{{ i }}
"""


def main():
    out = []
    first, *rest = TEMPLATES.split("@@\n")
    for source in [t + "\n" for t in first.strip("\n").split("\n")] + rest:
        source = source[:-1]
        case = {"template": source}
        try:
            case["text"] = env.from_string(source).render(**VARS)
        except Exception as e:
            case["error"] = str(e)
        out.append(case)
    json.dump({"vars": VARS, "cases": out}, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

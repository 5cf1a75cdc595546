package markdown

import (
	"strings"
	"sync"
)

// language is what the lexer needs to know of a programming language. It is deliberately little: colours help to read, and
// a wrong colour for a rare construct harms nobody.
type language struct {
	names        string
	lineComments []string
	delimiters   []delimiter // longer ones first
	keywords     map[string]bool
	types        map[string]bool
	foldCase     bool
	tags         bool   // <name> is a keyword
	keys         bool   // a name before keySign is a key
	keySign      string // ":" or "="
	diff         bool
}

// delimiter opens a string or a comment.
type delimiter struct {
	open, close string
	class       class
	multi       bool // may go on in the next line
	raw         bool // no escapes
}

var (
	double   = delimiter{`"`, `"`, classString, false, false}
	single   = delimiter{`'`, `'`, classString, false, false}
	backtick = delimiter{"`", "`", classString, true, false}
	cComment = delimiter{"/*", "*/", classComment, true, true}
	markup   = delimiter{"<!--", "-->", classComment, true, true}
)

// languages lists what is coloured. The table is built at the first code block.
var languages = sync.OnceValue(func() map[string]*language {
	all := []*language{
		{
			names: "go golang", lineComments: []string{"//"},
			delimiters: []delimiter{cComment, double, single, {"`", "`", classString, true, true}},
			keywords: set(`break case chan const continue default defer else fallthrough for func go goto if import interface map
				package range return select struct switch type var nil true false iota`),
			types: set(`any bool byte comparable complex128 complex64 error float32 float64 int int16 int32 int64 int8 rune
				string uint uint16 uint32 uint64 uint8 uintptr`),
		},
		{
			names: "python py python3", lineComments: []string{"#"},
			delimiters: []delimiter{
				{`"""`, `"""`, classString, true, false}, {`'''`, `'''`, classString, true, false}, double, single,
			},
			keywords: set(`False None True and as assert async await break case class continue def del elif else except finally
				for from global if import in is lambda match nonlocal not or pass raise return self try while with yield`),
			types: set(`bool bytes complex dict float frozenset int list object set str tuple type`),
		},
		{
			names: "javascript js jsx typescript ts tsx mjs node", lineComments: []string{"//"},
			delimiters: []delimiter{cComment, double, single, backtick},
			keywords: set(`abstract as async await break case catch class const continue debugger default delete do else enum
				export extends false finally for from function get if implements import in instanceof interface let new null of
				private protected public readonly return set static super switch this throw true try type typeof undefined var
				void while with yield`),
			types: set(`any boolean never number object string symbol unknown Array Map Promise Record Set`),
		},
		{
			names: "c h cpp c++ cc hpp cxx cuda cu objc arduino", lineComments: []string{"//"},
			delimiters: []delimiter{cComment, double, single},
			keywords: set(`alignas auto break case catch class concept const constexpr continue default delete do else enum
				explicit extern false for friend goto if inline namespace new noexcept nullptr operator override private
				protected public register restrict return sizeof static static_assert struct switch template this throw true
				try typedef typename union using virtual volatile while include define ifdef ifndef endif pragma NULL
				__global__ __device__ __shared__ __restrict__ requires co_await co_return co_yield`),
			types: set(`bool char double float int int16_t int32_t int64_t int8_t long short signed size_t ssize_t string
				uint16_t uint32_t uint64_t uint8_t uintptr_t unsigned vector void wchar_t`),
		},
		{
			names: "java kotlin kt scala groovy csharp cs c# dart swift", lineComments: []string{"//"},
			delimiters: []delimiter{{`"""`, `"""`, classString, true, true}, cComment, double, single},
			keywords: set(`abstract as assert async await base break case catch class companion const continue data default defer
				delegate do else enum event extends extension false final finally for foreach fun func get goto guard if
				implements import in init inner interface internal is lambda let lock match namespace native new nil null object
				open operator out override package params private protected protocol public readonly record ref return sealed
				self set static struct super suspend switch synchronized this throw throws trait transient true try typealias
				typeof using val var virtual void volatile when where while with yield`),
			types: set(`Any Array Bool Boolean Byte Char Character Double Float Int Integer List Long Map Object Optional Set Short
				String Unit boolean byte char decimal double dynamic float int long sbyte short string uint ulong`),
		},
		{
			names: "rust rs", lineComments: []string{"//"},
			delimiters: []delimiter{cComment, double},
			keywords: set(`as async await break const continue crate dyn else enum extern false fn for if impl in let loop match
				mod move mut pub ref return self Self static struct super trait true type union unsafe use where while`),
			types: set(`Box Option Rc Arc Result String Vec bool char f32 f64 i128 i16 i32 i64 i8 isize str u128 u16 u32 u64 u8
				usize HashMap`),
		},
		{
			names: "bash sh shell zsh console fish dockerfile makefile make", lineComments: []string{"#"},
			delimiters: []delimiter{{`"`, `"`, classString, true, false}, {`'`, `'`, classString, true, true}},
			keywords: set(`case do done elif else esac export fi for function if in local return select set shift source then
				trap unset until while FROM RUN CMD COPY ADD ENV ARG WORKDIR ENTRYPOINT EXPOSE USER`),
			types: set(`cat cd chmod cp curl docker echo git go grep kill ls make mkdir mv npm pip python python3 rm sed ssh sudo
				tar touch wget`),
		},
		{
			names: "sql sqlite postgres postgresql mysql", lineComments: []string{"--"}, foldCase: true,
			delimiters: []delimiter{cComment, double, {`'`, `'`, classString, true, true}},
			keywords: set(`add all alter and as asc begin between by case check column commit constraint create cross database
				default delete desc distinct drop else end exists foreign from full group having if in index inner insert into is
				join key left like limit not null offset on or order outer primary references returning right rollback select set
				table then transaction union unique update using values view when where with`),
			types: set(`bigint blob boolean char date datetime decimal float int integer json jsonb numeric real serial smallint
				text time timestamp timestamptz uuid varchar`),
		},
		{names: "json jsonc json5", lineComments: []string{"//"}, delimiters: []delimiter{double}, keywords: set("true false null")},
		{
			names: "yaml yml", lineComments: []string{"#"}, delimiters: []delimiter{double, single},
			keywords: set("true false null yes no on off"), keys: true, keySign: ":",
		},
		{
			names: "toml ini conf properties env", lineComments: []string{"#", ";"}, delimiters: []delimiter{double, single},
			keywords: set("true false"), keys: true, keySign: "=",
		},
		{
			names: "html xml svg vue xhtml", delimiters: []delimiter{markup, double, single},
			tags: true, keys: true, keySign: "=",
		},
		{
			names: "css scss less", lineComments: []string{"//"}, delimiters: []delimiter{cComment, double, single},
			keywords: set("important media import include mixin"), keys: true, keySign: ":",
		},
		{
			names: "ruby rb elixir ex perl pl r julia jl", lineComments: []string{"#"}, delimiters: []delimiter{double, single},
			keywords: set(`alias and begin break case class def defmodule do else elsif end ensure false fn for function if in
				module my next nil not or our print puts raise redo require rescue retry return self sub super then true undef
				unless until use when while yield TRUE FALSE NULL using struct`),
		},
		{
			names: "php", lineComments: []string{"//", "#"}, delimiters: []delimiter{cComment, double, single},
			keywords: set(`abstract and array as break case catch class const continue declare default do echo else elseif extends
				false final finally fn for foreach function global if implements instanceof interface match namespace new null or
				private protected public readonly require require_once return static switch this throw trait true try use var
				while yield`),
		},
		{
			names: "lua haskell hs elm ada", lineComments: []string{"--"},
			delimiters: []delimiter{{"[[", "]]", classString, true, true}, double, single},
			keywords: set(`and break case class data deriving do else elseif end false for function if import in instance let
				local module newtype nil not of or repeat return then true type until where while`),
		},
		{names: "diff patch", diff: true},
	}
	byName := map[string]*language{}
	for _, l := range all {
		for _, name := range strings.Fields(l.names) {
			byName[name] = l
		}
	}
	return byName
})

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// languageOf returns what is known of a language, or nil.
func languageOf(name string) *language {
	name, _, _ = strings.Cut(name, ",")
	name = strings.Trim(name, "{}.")
	return languages()[strings.ToLower(name)]
}

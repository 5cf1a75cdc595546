// Package jinja renders chat templates: the part of Jinja2 that templates of model checkpoints use, with the semantics of the
// sandbox in which Hugging Face transformers renders them (trim_blocks, lstrip_blocks, immutable values, no files).
//
// Two ideas set it apart from a general template engine. First, a template comes from a stranger, so every node that is
// evaluated, every list element and every 16 bytes of text that are moved cost one unit of a budget, and nesting is
// bounded: a template that loops, recurses or allocates ends with an error, with no goroutine or memory left behind.
// Second, text knows where it came from: a [Text] carries the spans that a user wrote, through slicing, replacing,
// joining, case mapping and output, so that the caller can keep user text from turning into control tokens.
//
// The grammar of expressions and the syntax tree are those of gonja/v2 (parser, nodes, tokens). Its other parts are not
// used, for reasons that each were tried with v2.9.1: the lexer drops newlines inside of tags into the next token,
// misreads '\\' and strips blanks in front of a tag that does not begin its line; the parser knows a conditional
// expression only at the top of a tag (see rewrite.go); the evaluator has no place for a budget on operators,
// evaluates the receiver of a method twice (2^n for a chain of n calls), panics on '%s' % x and 1 % 0, indexes strings
// by byte, loses the order of a dict, and its loader reads files.
//
// Left out on purpose: include, import, extends and block (there are no files), autoescape, random and lipsum (a prompt
// must be repeatable), and every method that changes a list or dict, which transformers' sandbox forbids too.
package jinja

package markdown

import "github.com/yuin/goldmark/parser"

// references are the link definitions of a document. The first one of a label counts.
type references struct{ list []parser.Reference }

// context returns a parser context that knows the definitions.
func (r *references) context() parser.Context {
	ctx := parser.NewContext()
	for _, ref := range r.list {
		ctx.AddReference(ref)
	}
	return ctx
}

// collect takes over what a parser has found, and reports whether there was something new.
func (r *references) collect(ctx parser.Context) bool {
	all := ctx.References()
	if len(all) <= len(r.list) {
		return false
	}
	r.list = all
	return true
}

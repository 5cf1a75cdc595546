package jinja

import (
	"errors"
	"fmt"
	"time"

	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Template is a parsed template. It may be rendered by several goroutines at once.
type Template struct{ root []nodes.Node }

// Parse reads a template. All errors are *Error.
func Parse(source string) (t *Template, err error) {
	toks, err := lex(source)
	if err != nil {
		return nil, err
	}
	// The parser is another project's: what it does not expect may end in a nil pointer.
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, errf("cannot be parsed: %v", p)
		}
	}()
	p := parser.NewParser("template", tokens.NewStream(toks), config.New(), nil, &statements{})
	root, err := p.Parse()
	if err != nil {
		return nil, parseError(err)
	}
	if err := new(checker).nodes(root.Nodes); err != nil {
		return nil, err
	}
	return &Template{root: root.Nodes}, nil
}

// parseError makes an *Error of what the parser returns.
func parseError(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	var syntax *parser.SyntaxError
	if errors.As(err, &syntax) {
		message := syntax.Message
		if syntax.Raw != "" {
			message += fmt.Sprintf(", near %.40q", syntax.Raw)
		}
		return &Error{Line: syntax.Line, Message: message}
	}
	return &Error{Message: err.Error()}
}

// Options bound and feed one rendering.
type Options struct {
	// Steps is the budget: evaluated nodes, touched elements, 16 bytes of moved text. 0 means DefaultSteps.
	Steps int
	// Now is the clock of strftime_now; nil means time.Now.
	Now func() time.Time
}

// DefaultSteps is the budget of a rendering. A template of the kind that models have spends 100 to 300 steps on a message; one
// that spends all of them takes 0.03 to 0.1 s of a 2.5 GHz core and moves at most 4 MB of text.
const DefaultSteps = 1 << 18

// Render returns what the template writes for the variables. All errors are *Error.
func (t *Template) Render(vars map[string]Value, opt Options) (Text, error) {
	if opt.Steps == 0 {
		opt.Steps = DefaultSteps
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	r := &run{budget: budget{left: opt.Steps, limit: opt.Steps}, now: opt.Now, out: &builder{}, known: &builtins}
	globals := &scope{vars: r.globals()}
	top := &scope{vars: make(map[string]Value, len(vars)), up: globals}
	for k, v := range vars {
		top.vars[k] = v
	}
	if err := insideLoop(r.exec(t.root, top)); err != nil {
		return Text{}, err
	}
	return r.out.done(), nil
}

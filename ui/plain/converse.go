package plain

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// converse answers line after line until In, the user or ctx ends it.
func (c *chat) converse(ctx context.Context) error {
	person := isTerminal(c.opt.In)
	if person {
		c.note(`A line is a turn. """ begins and ends a longer one, \ at the end of a line goes on; /help lists commands, ctrl+d ends.`)
	}
	if c.opt.Prompt != "" {
		if err := c.turn(ctx, c.opt.Prompt); err != nil {
			return err
		}
	}
	if c.opt.In == nil {
		return nil
	}
	over := make(chan struct{})
	defer close(over)
	lines := readLines(c.opt.In, over)
	for {
		text, err := c.compose(ctx, lines, person)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case strings.TrimSpace(text) == "":
			continue
		}
		if err := c.turn(ctx, text); errors.Is(err, errQuit) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// turn does what a line asks for. Errors of the model and of commands are said, and the conversation goes on.
func (c *chat) turn(ctx context.Context, text string) error {
	var stopped bool
	var err error
	revised := c.revising
	c.revising = nil
	name, rest, command := asCommand(text)
	text = strings.TrimPrefix(text, "/")
	switch {
	case command:
		if revised != nil {
			c.note("not revised")
		}
		stopped, err = c.command(ctx, name, rest)
	case revised != nil:
		stopped, err = c.sayAnew(ctx, *revised, text)
	default:
		stopped, err = c.ask(ctx, text)
	}
	var end *Error
	if errors.Is(err, errQuit) || errors.As(err, &end) {
		return err
	}
	if err != nil {
		c.note("error: %v", err)
	}
	if stopped {
		c.note("(stopped; /continue goes on, /retry begins anew)")
	}
	return nil
}

// asCommand splits "/name rest". A line that begins with // is text that begins with /.
func asCommand(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.Contains(text, "\n") {
		return "", "", false
	}
	name, rest, _ = strings.Cut(strings.TrimSpace(text[1:]), " ")
	return name, strings.TrimSpace(rest), true
}

// The marks of a turn of several lines.
const (
	block    = `"""`
	goesOn   = `\`
	promptOf = "You: "
	promptIn = "more: "
)

// compose reads one turn: a line, lines that end with \ and the one after them, or lines between """ and """.
func (c *chat) compose(ctx context.Context, lines <-chan line, person bool) (string, error) {
	var parts []string
	inBlock := false
	for {
		text, err := c.line(ctx, lines, person, inBlock || len(parts) > 0)
		if errors.Is(err, io.EOF) && len(parts) > 0 { // the next call finds the end again
			return strings.Join(parts, "\n"), nil
		}
		if err != nil {
			return "", err
		}
		if len(parts) == 0 && !inBlock && strings.HasPrefix(text, block) {
			inBlock, text = true, text[len(block):]
			if text == "" {
				continue
			}
		}
		switch {
		case inBlock && strings.HasSuffix(text, block):
			return strings.Join(append(parts, strings.TrimSuffix(text, block)), "\n"), nil
		case inBlock:
			parts = append(parts, text)
		case strings.HasSuffix(text, goesOn):
			parts = append(parts, strings.TrimSuffix(text, goesOn))
		default:
			return strings.Join(append(parts, text), "\n"), nil
		}
	}
}

// line waits for the next line, showing a prompt to a person.
func (c *chat) line(ctx context.Context, lines <-chan line, person, more bool) (string, error) {
	if person {
		prompt := promptOf
		if more {
			prompt = promptIn
		}
		if _, err := io.WriteString(c.opt.Out, prompt); err != nil {
			return "", &Error{Code: ExitFailed, Err: fmt.Errorf("write the prompt: %w", err)}
		}
	}
	var err error
	select {
	case l, ok := <-lines:
		switch {
		case !ok:
			err = io.EOF
		case l.err != nil:
			err = l.err
		default:
			return strings.ToValidUTF8(l.text, "\ufffd"), nil
		}
	case <-ctx.Done():
		err = &Error{Code: ExitInterrupted}
	case <-c.opt.Interrupt:
		err = &Error{Code: ExitInterrupted}
	}
	if person {
		_, _ = io.WriteString(c.opt.Out, "\n") // the shell's prompt begins a line
	}
	return "", err
}

// line is one line of In, or why there is no more.
type line struct {
	text string
	err  error
}

// readLines reads In in a goroutine of its own, since reading cannot be interrupted. It ends with In, or with the first line
// that nobody wants any more.
func readLines(in io.Reader, over <-chan struct{}) <-chan line {
	lines := make(chan line)
	go func() {
		defer close(lines)
		r := bufio.NewReader(in)
		for {
			text, err := readLine(r)
			l := line{text: text}
			if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
				l = line{err: err}
			}
			select {
			case lines <- l:
			case <-over:
				return
			}
			if l.err != nil {
				return
			}
		}
	}()
	return lines
}

// readLine reads a line of at most maxInput bytes, without its end.
func readLine(r *bufio.Reader) (string, error) {
	var text []byte
	for {
		piece, err := r.ReadSlice('\n')
		if len(text)+len(piece) > maxInput {
			return "", &Error{Code: ExitUsage, Err: fmt.Errorf("a line of the input is longer than %d MiB", maxInput>>20)}
		}
		text = append(text, piece...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = &Error{Code: ExitFailed, Err: fmt.Errorf("read the input: %w", err)}
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), err
	}
}

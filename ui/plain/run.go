package plain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// maxInput bounds what is read as one message: more is no question.
const maxInput = 16 << 20

// Run answers Prompt and In, or holds a conversation, until In or ctx ends. It returns nil or an *Error. When ctx ends while
// a line is awaited, the goroutine that reads In lives on until In gives something.
func Run(ctx context.Context, opt Options) error {
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	c := newChat(opt)
	err := c.begin()
	if err == nil {
		if opt.Interactive {
			err = c.converse(ctx)
		} else {
			err = c.answerOnce(ctx)
		}
	}
	if saved := c.file.close(); saved != nil {
		c.note("%v", saved)
		if err == nil {
			err = &Error{Code: ExitFailed}
		}
	}
	if errors.Is(err, syscall.EPIPE) {
		return &Error{Code: ExitPipe}
	}
	return err
}

// chat is one run.
type chat struct {
	opt      Options
	terminal bool // Out is one
	sampling *generate.Sampling
	system   string
	file     record
	turns    []history.Message // the branch so far, root first; what the model is asked with
	undo     func() error      // brings the conversation back that was deleted; nil: none was
	unasked  *history.Message  // the user's last turn, when it got no answer
	noted    string            // path of the model whose notes were said
	revising *history.Message  // the user's turn of which the next one is another version; nil: none
}

func newChat(opt Options) *chat {
	if opt.Err == nil {
		opt.Err = io.Discard
	}
	return &chat{opt: opt, terminal: isTerminal(opt.Out), sampling: opt.Sampling, system: opt.System}
}

// begin takes up the conversation that was given.
func (c *chat) begin() error {
	if c.opt.Sampling != nil {
		if err := c.opt.Sampling.Validate(); err != nil {
			return &Error{Code: ExitUsage, Err: err}
		}
	}
	c.file = record{store: c.opt.Store, note: c.note}
	if c.opt.File != nil {
		c.takeUp(c.opt.File)
	}
	return nil
}

// takeUp goes on with a conversation where it was left.
func (c *chat) takeUp(f *history.File) {
	c.file.use(f)
	conversation := f.Conversation()
	c.branch(conversation.Path(conversation.Leaf()))
	c.system = c.opt.System
	if c.system == "" {
		c.system = conversation.Header.System
	}
}

// answerOnce answers the prompt and the input together.
func (c *chat) answerOnce(ctx context.Context) error {
	text, err := c.input(ctx)
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, text)
	var ours *Error
	if err != nil && !errors.As(err, &ours) {
		return &Error{Code: ExitFailed, Err: err}
	}
	return err
}

// input returns the text to answer. Of what is read, one newline at the end is the shell's and not the user's.
func (c *chat) input(ctx context.Context) (string, error) {
	text := c.opt.Prompt
	if c.opt.In != nil {
		read, err := readAll(ctx, c.opt.In)
		if err != nil {
			return "", err
		}
		switch {
		case text == "":
			text = read
		case read != "":
			text += "\n\n" + read
		}
	}
	if strings.TrimSpace(text) == "" {
		return "", &Error{Code: ExitUsage, Err: errors.New(`nothing to answer: give -p "TEXT" or text on standard input`)}
	}
	return strings.ToValidUTF8(text, "\ufffd"), nil
}

// readAll reads in to its end, without a last newline, or until ctx ends: its goroutine then lives on until in does.
func readAll(ctx context.Context, in io.Reader) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		done <- result{b, err}
	}()
	select {
	case <-ctx.Done():
		return "", &Error{Code: ExitInterrupted}
	case r := <-done:
		switch {
		case r.err != nil:
			return "", &Error{Code: ExitFailed, Err: fmt.Errorf("read the input: %w", r.err)}
		case len(r.text) > maxInput:
			return "", &Error{Code: ExitUsage, Err: fmt.Errorf("the input is longer than %d MiB; no context holds that", maxInput>>20)}
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(r.text), "\n"), "\r"), nil
	}
}

// note says something about the conversation on Err, in a line of its own.
func (c *chat) note(format string, args ...any) {
	fmt.Fprintln(c.opt.Err, escape.Visible(fmt.Sprintf(format, args...)))
}

// record is the conversation on disk, if it is kept there. Its errors are said once and never end a conversation.
type record struct {
	store  *history.Store
	file   *history.File
	note   func(format string, args ...any)
	failed string // the last error that was said
}

// use makes f the conversation that is written to.
func (r *record) use(f *history.File) {
	r.file = f
	if why := f.ReadOnly(); why != "" {
		r.note("%s: read-only: %s; what follows is not saved", f.Path(), why)
	}
	for _, w := range f.Conversation().Warnings {
		r.note("%s: %s", f.Path(), w)
	}
}

// begin starts a conversation when none is open, and notes what answers from here on.
func (r *record) begin(h history.Header) {
	if r.file == nil && r.store != nil {
		f, err := r.store.Create(h)
		if r.check(err) {
			r.file = f
		}
		return
	}
	if !r.writable() {
		return
	}
	now := r.file.Conversation().Header
	h.Schema, h.ID, h.Name, h.Created = now.Schema, now.ID, now.Name, now.Created
	if h != now {
		r.check(r.file.SetHeader(h))
	}
}

func (r *record) writable() bool { return r.file != nil && r.file.ReadOnly() == "" }

// check says an error that was not said before, and reports whether there was none.
func (r *record) check(err error) bool {
	if err != nil && err.Error() != r.failed {
		r.failed = err.Error()
		r.note("%v", err)
	}
	return err == nil
}

func (r *record) append(m history.Message) {
	if r.writable() {
		_, err := r.file.Append(m)
		r.check(err)
	}
}

func (r *record) partial(m history.Message) {
	if r.writable() {
		r.check(r.file.Partial(m))
	}
}

func (r *record) setLeaf(id string) {
	if r.writable() {
		r.check(r.file.SetLeaf(id))
	}
}

// path returns where the conversation is saved, "" when it is not.
func (r *record) path() string {
	if !r.writable() {
		return ""
	}
	return r.file.Path()
}

func (r *record) close() error {
	if r.file == nil {
		return nil
	}
	if err := r.file.Close(); err != nil {
		return err // it stays open: a copy can still be saved elsewhere
	}
	r.file = nil
	return nil
}

package plain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"peregrine/history"
	"peregrine/model/generate"
)

// branchCommands are those about single messages and their versions. N counts from the end.
func branchCommands() []command {
	return []command{
		{"regenerate", "[N]", "answer again, as another version: the last turn, or that of the N-th reply from the end", (*chat).regenerate},
		{"retry", "[N]", "the same", (*chat).regenerate},
		{"revise", "[N|TEXT]", "say your last message anew, or the N-th from the end, as another version; without TEXT your next turn is it", (*chat).revise},
		{"version", "[left|right|N]", "read another version of the last message that has several", (*chat).version},
		{"delete-branch", "[N]", "delete the last message, or the N-th from the end and all that follows", (*chat).prune},
	}
}

// nth returns the place of the N-th turn from the end that fits; "" means 1.
func (c *chat) nth(arg string, fits func(history.Message) bool) (int, error) {
	return nth(c.turns, arg, fits)
}

func nth(turns []history.Message, arg string, fits func(history.Message) bool) (int, error) {
	n := 1
	if arg != "" {
		var err error
		if n, err = strconv.Atoi(arg); err != nil || n < 1 {
			return 0, fmt.Errorf("%q: want a number from 1 up, counted from the end", arg)
		}
	}
	found := 0
	for i, m := range slices.Backward(turns) {
		if !fits(m) {
			continue
		}
		if found++; found == n {
			return i, nil
		}
	}
	return 0, fmt.Errorf("there are %d of them", found)
}

func isReply(m history.Message) bool { return m.Role == generate.Assistant }
func isUser(m history.Message) bool  { return m.Role == generate.User }

// regenerate answers a turn of the user's once more, as another version. When no word comes all stays as it was.
func (c *chat) regenerate(ctx context.Context, arg string) (stopped bool, err error) {
	turns, user := c.turns, c.unasked
	if arg != "" {
		i, err := c.nth(arg, isReply)
		if err != nil {
			return false, fmt.Errorf("regenerate which reply? %w", err)
		}
		if i+1 < len(c.turns) && !c.file.writable() {
			return false, errNoVersions
		}
		turns, user = c.turns[:i], nil
	}
	if user == nil {
		i := len(turns) - 1
		for i >= 0 && !isUser(turns[i]) {
			i--
		}
		if i < 0 {
			c.note("there is no turn to answer again")
			return false, nil
		}
		user, turns = &turns[i], turns[:i]
	}
	info, err := c.ready(ctx)
	if err != nil {
		return false, err
	}
	c.file.begin(c.header(info))
	replaced := len(turns) < len(c.turns)
	answered, stopped, err := c.answer(ctx, info, turns, *user, c.unasked)
	if replaced && !answered {
		c.note("no word came; the version before stays")
		return false, err
	}
	return stopped, err
}

// errNoVersions says why nothing that follows can be put aside.
var errNoVersions = errors.New("versions are kept in the conversation's file, and it has none that can be written; /save FILE makes a copy")

// revise says a message of the user's anew. The old one stays as a version, with all that follows it. Without a text the next turn
// is what is said.
func (c *chat) revise(ctx context.Context, arg string) (stopped bool, err error) {
	which, text := "", arg
	if _, err := strconv.Atoi(arg); err == nil {
		which, text = arg, ""
	}
	m, err := c.said(which)
	switch {
	case err != nil:
		return false, err
	case text != "":
		return c.sayAnew(ctx, m, text)
	}
	c.revising = &m
	c.note("%s: %s", speaker[m.Role], m.Content)
	c.note("your next turn replaces this, a command leaves it")
	return false, nil
}

// said returns the N-th message of the user's from the end, one without an answer included. What follows it must have a place to
// stay.
func (c *chat) said(which string) (history.Message, error) {
	turns := c.turns
	if c.unasked != nil {
		turns = append(slices.Clip(turns), *c.unasked)
	}
	i, err := nth(turns, which, isUser)
	switch {
	case err != nil:
		return history.Message{}, fmt.Errorf("revise which message of yours? %w", err)
	case i+1 < len(turns) && !c.file.writable():
		return history.Message{}, errNoVersions
	}
	return turns[i], nil
}

// sayAnew sends a text as another version of a message of the user's.
func (c *chat) sayAnew(ctx context.Context, m history.Message, text string) (stopped bool, err error) {
	if i := slices.IndexFunc(c.turns, func(turn history.Message) bool { return turn.ID == m.ID }); i >= 0 {
		c.turns = c.turns[:i]
	}
	c.unasked = nil
	return c.ask(ctx, text)
}

// version shows another version of the last message that has several, and the branch that follows it.
func (c *chat) version(_ context.Context, arg string) (bool, error) {
	f := c.file.file
	if f == nil {
		return false, errNoVersions
	}
	conversation := f.Conversation()
	i := len(c.turns) - 1
	for i >= 0 && len(conversation.Siblings(c.turns[i].ID)) < 2 {
		i--
	}
	if i < 0 {
		return false, errors.New("there is one version of every message")
	}
	versions := conversation.Siblings(c.turns[i].ID)
	at := slices.Index(versions, c.turns[i].ID)
	to := at + 1
	switch arg {
	case "", "right":
	case "left":
		to = at - 1
	default:
		n, err := strconv.Atoi(arg)
		if err != nil {
			return false, fmt.Errorf("version %q: want left, right or a number", arg)
		}
		to = n - 1
	}
	if to < 0 || to >= len(versions) {
		return false, fmt.Errorf("this is version %d of %d", at+1, len(versions))
	}
	c.file.setLeaf(conversation.Tip(versions[to]))
	c.branch(conversation.Path(conversation.Tip(versions[to])))
	c.note("version %d of %d", to+1, len(versions))
	for _, m := range c.turns[min(i, len(c.turns)):] {
		c.note("%s: %s", speaker[m.Role], m.Content)
	}
	return false, nil
}

// branch makes path what is gone on with. A turn without a reply at its end waits to be answered again.
func (c *chat) branch(path []history.Message) {
	c.turns, c.unasked = path, nil
	if n := len(path); n > 0 && isUser(path[n-1]) {
		c.unasked, c.turns = &path[n-1], path[:n-1]
	}
}

// prune deletes a message and all that follows it; takeBack brings them back.
func (c *chat) prune(_ context.Context, arg string) (bool, error) {
	if !c.file.writable() {
		return false, errNoVersions
	}
	i, err := c.nth(arg, func(history.Message) bool { return true })
	if err != nil {
		return false, fmt.Errorf("delete which message? %w", err)
	}
	f := c.file.file
	undo, err := f.DeleteBranch(c.turns[i].ID)
	if err != nil {
		return false, err
	}
	show := func() {
		conversation := f.Conversation()
		c.branch(conversation.Path(conversation.Leaf()))
	}
	c.undo = func() error {
		if f != c.file.file {
			return errors.New("another conversation is open by now")
		}
		if err := undo(); err != nil {
			return err
		}
		show()
		c.note("it is back")
		return nil
	}
	show()
	c.note("deleted; /undo brings it back")
	return false, nil
}

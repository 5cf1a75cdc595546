package plain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"peregrine/history"
	"peregrine/ui/escape"
)

// errQuit ends a conversation by the user's wish.
var errQuit = errors.New("quit")

// command is a line that begins with /.
type command struct {
	name, args, help string
	do               func(c *chat, ctx context.Context, args string) (stopped bool, err error)
}

// commands returns the table that /help prints and that lines are looked up in.
func commands() []command {
	quiet := func(do func(c *chat, args string) error) func(*chat, context.Context, string) (bool, error) {
		return func(c *chat, _ context.Context, args string) (bool, error) { return false, do(c, args) }
	}
	return slices.Concat([]command{
		{"help", "", "list the commands", quiet((*chat).help)},
		{"continue", "", "go on with a reply that was cut or stopped", func(c *chat, ctx context.Context, _ string) (bool, error) { return c.goOn(ctx) }},
		{"new", "", "begin a new conversation", quiet((*chat).restart)},
		{"list", "", "list the saved conversations", (*chat).list},
		{"conversations", "", "the same", (*chat).list},
		{"open", "NAME|ID|FILE", "go on with a saved conversation", quiet((*chat).open)},
		{"save", "NAME|FILE", "name the conversation, or write a copy of it", quiet((*chat).save)},
		{"rename", "NAME", "name the conversation", quiet((*chat).rename)},
		{"delete", "", "delete this conversation", quiet((*chat).discard)},
		{"undo", "", "take the last /delete or /delete-branch back", quiet((*chat).takeBack)},
		{"system", "[TEXT]", "set the system text, or show it; - removes it", quiet((*chat).systemText)},
		{"template", "[NAME]", "set the chat template, or show it", (*chat).template},
		{"model", "[NAME|PATH]", "open another model, or list them; OWNER/NAME comes from the hub", (*chat).model},
		{"about", "", "about the model", quiet((*chat).about)},
		{"details", "", "how the last reply was made: values, seed, times", quiet((*chat).details)},
		{"backend", "[NAME]", "load the model on another backend, or show it", quiet((*chat).backend)},
		{"quit", "", "end", quiet(func(*chat, string) error { return errQuit })},
	}, branchCommands(), lookCommands(), valueCommands(), fileCommands())
}

// Commands returns the names of all commands.
func Commands() []string {
	var names []string
	for _, cmd := range commands() {
		names = append(names, cmd.name)
	}
	return names
}

// command runs a command by its name, else the first whose name starts so.
func (c *chat) command(ctx context.Context, name, args string) (stopped bool, err error) {
	table := commands()
	at := slices.IndexFunc(table, func(cmd command) bool { return cmd.name == name })
	if at < 0 && name != "" {
		at = slices.IndexFunc(table, func(cmd command) bool { return strings.HasPrefix(cmd.name, name) })
	}
	if at >= 0 {
		return table[at].do(c, ctx, args)
	}
	return false, fmt.Errorf("no command /%s; /help lists them, and // begins a text with /", name)
}

func (c *chat) help(string) error {
	for _, cmd := range commands() {
		c.note("%-20s %s", strings.TrimSpace("/"+cmd.name+" "+cmd.args), cmd.help)
	}
	return nil
}

// restart begins a new conversation.
func (c *chat) restart(string) error {
	if err := c.file.close(); err != nil {
		return err
	}
	c.turns, c.unasked, c.system = nil, nil, c.opt.System
	c.note("a new conversation")
	return nil
}

func (c *chat) list(ctx context.Context, _ string) (bool, error) {
	if c.opt.Store == nil {
		return false, errors.New("conversations are not saved here")
	}
	entries, err := c.opt.Store.List(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Err == nil {
			c.note("%s  %s  %s", e.ID, e.Modified.Local().Format("2006-01-02 15:04"), escape.Line(e.Title))
		}
	}
	if len(entries) == 0 {
		c.note("there are none yet")
	}
	return false, nil
}

func (c *chat) open(what string) error {
	f, err := c.find(what)
	if err != nil {
		return err
	}
	if err := c.file.close(); err != nil {
		return errors.Join(err, f.Close())
	}
	c.takeUp(f)
	c.note("%s, %d messages", escape.Line(f.Conversation().Title()), len(c.turns))
	for _, m := range c.turns[max(0, len(c.turns)-2):] {
		c.note("%s: %s", speaker[m.Role], m.Content)
	}
	return nil
}

// find opens a conversation by its file, id or name.
func (c *chat) find(what string) (*history.File, error) {
	store := c.opt.Store
	switch {
	case what == "":
		return nil, errors.New("open what? give a name, an id or a file; /list shows them")
	case store == nil:
		return history.Open(history.ExpandHome(what, c.opt.Home))
	}
	get := store.OpenID
	if history.IsPath(what) {
		get, what = store.Open, history.ExpandHome(what, c.opt.Home)
	}
	f, err := get(what)
	if errors.Is(err, history.ErrNotFound) {
		err = fmt.Errorf("%w; /list shows those that are saved", err)
	}
	return f, err
}

func (c *chat) save(arg string) error {
	if c.file.file == nil {
		return errors.New("there is nothing to save yet")
	}
	path, err := c.file.file.SaveAs(arg, c.opt.Home)
	switch {
	case err != nil:
		return err
	case path == "":
		c.note("saved as %s in %s", escape.Line(arg), escape.Line(c.file.file.Path()))
	default:
		c.note("a copy is in %s", escape.Line(path))
	}
	return nil
}

package plain

import (
	"context"
	"errors"
	"strings"

	"peregrine/model/generate"
)

func (c *chat) rename(name string) error {
	switch {
	case name == "":
		return errors.New("rename to what? give a name")
	case c.file.file == nil:
		return errors.New("there is nothing to name yet")
	}
	if err := c.file.file.SetName(name); err != nil {
		return err
	}
	c.note("named %s", name)
	return nil
}

// discard deletes the conversation; takeBack brings it back.
func (c *chat) discard(string) error {
	f := c.file.file
	if f == nil || c.opt.Store == nil {
		return errors.New("there is nothing to delete: the conversation has no file")
	}
	path := f.Path()
	if err := c.restart(""); err != nil {
		return err
	}
	undo, err := c.opt.Store.Delete(path)
	if err != nil {
		return err
	}
	c.undo = func() error {
		if err := undo(); err != nil {
			return err
		}
		return c.open(path)
	}
	c.note("the old one is deleted; /undo brings it back")
	return nil
}

func (c *chat) takeBack(string) error {
	if c.undo == nil {
		c.note("there is nothing to take back")
		return nil
	}
	undo := c.undo
	c.undo = nil
	return undo()
}

// template sets the chat template, or says it. One that cannot be used is named at once and not taken.
func (c *chat) template(ctx context.Context, name string) (bool, error) {
	info, err := c.ready(ctx)
	if err != nil {
		return false, err
	}
	if name == "" {
		c.note("template %s; there are %s, or a Jinja file", c.header(info).Template, strings.Join(info.Templates, ", "))
		return false, nil
	}
	_, err = c.opt.Generator.Plan(ctx, generate.Request{
		Template: name, Messages: []generate.Message{{Role: generate.User, Content: "x"}}, Sampling: info.Defaults,
	})
	if err != nil {
		return false, err
	}
	c.opt.Template = name
	c.note("template %s", name)
	return false, nil
}

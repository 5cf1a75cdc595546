package plain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/library"
)

// model opens another model while the conversation stays, or lists those there are.
func (c *chat) model(ctx context.Context, what string) (bool, error) {
	lib, ok := c.opt.Generator.(library.Library)
	switch {
	case !ok && what == "":
		return false, c.about("")
	case !ok:
		return false, errors.New("the model cannot be changed here; start again with peregrine MODEL")
	}
	list, err := lib.Models()
	if what == "" {
		for _, e := range list {
			c.noteModel(lib.Describe(e))
		}
		c.note("/model NAME opens another, /about tells more of the open one")
		return false, err
	}
	path := history.ExpandHome(library.Path(list, what), c.opt.Home)
	listed := slices.ContainsFunc(list, func(e library.Entry) bool { return e.Name == what })
	if hub, ok := lib.(library.Puller); ok && !listed && hub.Pullable(what) && !library.OnDisk(path) {
		pulled, err := c.pull(ctx, hub, what)
		if err != nil || pulled == "" {
			return false, err
		}
		path = pulled
	}
	return false, c.openModel(ctx, lib, path)
}

// pull brings a model from the hub and says at each tenth how far it is. It returns "" when Interrupt has ended that.
func (c *chat) pull(ctx context.Context, hub library.Puller, name string) (path string, err error) {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped, over := false, make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-c.opt.Interrupt:
			stopped = true
			cancel()
		case <-over:
		}
	})
	c.note("downloading %s; ctrl+c stops that", name)
	said := 0
	pulled, err := hub.Pull(work, name, func(now library.PullProgress) {
		if tenths := int(10 * now.Part); tenths > said {
			said = tenths
			c.note("%s", now.Text)
		}
	})
	close(over)
	watch.Wait()
	switch {
	case ctx.Err() != nil:
		return "", &Error{Code: ExitInterrupted}
	case err != nil && stopped:
		c.note("stopped downloading %s; what came stays, and /model %s goes on from there", name, name)
		return "", nil
	case err != nil:
		return "", err
	}
	if pulled.Note != "" {
		c.note("note: %s", pulled.Note)
	}
	if stopped {
		c.note("%s is here; /model %s opens it", name, name)
		return "", nil
	}
	return pulled.Path, nil
}

// noteModel says what a model is.
func (c *chat) noteModel(e library.Entry) {
	name := e.Name
	if e.Open {
		name += " (open)"
	}
	about := slices.DeleteFunc([]string{e.Size, e.About, e.Fit, e.Problem, e.Path}, func(s string) bool { return s == "" })
	c.note("%s: %s", name, strings.Join(about, ", "))
}

// openModel loads another model and waits for it. When it cannot be loaded the one before comes back, as it does when Interrupt
// comes first.
func (c *chat) openModel(ctx context.Context, lib library.Library, path string) error {
	before := c.opt.Generator.Info()
	if before.Ready && before.Path == path {
		c.note("%s is open already", before.Model)
		return nil
	}
	if err := lib.UseModel(path); err != nil {
		return err
	}
	loading := path
	c.note("opening %s", loading)
	info, err := c.ready(ctx)
	if info.Err != nil && before.Ready {
		c.note("error: %v", info.Err)
		c.note("going back to %s", before.Path)
		loading = before.Path
		if err := lib.UseModel(before.Path); err != nil {
			return err
		}
		info, err = c.ready(ctx)
	}
	switch {
	case info.Err != nil:
		return info.Err // there may be another one to open
	case err != nil && ctx.Err() == nil:
		return c.stopOpening(lib, before, loading)
	case err != nil:
		return err
	}
	c.adopt(before, info)
	c.note("%s answers from now on", info.Model)
	return nil
}

// stopOpening ends the loading of a model and goes back to the one before, which loads again while the conversation goes on.
func (c *chat) stopOpening(lib library.Library, before generate.Info, loading string) error {
	if before.Err != nil || before.Path == "" {
		c.note("no longer waiting for %s, which goes on loading: there is no model to go back to; /about says how far it is", loading)
		return nil
	}
	if loading != before.Path {
		if err := lib.UseModel(before.Path); err != nil {
			return fmt.Errorf("%s is no longer waited for, but the model before it cannot come back: %w; /model lists those that there are", loading, err)
		}
		c.note("stopped opening %s", loading)
	}
	c.note("%s stays; it loads again, and your next turn waits for it", before.Model)
	return nil
}

// adopt takes over what another model brings along: its name for the file, and its own sampling values where the user has
// chosen no others.
func (c *chat) adopt(before, now generate.Info) {
	if c.sampling != nil && before.Ready {
		s := *c.sampling
		for _, v := range named {
			if v.text(&s) == v.text(&before.Defaults) {
				v.take(&s, &now.Defaults)
			}
		}
		c.sampling = &s
	}
	if c.file.writable() {
		c.file.begin(c.header(now))
	}
}

// about says who answers.
func (c *chat) about(string) error {
	i := c.opt.Generator.Info()
	for _, fact := range [][2]string{
		{"model", i.Model},
		{"path", i.Path},
		{"architecture", i.Architecture},
		{"weights", i.Quantization},
		{"backend", i.Backend},
		{"because", i.BackendWhy},
		{"template", i.Template},
	} {
		if fact[1] != "" {
			c.note("%s: %s", fact[0], fact[1])
		}
	}
	if i.Context > 0 {
		c.note("context: %d tokens", i.Context)
	}
	switch {
	case i.Err != nil:
		c.note("error: %v", i.Err)
	case !i.Ready:
		c.note("loading: %.0f %%", 100*i.Progress)
	}
	return nil
}

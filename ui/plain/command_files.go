package plain

import (
	"context"
	"errors"
	"strings"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/preset"
	"peregrine/ui/trade"
)

// fileCommands are those about files beside the conversation's own: presets, and those of other programs.
func fileCommands() []command {
	return []command{
		{"preset", "[NAME|save NAME]", "use a preset, save one, or list all", (*chat).preset},
		{"import", "FILE", "save the conversations of another program's file among yours", (*chat).importFile},
		{"export", "FILE [FORMAT] [all]", "write this conversation for another program, one branch or all", (*chat).export},
	}
}

// preset uses, saves or lists presets.
func (c *chat) preset(ctx context.Context, arg string) (bool, error) {
	var own []preset.Preset
	var problem error
	if c.opt.Presets != nil {
		own, problem = c.opt.Presets.List()
	}
	if problem != nil {
		c.note("note: %v", problem)
	}
	all := preset.All(own)
	if arg == "" {
		for _, p := range all {
			c.note("%s: %s", p.Name, strings.Join(p.Parts(), ", "))
		}
		return false, nil
	}
	if rest, ok := strings.CutPrefix(arg, "save"); ok && (rest == "" || rest[0] == ' ') {
		return false, c.savePreset(ctx, history.CleanName(strings.TrimSpace(rest)))
	}
	p, err := preset.Find(all, arg)
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return false, err
	}
	return false, c.usePreset(ctx, p)
}

func (c *chat) savePreset(ctx context.Context, name string) error {
	switch {
	case c.opt.Presets == nil:
		return errors.New("presets are not kept in this run")
	case name == "":
		return errors.New("save the preset under which name?")
	}
	values, err := c.values(ctx)
	if err != nil {
		return err
	}
	said, err := c.opt.Presets.Save(preset.Of(name, values, c.system, c.opt.Template))
	if err == nil {
		c.note("%s", said)
	}
	return err
}

// usePreset puts a preset in force. A template that cannot be used leaves everything as it is.
func (c *chat) usePreset(ctx context.Context, p preset.Preset) error {
	if p.Template != nil {
		if *p.Template == "" {
			c.opt.Template = ""
		} else if _, err := c.template(ctx, *p.Template); err != nil {
			return err
		}
	}
	if err := c.tune(ctx, func(s *generate.Sampling) { p.Apply(s) }); err != nil {
		return err
	}
	if p.System != nil {
		text := *p.System
		if text == "" {
			text = "-"
		}
		if err := c.systemText(text); err != nil {
			return err
		}
	}
	c.note("preset %s: %s", p.Name, strings.Join(p.Parts(), ", "))
	return nil
}

func (c *chat) importFile(ctx context.Context, arg string) (bool, error) {
	switch {
	case c.opt.Exchange == nil:
		return false, errors.New("nothing can be imported in this run")
	case arg == "":
		return false, errors.New("import which file?")
	}
	path := history.ExpandHome(arg, c.opt.Home)
	done, err := c.opt.Exchange.Import(ctx, path)
	if said := done.Said(path); said != "" {
		c.note("%s", said)
	}
	c.sayNotes(done.Notes)
	return false, err
}

func (c *chat) export(_ context.Context, arg string) (bool, error) {
	if c.opt.Exchange == nil {
		return false, errors.New("nothing can be exported in this run")
	}
	path, format, all := trade.SplitExport(arg, c.opt.Exchange.Formats())
	switch {
	case path == "":
		return false, errors.New("export to which file?")
	case c.file.file == nil:
		return false, errors.New("nothing to export yet: the conversation has no file")
	}
	path = history.ExpandHome(path, c.opt.Home)
	done, err := c.opt.Exchange.Export(c.file.file.Conversation(), path, format, all)
	if err != nil {
		return false, err
	}
	c.note("written to %s (%s)", path, done.Format)
	c.sayNotes(done.Notes)
	return false, nil
}

func (c *chat) sayNotes(notes []string) {
	for _, note := range trade.Few(notes) {
		c.note("note: %s", note)
	}
}

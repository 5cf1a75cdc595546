package plain

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"peregrine/model/generate"
)

// value is a command that sets one of the values with which tokens are chosen, or says it when no value is given.
func value(name, help string, set func(s *generate.Sampling, v float64), get func(s *generate.Sampling) float64) command {
	return command{name, "[VALUE]", help, func(c *chat, ctx context.Context, arg string) (bool, error) {
		if arg == "" {
			s, err := c.values(ctx)
			if err == nil {
				c.note("%s %v", name, get(&s))
			}
			return false, err
		}
		v, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return false, fmt.Errorf("%s %q: want a number", name, arg)
		}
		if err := c.tune(ctx, func(s *generate.Sampling) { set(s, v) }); err != nil {
			return false, err
		}
		c.note("%s %v", name, get(c.sampling))
		return false, nil
	}}
}

func temperature(name, help string) command {
	return value(
		name, help, func(s *generate.Sampling, v float64) { s.Temperature = v }, func(s *generate.Sampling) float64 { return s.Temperature },
	)
}

// valueCommands are those about how tokens are chosen, and how many.
func valueCommands() []command {
	return []command{
		temperature("temp", "0: always the most probable token"),
		temperature("temperature", "the same"),
		{"top-k", "[N]", "choose among the N most probable tokens; 0: all", (*chat).topK},
		value(
			"top-p", "choose among the most probable tokens of this share together; 0: all",
			func(s *generate.Sampling, v float64) { s.TopP = v }, func(s *generate.Sampling) float64 { return s.TopP },
		),
		value(
			"min-p", "leave out tokens below this share of the most probable one; 0: none",
			func(s *generate.Sampling, v float64) { s.MinP = v }, func(s *generate.Sampling) float64 { return s.MinP },
		),
		value(
			"typical-p", "choose among the tokens whose surprise is typical, up to this share; 0: all",
			func(s *generate.Sampling, v float64) { s.TypicalP = v }, func(s *generate.Sampling) float64 { return s.TypicalP },
		),
		value(
			"repeat-penalty", "make tokens that were there already less probable; 0: no",
			func(s *generate.Sampling, v float64) { s.RepetitionPenalty = v }, func(s *generate.Sampling) float64 { return s.RepetitionPenalty },
		),
		{"seed", "[N|off]", "repeat the same random choices", (*chat).seed},
		{"sampling", "", "all these values", (*chat).sayValues},
		{"reset", "[VALUE]", "reset one of them, or all", (*chat).reset},
		{"max-tokens", "[N]", "limit of a reply in tokens; 0: the model's own, else none", (*chat).limit},
	}
}

func (c *chat) topK(ctx context.Context, arg string) (bool, error) {
	if arg != "" {
		v, err := strconv.Atoi(arg)
		if err != nil {
			return false, fmt.Errorf("top-k %q: want a whole number", arg)
		}
		if err := c.tune(ctx, func(s *generate.Sampling) { s.TopK = v }); err != nil {
			return false, err
		}
	}
	s, err := c.values(ctx)
	if err == nil {
		c.note("top-k %d", s.TopK)
	}
	return false, err
}

func (c *chat) seed(ctx context.Context, arg string) (bool, error) {
	switch arg {
	case "":
		s, err := c.values(ctx)
		switch {
		case err != nil:
			return false, err
		case s.Seed == nil:
			c.note("no seed: each reply draws a new one")
		default:
			c.note("seed %d", *s.Seed)
		}
		return false, nil
	case "off":
		c.note("no seed from here on")
		return false, c.tune(ctx, func(s *generate.Sampling) { s.Seed = nil })
	}
	v, err := strconv.ParseUint(arg, 10, 64)
	if err != nil {
		return false, fmt.Errorf("seed %q: want a whole number from 0 up, or off", arg)
	}
	c.note("seed %d", v)
	return false, c.tune(ctx, func(s *generate.Sampling) { s.Seed = &v })
}

func (c *chat) limit(_ context.Context, arg string) (bool, error) {
	if arg != "" {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 0 {
			return false, fmt.Errorf("max-tokens %q: want a whole number from 0 up", arg)
		}
		c.opt.MaxTokens = n
	}
	if c.opt.MaxTokens == 0 {
		c.note("replies end at the model's own limit, if it has one")
		return false, nil
	}
	c.note("replies end after %d tokens; /continue goes on", c.opt.MaxTokens)
	return false, nil
}

// named are the values by the names of their commands, in the order in which they are said.
var named = []struct {
	name string
	text func(s *generate.Sampling) string
	take func(to, from *generate.Sampling)
}{
	{"temp", func(s *generate.Sampling) string { return fmt.Sprint(s.Temperature) }, func(to, from *generate.Sampling) { to.Temperature = from.Temperature }},
	{"top-k", func(s *generate.Sampling) string { return fmt.Sprint(s.TopK) }, func(to, from *generate.Sampling) { to.TopK = from.TopK }},
	{"top-p", func(s *generate.Sampling) string { return fmt.Sprint(s.TopP) }, func(to, from *generate.Sampling) { to.TopP = from.TopP }},
	{"min-p", func(s *generate.Sampling) string { return fmt.Sprint(s.MinP) }, func(to, from *generate.Sampling) { to.MinP = from.MinP }},
	{"typical-p", func(s *generate.Sampling) string { return fmt.Sprint(s.TypicalP) }, func(to, from *generate.Sampling) { to.TypicalP = from.TypicalP }},
	{
		"repeat-penalty", func(s *generate.Sampling) string { return fmt.Sprint(s.RepetitionPenalty) },
		func(to, from *generate.Sampling) { to.RepetitionPenalty = from.RepetitionPenalty },
	},
	{
		"seed", func(s *generate.Sampling) string {
			if s.Seed == nil {
				return "off"
			}
			return fmt.Sprint(*s.Seed)
		}, func(to, from *generate.Sampling) { to.Seed = from.Seed },
	},
}

// saySampling says values, one a line.
func (c *chat) saySampling(s *generate.Sampling) {
	for _, v := range named {
		c.note("%s %s", v.name, v.text(s))
	}
}

func (c *chat) sayValues(ctx context.Context, _ string) (bool, error) {
	s, err := c.values(ctx)
	if err == nil {
		c.saySampling(&s)
	}
	return false, err
}

// reset gives a value, or all, what it has without the user's choice in this run.
func (c *chat) reset(ctx context.Context, name string) (bool, error) {
	if name == "" {
		c.sampling = c.opt.Sampling
		return c.sayValues(ctx, "")
	}
	for _, v := range named {
		if v.name != name {
			continue
		}
		now, err := c.values(ctx)
		if err != nil {
			return false, err
		}
		c.sampling = c.opt.Sampling
		standard, err := c.values(ctx)
		if err != nil {
			return false, err
		}
		v.take(&now, &standard)
		c.sampling = &now
		c.note("%s %s", v.name, v.text(&now))
		return false, nil
	}
	var names []string
	for _, v := range named {
		names = append(names, v.name)
	}
	return false, fmt.Errorf("reset: there is no value %q; there are %s", name, strings.Join(names, ", "))
}

// details says how the last reply was made.
func (c *chat) details(string) error {
	i, err := c.nth("", isReply)
	if err != nil {
		return errors.New("there is no reply yet")
	}
	reply := c.turns[i]
	c.note("model: %s", reply.Model)
	c.note("ended: %s", reply.Finish)
	if s := reply.Sampling; s != nil {
		c.saySampling(s)
	}
	for _, s := range reply.Earlier {
		c.note("before, for %d tokens:", s.Tokens)
		c.saySampling(&s.Sampling)
	}
	if t := reply.Timings; t != nil {
		c.note("first token after %.2f s; prompt: %d tokens, %d of them read before; reply: %d tokens, %.1f a second",
			t.FirstToken.Seconds(), t.PromptTokens, t.CachedTokens, max(t.ReplyTokens, len(reply.TokenIDs)), t.DecodePerSecond)
	}
	return nil
}

// values returns the sampling in force. The values to start from are known when the model is.
func (c *chat) values(ctx context.Context) (generate.Sampling, error) {
	if c.sampling != nil {
		return *c.sampling, nil
	}
	info, err := c.ready(ctx)
	return info.Defaults, err
}

// tune changes the sampling from the next reply on.
func (c *chat) tune(ctx context.Context, change func(*generate.Sampling)) error {
	s, err := c.values(ctx)
	if err != nil {
		return err
	}
	change(&s)
	if err := s.Validate(); err != nil {
		return err
	}
	c.sampling = &s
	return nil
}

// systemText sets the system text, or says it.
func (c *chat) systemText(arg string) error {
	switch arg {
	case "":
	case "-":
		c.system = ""
	default:
		c.system = arg
	}
	if c.system == "" {
		c.note("no system text")
		return nil
	}
	c.note("system: %s", c.system)
	return nil
}

// switcher is a Generator that can load its model on another backend.
type switcher interface {
	Backends() []string
	UseBackend(name string) error
}

func (c *chat) backend(name string) error {
	s, ok := c.opt.Generator.(switcher)
	switch {
	case !ok:
		return errors.New("the backend cannot be changed here; start again with --backend")
	case name == "":
		c.note("backend %s; there are %v", c.opt.Generator.Info().Backend, s.Backends())
		return nil
	}
	if err := s.UseBackend(name); err != nil {
		return err
	}
	c.note("loading the model on %s", name)
	return nil
}

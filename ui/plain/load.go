package plain

import (
	"context"
	"fmt"
	"strings"
	"time"

	"peregrine/model/generate"
	"peregrine/ui/escape"
)

// How often loading is looked at, at first and later, and for how long before it is worth a word. Half an interval is waited for
// nothing, which counts where the first token comes 200 ms after the start.
const (
	loadSoon  = 2 * time.Millisecond
	loadLater = 50 * time.Millisecond
	loadQuiet = 300 * time.Millisecond
)

// ready waits until the model is loaded. If Err is a terminal, it says how far that is: by lines in a conversation, where a
// screen reader may listen, on one line otherwise.
func (c *chat) ready(ctx context.Context) (generate.Info, error) {
	p := progress{chat: c, on: isTerminal(c.opt.Err), start: time.Now()}
	defer p.clear()
	for {
		info := c.opt.Generator.Info()
		switch {
		case info.Err != nil:
			return info, &Error{Code: ExitFailed, Err: info.Err}
		case ctx.Err() != nil:
			return info, &Error{Code: ExitInterrupted}
		case info.Ready:
			c.sayOfModel(info)
			return info, nil
		}
		p.show(info)
		next := loadSoon
		if time.Since(p.start) > loadQuiet {
			next = loadLater
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		case <-c.opt.Interrupt:
			return info, &Error{Code: ExitInterrupted}
		}
	}
}

// sayOfModel says in a conversation what there is to know about a model, once for each.
func (c *chat) sayOfModel(info generate.Info) {
	if !c.opt.Interactive || c.noted == info.Path {
		return
	}
	c.noted = info.Path
	for _, note := range info.Notes {
		c.note("%s", escape.Line(note))
	}
}

// progress is the line about loading.
type progress struct {
	*chat
	on    bool
	start time.Time
	shown string
}

func (p *progress) show(info generate.Info) {
	if !p.on || time.Since(p.start) < loadQuiet {
		return
	}
	if p.opt.Interactive {
		if p.shown == "" {
			p.shown = "loading the model"
			p.note("%s …", p.shown)
		}
		return
	}
	line := fmt.Sprintf("loading %s %3.0f %%", escape.Line(info.Model), 100*info.Progress)
	if line != p.shown {
		p.clear()
		p.shown = line
		fmt.Fprint(p.opt.Err, line)
	}
}

// clear blanks the line with spaces: not every terminal knows more.
func (p *progress) clear() {
	if p.shown != "" && !p.opt.Interactive {
		fmt.Fprint(p.opt.Err, "\r"+strings.Repeat(" ", len([]rune(p.shown)))+"\r")
	}
	p.shown = ""
}

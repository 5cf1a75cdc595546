package cli

import (
	"fmt"
	stdio "io"
	"time"

	"peregrine/model/hub"
)

// pullProgress shows how far a pull has come: on a terminal as one line that changes, elsewhere as a line for every tenth.
type pullProgress struct {
	out    stdio.Writer
	person bool
	shown  bool
	tenth  int64 // of the whole that was said last
}

// show is the observer of a pull.
func (p *pullProgress) show(now hub.Progress) {
	if p.person {
		p.shown = true
		fmt.Fprintf(p.out, "\r\x1b[K%s", describeProgress(now))
		return
	}
	if tenth := now.Done * 10 / max(now.Total, 1); tenth > p.tenth {
		p.tenth = tenth
		fmt.Fprintln(p.out, describeProgress(now))
	}
}

// end leaves the line.
func (p *pullProgress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// describeProgress says how far a pull is, how fast, and how long it will take.
func describeProgress(p hub.Progress) string {
	line := fmt.Sprintf("%3d %%  %s of %s", p.Done*100/max(p.Total, 1), size(p.Done), size(p.Total))
	if p.Rate > 0 && p.Done < p.Total {
		line += fmt.Sprintf("  %s/s  %s left", size(int64(p.Rate)), remaining(p.Left))
	}
	if p.Checking != "" {
		line += "  checking files"
	}
	return line
}

// remaining writes a time for people: no finer than it is known.
func remaining(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return "days"
	case d >= time.Hour:
		return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d s", max(d/time.Second, 1))
}

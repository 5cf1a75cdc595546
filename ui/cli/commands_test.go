package cli

import (
	"slices"
	"testing"

	"peregrine/ui"
	"peregrine/ui/plain"
)

// withoutLines are the screen's commands that lines have no use for, and why.
var withoutLines = map[string]string{
	"copy":    "the terminal selects what is written as lines",
	"mouse":   "the mouse is the terminal's",
	"suspend": "ctrl+z is",
	"stop":    "nothing is read while a reply is written; ctrl+c stops it",
	"theme":   "there are no colours",
	"select":  "there is nothing to point at: /revise, /version, /regenerate and /delete-branch name a message by its number",
	"recall":  "what was typed stands above",
	"editor":  `lines come as they are typed or piped; """ takes several`,
}

func TestLinesHaveTheCommandsOfTheScreen(t *testing.T) {
	lines := plain.Commands()
	for _, name := range ui.Commands() {
		there := slices.Contains(lines, name)
		if why := withoutLines[name]; there == (why != "") {
			t.Errorf("/%s: in the lines %v, and there is a reason against it: %q", name, there, why)
		}
	}
	for name := range withoutLines {
		if !slices.Contains(ui.Commands(), name) {
			t.Errorf("the screen has no /%s", name)
		}
	}
}

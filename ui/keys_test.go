package ui

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestDefaultKeysDoNotCollide(t *testing.T) {
	if _, problems := newKeymap(nil); len(problems) > 0 {
		t.Errorf("the defaults have conflicts: %v", problems)
	}
}

// Keys that other programs between the keyboard and this one keep for themselves.
var takenElsewhere = map[string][]string{
	"tmux":   {"ctrl+b"},
	"screen": {"ctrl+a"},
	"Zellij": {"ctrl+g", "ctrl+p", "ctrl+n", "ctrl+h", "ctrl+o", "ctrl+s", "ctrl+t", "ctrl+q"},
}

func TestDefaultKeysAreNobodyElses(t *testing.T) {
	for _, b := range keyTable() {
		for _, k := range b.keys {
			for program, keys := range takenElsewhere {
				if slices.Contains(keys, k) {
					t.Errorf("%s of %s belongs to %s", k, b.action, program)
				}
			}
		}
	}
}

// Where the field's own meaning of a key gives way on purpose.
var takenFromTheField = map[string]string{
	"ctrl+d": "quits on an empty draft, where there is nothing to delete",
}

func TestDefaultKeysLeaveEditingAlone(t *testing.T) {
	editing := slices.Collect(maps.Keys(editorKeys))
	editing = append(editing, "up", "down", "ctrl+p", "ctrl+n", "shift+up", "shift+down", "ctrl+v", "ctrl+shift+c")
	for _, b := range keyTable() {
		if b.scope != inChat {
			continue
		}
		for _, k := range b.keys {
			if slices.Contains(editing, k) && takenFromTheField[k] == "" {
				t.Errorf("%s of %s edits the draft", k, b.action)
			}
		}
	}
}

func TestOverridesReplaceTheDefaults(t *testing.T) {
	k, problems := newKeymap(map[string][]string{"temperature_up": {"Alt+Up", "ctrl+shift+T"}})
	if len(problems) > 0 {
		t.Fatalf("got problems %v", problems)
	}
	if got := k.byKey[inChat]["alt+up"]; got != actWarmer {
		t.Errorf("got %q for alt+up, want temperature_up", got)
	}
	if got := k.byKey[inChat]["ctrl+shift+t"]; got != actWarmer {
		t.Errorf("got %q for ctrl+shift+t, want temperature_up", got)
	}
	if got := k.byKey[inChat]["f6"]; got != actNone {
		t.Errorf("got %q for f6, want nothing", got)
	}
	if got := k.label(actWarmer); got != "alt+up" {
		t.Errorf("got label %q", got)
	}
}

func TestProblemsOfOverridesAreSaid(t *testing.T) {
	for name, c := range map[string]struct {
		override map[string][]string
		want     string
	}{
		"conflict with a default":   {map[string][]string{"help": {"f5"}}, "f5 is wanted by help and temperature_down; help has it"},
		"conflict of two overrides": {map[string][]string{"help": {"f9"}, "model": {"f9"}}, "f9 is wanted by help and model; help has it"},
		"conflict in a list":        {map[string][]string{"rename": {"up"}}, "up is wanted by rename and up; rename has it"},
		"unknown action":            {map[string][]string{"fly": {"f9"}}, `there is no action "fly"`},
		"unknown key":               {map[string][]string{"help": {"f99x"}}, `"f99x" is no key`},
		"unknown modifier":          {map[string][]string{"help": {"hyperspace+f9"}}, `no modifier "hyperspace"`},
		"conflict on a message":     {map[string][]string{"revise": {"r"}}, "r is wanted by revise and regenerate; revise has it"},
		"plain character":           {map[string][]string{"help": {"h"}}, "a character one types"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(KeyProblems(c.override), "\n")
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestEveryDefaultKeyIsNamedAsBubbleTeaDoes(t *testing.T) {
	for _, b := range keyTable() {
		for _, k := range b.keys {
			if got, err := keyNameIn(b.scope, k); err != nil || got != k {
				t.Errorf("%s: got %q, %v", k, got, err)
			}
		}
	}
}

func TestHelpListsEveryActionAndCommand(t *testing.T) {
	b := newBench(t, Options{})
	b.m.keys.distinct = true
	help := strings.Join(b.m.helpLines(200), "\n")
	for _, binding := range keyTable() {
		called := string(binding.action)
		if len(binding.keys) > 0 {
			called = keyLabel(binding.keys[0])
		}
		if !strings.Contains(help, binding.help) || !strings.Contains(help, called) {
			t.Errorf("the help lacks %s", binding.action)
		}
	}
	for _, c := range commandTable() {
		if !strings.Contains(help, "/"+c.name) || !strings.Contains(help, c.help) {
			t.Errorf("the help lacks /%s", c.name)
		}
	}
}

func TestAnActionWithoutAKeyIsInTheHelpByItsName(t *testing.T) {
	b := newBench(t, Options{Keys: map[string][]string{"model": {}}})
	help := strings.Join(strings.Fields(ansi.Strip(strings.Join(b.m.helpLines(200), "\n"))), " ")
	if want := "Without a key model models"; !strings.Contains(help, want) {
		t.Errorf("got %q, want %q in it", help, want)
	}
	if got := b.m.keys.label(actModel); got != "" {
		t.Errorf("got label %q, want none", got)
	}
}

func TestEveryActionIsDoneByOneBinding(t *testing.T) {
	seen := map[action]bool{}
	for _, b := range keyTable() {
		if seen[b.action] {
			t.Errorf("two bindings are named %s", b.action)
		}
		seen[b.action] = true
		if (b.run != nil) != (b.scope == inChat) {
			t.Errorf("%s: the chat's keys run something, those of lists are the list's", b.action)
		}
	}
}

func TestShiftEnterIsShownWhereItWorks(t *testing.T) {
	k, _ := newKeymap(nil)
	if got := k.label(actNewline); got != "ctrl+j" {
		t.Errorf("got %q on a terminal that cannot tell shift+enter, want ctrl+j", got)
	}
	k.distinct = true
	if got := k.label(actNewline); got != "shift+Enter" {
		t.Errorf("got %q on one that can, want shift+Enter", got)
	}
}

func TestEveryActionHasACommand(t *testing.T) {
	for _, b := range keyTable() {
		has := slices.ContainsFunc(allCommands(), func(c command) bool { return c.action == b.action })
		if !has && b.scope == inChat && !slices.Contains(typingActions, b.action) {
			t.Errorf("%s has no command", b.action)
		}
	}
}

func TestEveryCommandHasItsOwnNameAndAKnownKey(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range allCommands() {
		if seen[c.name] {
			t.Errorf("two commands are named /%s", c.name)
		}
		seen[c.name] = true
		if c.action != actNone && !slices.ContainsFunc(keyTable(), func(b binding) bool { return b.action == c.action }) {
			t.Errorf("/%s has the key of %q, which no table has", c.name, c.action)
		}
	}
}

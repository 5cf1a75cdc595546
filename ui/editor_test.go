package ui

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"peregrine/ui/cells"
)

// written returns an editor with a text; a | in it is the cursor.
func written(text string) *editor {
	e := newEditor()
	before, after, _ := strings.Cut(text, "|")
	e.write(units(before+after, false)...)
	e.cursor = len(units(before, false))
	return e
}

// marked returns the text with a | where the cursor is.
func (e *editor) marked() string { return textOf(e.text[:e.cursor]) + "|" + textOf(e.text[e.cursor:]) }

func TestEditorKeys(t *testing.T) {
	for _, c := range []struct{ text, keys, want string }{
		{"one two|", "left left", "one t|wo"},
		{"one two|", "ctrl+left", "one |two"},
		{"|one two", "ctrl+right alt+f", "one two|"},
		{"a 👩‍👩‍👧|", "backspace", "a |"},
		{"|🇩🇪🇯🇵", "right", "🇩🇪|🇯🇵"},
		{"e\u0301|x", "left", "|e\u0301x"},
		{"one\ntwo|", "ctrl+a", "one\n|two"},
		{"one\n|two", "backspace", "one|two"},
		{"one|\ntwo", "delete", "one|two"},
		{"one|\ntwo", "ctrl+k", "one|two"},
		{"o|ne\ntwo", "ctrl+k", "o|\ntwo"},
		{"one\ntwo|", "ctrl+u", "one\n|"},
		{"one\n|two", "ctrl+u", "one|two"},
		{"one two |", "ctrl+w", "one |"},
		{"|one two", "alt+d", "| two"},
		{"one |two", "ctrl+t", "onet |wo"},
		{"one|", "ctrl+t", "oen|"},
		{"|one two", "alt+u alt+c", "ONE Two|"},
		{"|ONE", "alt+l", "one|"},
		{"one two|", "shift+left shift+left backspace", "one t|"},
		{"one two|", "ctrl+shift+left delete", "one |"},
		{"|one", "shift+right left", "|one"},
		{"one|", "ctrl+g ctrl+d", "|"},
		{"one|\ntwo", "alt+<", "|one\ntwo"},
		{"one|\ntwo", "alt+>", "one\ntwo|"},
		{"|", "backspace delete ctrl+w ctrl+u ctrl+k ctrl+t alt+u left right ctrl+g", "|"},
	} {
		e := written(c.text)
		for _, key := range strings.Fields(c.keys) {
			if !e.press(key) {
				t.Errorf("%s is no editing key", key)
			}
		}
		if got := e.marked(); got != c.want {
			t.Errorf("%q, %s: got %q, want %q", c.text, c.keys, got, c.want)
		}
	}
}

func TestCharactersThatComeInPiecesJoin(t *testing.T) {
	e := newEditor()
	for _, piece := range []string{"e", "\u0301", "👩", "\u200d", "👧", "🇩", "🇪", "x"} {
		e.write(units(piece, false)...)
	}
	want := []string{"e\u0301", "👩\u200d👧", "🇩🇪", "x"}
	var got []string
	for _, u := range e.text {
		got = append(got, u.text)
	}
	if !slices.Equal(got, want) || e.cursor != len(want) {
		t.Errorf("got %q and cursor %d, want %q and its end", got, e.cursor, want)
	}
	e.press("alt+<")
	e.write(unit{text: "🇯"})
	e.write(unit{text: "🇵"})
	if e.marked() != "🇯🇵|e\u0301👩\u200d👧🇩🇪x" || len(e.text) != 5 {
		t.Errorf("got %q in %d characters", e.marked(), len(e.text))
	}
}

func TestUndoTakesAWordAtATime(t *testing.T) {
	e := newEditor()
	for _, r := range "one two" {
		e.write(unit{text: string(r)})
	}
	e.press("backspace")
	for _, want := range []string{"one two|", "one|", "|"} {
		if !e.undo() || e.marked() != want {
			t.Errorf("got %q, want %q", e.marked(), want)
		}
	}
	if e.undo() {
		t.Error("there should be nothing left to take back")
	}
	for e.redo() {
	}
	if e.marked() != "one tw|" {
		t.Errorf("got %q after making all changes once more", e.marked())
	}
}

// TestAnyEditingCanBeTakenBack presses keys at random: the text stays cut into characters, the cursor inside, no row is too
// wide, and undo leads back to the start, redo to the end.
func TestAnyEditingCanBeTakenBack(t *testing.T) {
	keys := slices.Sorted(maps.Keys(editorKeys))
	pieces := []string{"a", " ", "\n", "\t", "漢", "👩", "\u200d", "👧", "🇩", "🇪", "\u0301", "word ", "e\u0301", "\x1b", "-"}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		e := newEditor()
		method := cells.Method{Method: ansi.Method(rng.IntN(2))}
		for range 60 {
			switch rng.IntN(3) {
			case 0:
				e.press(keys[rng.IntN(len(keys))])
			case 1:
				e.vertical(1-2*rng.IntN(2), rng.IntN(9), 9, method)
			default:
				e.write(units(pieces[rng.IntN(len(pieces))], rng.IntN(2) == 0)...)
			}
			if rng.IntN(12) == 0 {
				e.write(unit{text: "large", paste: newPaste("large", 1), pasted: true})
			}
			if e.cursor < 0 || e.cursor > len(e.text) || e.from > len(e.text) {
				t.Fatalf("seed %d: cursor %d, selection from %d, in %d characters", seed, e.cursor, e.from, len(e.text))
			}
			checkRows(t, e, 9, method)
		}
		end := e.draft()
		for e.undo() {
		}
		if e.draft() != "" {
			t.Fatalf("seed %d: %q is left when everything is taken back", seed, e.draft())
		}
		for e.redo() {
		}
		if e.draft() != end {
			t.Fatalf("seed %d: got %q from redo, want %q", seed, e.draft(), end)
		}
	}
}

// checkRows makes sure that the rows hold all of the text, each in its width but for the spaces at its end.
func checkRows(t *testing.T, e *editor, width int, method cells.Method) {
	t.Helper()
	at := 0
	for _, r := range e.rows(width, method) {
		if r.from != at && (r.from != at+1 || e.text[at].text != "\n") {
			t.Fatalf("%q: a row starts at %d, the one before ended at %d", e.draft(), r.from, at)
		}
		at = r.to
		end := r.to
		for end > r.from && e.text[end-1].isSpace() {
			end--
		}
		if got := e.columnOf(r, end, width, method); got > width && end > r.from+1 {
			t.Fatalf("%q: a row is %d wide, want at most %d", e.draft(), got, width)
		}
		if line := e.line(r, width, width+1, method); method.StringWidth(line) != width+1 {
			t.Fatalf("%q: line %q is %d wide, want %d", e.draft(), line, method.StringWidth(line), width+1)
		}
	}
	if at != len(e.text) {
		t.Fatalf("%q: the rows end at %d of %d", e.draft(), at, len(e.text))
	}
	for i := 1; i < len(e.text); i++ {
		a, b := e.text[i-1], e.text[i]
		if a.paste == nil && b.paste == nil && a.text != "\n" && b.text != "\n" && len(units(a.text+b.text, false)) < 2 {
			t.Fatalf("%q and %q are one character", a.text, b.text)
		}
	}
}

func TestUpAndDownKeepTheColumn(t *testing.T) {
	b := newBench(t, Options{})
	b.send(tea.PasteMsg{Content: "a long line here\nab\nanother long line"})
	b.keys("up", "up", "x")
	if got := b.m.composer.marked(); got != "a long line herex|\nab\nanother long line" {
		t.Errorf("got %q, want the cursor at the end of the first line, where the last was longer", got)
	}
	b.keys("left", "left", "left", "down", "down", "y")
	if got := b.m.composer.marked(); got != "a long line herex\nab\nanother long ly|ine" {
		t.Errorf("got %q, want the cursor in the same column", got)
	}
	b.keys("shift+up", "backspace")
	if got := b.m.composer.marked(); got != "a long line herex\nab|ine" {
		t.Errorf("got %q, want what was selected erased", got)
	}
}

package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/history"
)

// editorThat makes $EDITOR a script; $1 is the file. It returns the folder where the file will be.
func editorThat(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "my editor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "'"+path+"' --wait")
	return temp
}

// edit opens the editor as Bubble Tea would and waits for it.
func (b *bench) edit() {
	b.t.Helper()
	before := b.m.composer.text
	e := &elsewhere{program: os.Getenv("EDITOR"), text: textOf(before), meanwhile: b.m.saveMeanwhile()}
	err := e.Run()
	b.send(editedMsg{before, e.text, err, e.left})
}

func TestAnEditorsTextComesBackByteForByte(t *testing.T) {
	paste := lines(101)
	for name, c := range map[string]struct{ script, draft, want, shown string }{
		"nothing changed":         {`true`, "a draft", "a draft", "❯ a draft"},
		"nothing, a newline last": {`true`, "a draft\n\n", "a draft\n\n", "❯ a draft"},
		"a line more":             {`printf 'and more\n' >> "$2"`, "a draft", "a draft\nand more", "and more"},
		"an editor that ends no line": {
			`printf 'no end' > "$2"`, "a draft", "no end", "❯ no end",
		},
		"any bytes":            {`printf 'a\r\n\tb \033[31m \377 \n\n' > "$2"`, "", "a\r\n\tb \x1b[31m \xff \n", "␛[31m"},
		"a large paste stays":  {`sed -i '1s/^/first /' "$2"`, "see " + paste, "first see " + paste, "❯ first see ⟦paste 1: 101 lines⟧"},
		"a large paste is cut": {`sed -i '3,$d' "$2"`, paste, "\tall:\n\tall:", "all:"},
		"emptied":              {`: > "$2"`, "a draft", "", "Write a message"},
		"another file":         {`echo new > "$2.x" && mv "$2.x" "$2"`, "a draft", "new", "❯ new"},
	} {
		t.Run(name, func(t *testing.T) {
			temp := editorThat(t, `ls -l "$2" | grep -q '^-rw-------' || exit 9`+"\n"+c.script)
			b := newBench(t, Options{Store: openStore(t)})
			head, rest, _ := strings.Cut(c.draft, paste)
			b.send(tea.PasteMsg{Content: head})
			if strings.HasSuffix(c.draft, paste) && c.draft != "" {
				b.send(tea.PasteMsg{Content: paste + rest})
			}
			b.edit()
			if got := textOf(b.m.composer.text); got != c.want {
				t.Errorf("got %.80q (%d bytes), want %.80q (%d bytes)", got, len(got), c.want, len(c.want))
			}
			b.wantScreen(c.shown)
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("got %v, %v left behind, want nothing", left, err)
			}
			if c.draft != c.want {
				b.keys("ctrl+_")
				b.wantDraft(c.draft)
			}
		})
	}
}

func TestAnEditorThatFailsLeavesTheDraft(t *testing.T) {
	for name, script := range map[string]string{
		"an exit code": `echo changed > "$2"; exit 1`,
		"no file":      `rm "$2"`,
		"a signal":     `kill -9 $$`,
	} {
		t.Run(name, func(t *testing.T) {
			editorThat(t, script)
			b := newBench(t, Options{Store: openStore(t)})
			b.keys("my draft")
			b.edit()
			b.wantScreen("❯ my draft", "the editor failed, the draft is as it was", "the editor failed:")
		})
	}
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "")
	b := newBench(t, Options{})
	b.keys("my draft", "ctrl+x")
	b.wantScreen("set $VISUAL or $EDITOR", "❯ my draft")
}

func TestTheTextIsTakenOverFromAFileThatCannotBeRemoved(t *testing.T) {
	// A pipe takes the file's place: who writes into it knows when it is being read, and makes a folder of it that is not empty.
	temp := editorThat(t, `rm "$2"; mkfifo "$2"; (exec 3> "$2"; rm "$2"; mkdir "$2"; : > "$2/x"; printf 'an hour of work\n' >&3) &`)
	b := newBench(t, Options{Store: openStore(t)})
	b.keys("my draft")
	b.edit()
	b.wantDraft("an hour of work")
	left, _ := filepath.Glob(filepath.Join(temp, "*"))
	if len(left) != 1 {
		t.Fatalf("got %v left, want what cannot be removed", left)
	}
	screen := strings.Join(strings.Fields(b.screen()), "")
	if !strings.Contains(screen, "cannotberemoved:remove"+left[0]+":directorynotempty;removeityourself") {
		t.Errorf("the screen does not name %s:\n%s", left[0], b.screen())
	}
	b.wantNotScreen("the editor failed")
}

func TestWhatAFailingEditorWroteIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   int64 // bytes that are kept; 0: no file
	}{
		"written, then an exit code": {`printf 'an hour of work\n' > "$2"; exit 1`, 16},
		"written, then a signal":     {`printf 'an hour of work\n' > "$2"; kill -9 $$`, 16},
		"more than is taken over":    {`truncate -s 65M "$2"`, 65 << 20},
		"nothing written":            {`exit 1`, 0},
		"emptied":                    {`: > "$2"; exit 1`, 0},
		"removed":                    {`rm "$2"; exit 1`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			temp := editorThat(t, c.script)
			b := newBench(t, Options{Store: openStore(t)})
			b.keys("my draft")
			e := &elsewhere{program: os.Getenv("EDITOR"), text: "my draft", meanwhile: b.m.saveMeanwhile()}
			err := e.Run()
			left, _ := filepath.Glob(filepath.Join(temp, "*"))
			switch {
			case err == nil || e.text != "my draft":
				t.Fatalf("got %q, %v, want the draft and an error", e.text, err)
			case c.want == 0:
				if len(left) > 0 || strings.Contains(err.Error(), "kept") {
					t.Errorf("got %v left, %v, want nothing", left, err)
				}
				return
			case len(left) != 1 || !strings.HasSuffix(err.Error(), "kept in "+left[0]):
				t.Fatalf("got %v left, %v, want the file and its name", left, err)
			}
			if info, err := os.Stat(left[0]); err != nil || info.Size() != c.want || info.Mode().Perm() != 0o600 {
				t.Errorf("got %v, %v, want %d bytes for the owner alone", info, err, c.want)
			}
		})
	}
}

func TestAReplyGoesOnBeingSavedWhileTheEditorIsOpen(t *testing.T) {
	store := openStore(t)
	b := newBench(t, Options{Store: store})
	words := b.gen.drip()
	b.keys("hi", "enter")
	b.until("the start", func() bool { return b.m.turn.feed != nil && b.m.chat.file != nil })
	words <- "seen "
	b.until("the word", func() bool { return strings.Contains(b.screen(), "seen") })
	done := filepath.Join(t.TempDir(), "done")
	editorThat(t, `while [ ! -e `+done+` ]; do sleep 0.05; done; echo meanwhile > "$2"`)
	go func() {
		for range 5 {
			words <- "unseen "
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(1100 * time.Millisecond)
		c, err := history.Read(b.m.chat.file.Path()) // as another process finds it, were this one killed
		if err != nil || len(c.Messages) != 2 || c.Messages[1].Content != "seen "+strings.Repeat("unseen ", 5) {
			t.Errorf("got %+v (%v) on disk, want all words", c, err)
		}
		close(words)
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			t.Error(err)
		}
	}()
	b.edit()
	b.ended()
	b.wantScreen("❯ meanwhile")
	if got := b.saved(); len(got) != 2 || got[1].Content != "seen "+strings.Repeat("unseen ", 5) || got[1].Partial {
		t.Errorf("got %+v, want the whole reply", got)
	}
}

func TestTheEditorInATerminal(t *testing.T) {
	editorThat(t, `printf 'written elsewhere\n' >> "$2"`)
	gen := newScript("an answer")
	term := startTerminal(t, Options{Generator: gen, Store: openStore(t)}, 80, 24)
	term.wait("Write a message")
	term.send("typed here")
	term.wait("❯ typed here")
	term.send("\x18") // ctrl+x
	term.wait("typed here", "written elsewhere")
	term.send("!", enterKey)
	term.wait("an answer")
	if got := gen.last().Messages[0].Content; got != "typed here\nwritten elsewhere!" {
		t.Errorf("got %q", got)
	}
	term.send(ctrlC, ctrlC)
	term.ended()
}

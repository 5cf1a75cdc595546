package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// filesIn makes files and, where the name ends in a separator, folders.
func filesIn(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// typing puts a draft there as if its last character had just been typed, and waits for what that begins.
func (b *bench) typing(draft string) {
	b.t.Helper()
	_, last := utf8.DecodeLastRuneInString(draft)
	n := len(draft) - last
	b.m.composer.set(draft[:n])
	b.keys(draft[n:])
	b.idle()
}

func TestTabCompletesFiles(t *testing.T) {
	home := filesIn(t, "notes one.md", "notes two.md", "chats/a.jsonl", "chats/b.json", ".hidden.md", "odd\x1b[31m.md", "漢a.md", "漢b.md", "ünder.md", "üpper.md")
	t.Setenv("HOME", home)
	t.Chdir(home)
	for _, c := range []struct {
		name, typed string
		keys        []string
		want        string   // the draft
		shown       []string // what is suggested then
	}{
		{"the only one", "/open ~/c", []string{"tab"}, "/open ~/chats/", []string{"a.jsonl", "b.json"}},
		{"what all begin with", "/open ~/n", []string{"tab"}, "/open ~/notes ", []string{"notes one.md", "notes two.md"}},
		{"then the first", "/import ~/n", []string{"tab", "tab", "tab"}, "/import ~/notes one.md", nil},
		{"one that is selected", "/import ~/notes ", []string{"down", "down", "tab"}, "/import ~/notes two.md", nil},
		{"the last from below", "/import ~/notes ", []string{"up", "tab"}, "/import ~/notes two.md", nil},
		{"home alone", "/import ~", []string{"tab"}, "/import ~/", []string{"chats/", "notes one.md", "notes two.md", "odd␛[31m.md", "ünder.md", "üpper.md", "漢a.md", "漢b.md"}},
		{"a whole path", "/import " + home + "/chats/b", []string{"tab"}, "/import " + home + "/chats/b.json", nil},
		{"the folder where one is", "/export ", []string{"c", "tab"}, "/export chats/", []string{"a.jsonl", "b.json"}},
		{"hidden", "/import ~/.", []string{"tab"}, "/import ~/.hidden.md", nil},
		{"control characters", "/import ~/o", []string{"tab"}, "/import ~/odd\x1b[31m.md", nil},
		{"whole characters", "/import ~/漢", []string{"tab"}, "/import ~/漢", []string{"漢a.md", "漢b.md"}},
		{"not half a character", "/import ~/ü", []string{"tab"}, "/import ~/ü", []string{"ünder.md", "üpper.md"}},
		{"save names conversations", "/save n", []string{"tab"}, "/save n", nil},
		{"or writes copies", "/save ~/chats/", []string{"tab"}, "/save ~/chats/", []string{"a.jsonl", "b.json"}},
		{"a model by its path", "/model ~/ch", []string{"tab"}, "/model ~/chats/", []string{"a.jsonl", "b.json"}},
		{"a template", "/template ~/ch", []string{"tab"}, "/template ~/chats/", []string{"a.jsonl", "b.json"}},
		{"a template by its name", "/template fal", []string{"tab"}, "/template falcon", nil},
		{"nothing there", "/import ~/zz", []string{"tab"}, "/import ~/zz", nil},
		{"no folder", "/import ~/none/x", []string{"tab"}, "/import ~/none/x", nil},
		{"no file is meant", "/rename ~/n", nil, "/rename ~/n", nil},
		{"into a folder", "/import ~/c", []string{"down", "enter"}, "/import ~/chats/", []string{"a.jsonl", "b.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Options{Store: openStore(t)})
			b.typing(c.typed)
			for _, k := range c.keys {
				b.keys(k)
				b.idle()
			}
			if got := b.m.composer.draft(); got != c.want {
				t.Errorf("got the draft %q, want %q", got, c.want)
			}
			var shown []string
			for _, s := range b.m.composer.palette.items {
				shown = append(shown, s.title)
			}
			if !slices.Equal(shown, c.shown) {
				t.Errorf("got %q suggested, want %q", shown, c.shown)
			}
		})
	}
}

func TestEnterTakesThePathThatIsTyped(t *testing.T) {
	dir := filesIn(t, "notes.md")
	x := &fakeExchanger{}
	b := newBench(t, Options{Store: openStore(t), Exchange: x})
	b.say("hi")
	b.typing("/export " + dir + "/not")
	b.wantScreen("notes.md")
	b.keys("enter")
	b.idle()
	if want := dir + "/not"; x.path != want {
		t.Errorf("exported to %q, want %q: the file beside it was not chosen", x.path, want)
	}
	b.typing("/import " + dir + "/not")
	b.keys("down", "enter")
	b.idle()
	if want := dir + "/notes.md"; x.path != want {
		t.Errorf("imported %q, want %q, which was chosen", x.path, want)
	}
}

// A key that comes before the folder has been read must not be lost, nor become a part of the path; and nothing waits for a disk.
func TestTabBeforeTheFolderIsRead(t *testing.T) {
	dir := filesIn(t, "notes.md")
	m := New(Options{Generator: newScript("")})
	m.Update(sized(80, 24))
	m.composer.set("/import " + dir + "/no")
	read := m.readFolder()
	if read == nil || m.readFolder() != nil {
		t.Fatal("want the folder to be read, once")
	}
	tab, _ := keyNamed("tab")
	m.press(tab)
	if got, want := m.composer.draft(), "/import "+dir+"/no"; got != want || m.composer.palette.open {
		t.Fatalf("got %q before the folder was read, want %q", got, want)
	}
	m.Update(read())
	if got, want := m.composer.draft(), "/import "+dir+"/notes.md"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.composer.set("/import " + dir + "/o/")
	late := m.readFolder()
	m.composer.set("/import /x")
	m.readFolder()
	m.Update(late())
	if m.composer.palette.open {
		t.Error("files of a folder that is not typed any more are suggested")
	}
}

func TestAFolderWithManyFilesIsReadInPart(t *testing.T) {
	dir := filesIn(t)
	for i := range mostFiles + 2*fileBatch {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%05d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if f := listFolder(dir+"/", ""); len(f.names) > mostFiles+fileBatch || f.all {
		t.Errorf("got %d names, all of them: %v", len(f.names), f.all)
	}
	b := newBench(t, Options{})
	b.typing("/import " + dir + "/")
	for _, more := range []string{"f", "0", "2", "0", "0"} { // whatever the first part holds, more of the name finds the file
		b.keys(more)
		b.idle()
	}
	if got := len(b.m.composer.palette.items); got != 10 {
		t.Errorf("got %d files suggested, want the 10 that begin so", got)
	}
}

func TestFileCommandsAreCommands(t *testing.T) {
	for name := range fileCommands {
		if !slices.Contains(Commands(), name) {
			t.Errorf("there is no command /%s", name)
		}
	}
}

package repack

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"peregrine/model"
	"peregrine/model/backendtest"
)

// write makes a file as a backend would: its header, and some weights.
func write(t *testing.T, path, source string) {
	t.Helper()
	data := fmt.Sprintf("%s0123\nbytes 3\nmodel %q\n%s", model.RepackedMagic, source, strings.Repeat("\x00", 100))
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(list []Kept) (all []string) {
	for _, k := range list {
		all = append(all, filepath.Base(k.Path))
	}
	return all
}

func TestEachModelHasItsFile(t *testing.T) {
	d := Dir(t.TempDir())
	c := backendtest.Open(t, "falcon-40b")
	file, err := d.File(c)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(file.Path) != string(d) || !strings.HasPrefix(filepath.Base(file.Path), filepath.Base(c.Path)) || !filepath.IsAbs(file.Model) {
		t.Errorf("got %+v, want a file in %s that is called like %s", file, d, c.Path)
	}
	if file.Stamp != c.Stamp() || !strings.Contains(file.Stamp, "bytes, modified") {
		t.Errorf("stamp %q, want that of the model's files", file.Stamp)
	}
	other, err := d.File(backendtest.Open(t, "llama-smollm2"))
	if err != nil || other.Path == file.Path {
		t.Errorf("got %v, %v, want another file for another model", other, err)
	}
}

func TestTidyRemovesWhatNobodyNeeds(t *testing.T) {
	d := Dir(t.TempDir())
	at := func(name string) string { return filepath.Join(string(d), name) }
	here := filepath.Join(t.TempDir(), "here \"quoted\".gguf")
	if err := os.WriteFile(here, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, at("here-1.weights"), here)
	write(t, at("gone-2.weights"), filepath.Join(t.TempDir(), "gone.gguf"))
	write(t, at("away-9.weights"), filepath.Join(t.TempDir(), "disk", "away.gguf"))
	write(t, at("written-5.weights.part-79"), here)
	write(t, at("new-3.weights.part-77"), here)
	write(t, at("old-4.weights.part-78"), here)
	for name, text := range map[string]string{
		"empty-5.weights": "", "other-6.weights": "something else\nmodel \"/gone\"\n", "torn-7.weights": model.RepackedMagic + "01",
		"wrong-8.weights": model.RepackedMagic + "0\nmodel /unquoted\n", "notes.txt": model.RepackedMagic + "0\nmodel \"/gone\"\n",
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(at("folder.weights"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * abandoned)
	for _, name := range []string{"old-4.weights.part-78", "written-5.weights.part-79"} {
		if err := os.Chtimes(at(name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	writer, err := os.Open(at("written-5.weights.part-79"))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := unix.Flock(int(writer.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	gone, err := d.Tidy()
	if got, want := names(gone), []string{"gone-2.weights", "old-4.weights.part-78"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("removed %q, %v, want %q", got, err, want)
	}
	list, err := d.List()
	want := []string{
		"away-9.weights", "empty-5.weights", "here-1.weights", "new-3.weights.part-77", "other-6.weights", "torn-7.weights",
		"written-5.weights.part-79", "wrong-8.weights",
	}
	if got := names(list); err != nil || !slices.Equal(got, want) {
		t.Errorf("left %q, %v, want %q", got, err, want)
	}
	for _, k := range list {
		wantModel := ""
		switch name, _, _ := strings.Cut(filepath.Base(k.Path), "-"); name {
		case "here", "new", "written":
			wantModel = here
		case "away":
			wantModel = k.Model
		}
		if k.Model != wantModel || k.Finished != strings.HasSuffix(k.Path, ".weights") {
			t.Errorf("%+v, want model %q", k, wantModel)
		}
	}
	if _, err := os.Stat(at("notes.txt")); err != nil {
		t.Error(err)
	}
}

func TestNoFolderIsAnEmptyOne(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "none"))
	if list, err := d.List(); len(list) > 0 || err != nil {
		t.Errorf("got %v, %v", list, err)
	}
	if gone, err := d.Tidy(); len(gone) > 0 || err != nil {
		t.Errorf("got %v, %v", gone, err)
	}
}

func TestRoomLeavesSomeOfTheDisk(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "new"))
	if err := d.Room(math.MaxInt64); err == nil || !strings.Contains(err.Error(), string(d)) {
		t.Errorf("got %v, want that there is no room", err)
	}
	if _, err := os.Stat(string(d)); err != nil {
		t.Errorf("the folder was not made: %v", err)
	}
}

package tensor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mapped(t *testing.T, content []byte) *Mapping {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestMapHoldsTheFile(t *testing.T) {
	want := bytes.Repeat([]byte("falcon"), 5000)
	if got := mapped(t, want).Bytes(); !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that differ, want %d", len(got), len(want))
	}
}

func TestMapEmptyFile(t *testing.T) {
	if got := mapped(t, nil).Bytes(); len(got) != 0 {
		t.Errorf("got %d bytes, want none", len(got))
	}
}

func TestMapRefusesWhatIsNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                          "is a folder",
		pipe:                         "is not a regular file",
		filepath.Join(dir, "absent"): "no such file",
	} {
		if m, err := Map(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Map(%s): got %v, %v, want an error with %q", path, m, err, want)
		}
	}
}

func TestMapCloseTwice(t *testing.T) {
	m := mapped(t, []byte("x"))
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if m.Bytes() != nil {
		t.Error("got bytes after Close, want none")
	}
}

// residentPages counts the pages of b that this process has in its page table (not the kernel's cache, which mincore shows).
func residentPages(t *testing.T, b []byte) int {
	t.Helper()
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip("no page map on this system:", err)
	}
	defer pagemap.Close()
	page := os.Getpagesize()
	entry := make([]byte, 8)
	n := 0
	for a := address(b); a < address(b)+uintptr(len(b)); a += uintptr(page) {
		if _, err := pagemap.ReadAt(entry, int64(a)/int64(page)*8); err != nil {
			t.Skip("page map cannot be read:", err)
		}
		if entry[7]&0x80 != 0 {
			n++
		}
	}
	return n
}

func TestReleaseGivesWholePagesBackAndKeepsTheBytes(t *testing.T) {
	page := os.Getpagesize()
	content := bytes.Repeat([]byte{7}, 64*page)
	m := mapped(t, content)
	b := m.Bytes()
	if !bytes.Equal(b, content) { // touches every page
		t.Fatal("mapping differs from the file")
	}
	if got := residentPages(t, b); got != 64 {
		t.Skipf("%d of 64 pages are resident after reading them", got)
	}
	Release(b[1 : 17*page+1]) // pages 1…16 are wholly inside
	if got := residentPages(t, b); got != 48 {
		t.Errorf("after Release of 16 whole pages: got %d resident, want 48", got)
	}
	m.Release(b)
	if got := residentPages(t, b); got != 0 {
		t.Errorf("after Release of all: got %d resident, want 0", got)
	}
	if !bytes.Equal(b, content) {
		t.Error("bytes changed after Release")
	}
}

func TestReleaseLeavesOtherMemoryAlone(t *testing.T) {
	m := mapped(t, bytes.Repeat([]byte{1}, 4*os.Getpagesize()))
	own := bytes.Repeat([]byte{9}, 64*os.Getpagesize())
	Release(own)
	m.Release(own)
	Release(nil)
	Release(m.Bytes()[:0])
	for i, b := range own {
		if b != 9 {
			t.Fatalf("byte %d of Go memory: got %d, want 9", i, b)
		}
	}
}

func TestStampTellsContentsApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file")
	stamp := func() string {
		m, err := Map(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		return m.Stamp()
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, then, then); err != nil {
		t.Fatal(err)
	}
	first := stamp()
	if again := stamp(); again != first || !strings.Contains(first, path) {
		t.Errorf("stamps %q and %q of one content, want the same with the path in it", first, again)
	}
	for begun := time.Now(); stamp() == first; { // the change time, which nobody can set, may be coarse
		if time.Since(begun) > 10*time.Second {
			t.Fatal("a file of the same size and modification time has the same stamp")
		}
		write("two")
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	write("three")
	if stamp() == first {
		t.Error("another size has the same stamp")
	}
}

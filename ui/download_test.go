package ui

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"peregrine/ui/library"
)

// hubShelf is a shelf beside a hub. A download goes on as the test says.
type hubShelf struct {
	*shelf
	news chan library.PullProgress // sent on: progress
	ends chan error                // sent on: the download ends
	note string
	went []string      // names that were asked for
	last time.Duration // that a download still takes once it is to end
}

func (s *hubShelf) Pullable(name string) bool {
	return regexp.MustCompile(`^[a-z][a-z0-9-]*/[a-z0-9-]+(@[a-z0-9]+)?$`).MatchString(name)
}

func (s *hubShelf) Pull(ctx context.Context, name string, observe func(library.PullProgress)) (library.Pulled, error) {
	s.mu.Lock()
	s.went = append(s.went, name)
	s.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			time.Sleep(s.last)
			return library.Pulled{}, ctx.Err()
		case now := <-s.news:
			observe(now)
		case err := <-s.ends:
			return library.Pulled{Path: "/cache/" + name, Note: s.note}, err
		}
	}
}

func besideHub(t *testing.T) (*bench, *hubShelf) {
	t.Helper()
	s := &hubShelf{shelf: newShelf(), news: make(chan library.PullProgress), ends: make(chan error)}
	b := newBench(t, Options{Generator: s, Store: openStore(t)})
	b.keys("f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "large-llama") })
	return b, s
}

// begin chooses a download, which then is at half.
func (s *hubShelf) begin(b *bench, name string) {
	b.t.Helper()
	b.keys(name, "enter")
	b.until("the download", func() bool { return b.m.others.download != nil })
	s.news <- library.PullProgress{Part: 0.5, Text: "50 %  1.00 GB of 2.00 GB  10.0 MB/s  1 min 40 s left"}
	b.until("progress", func() bool { return b.m.others.download != nil && b.m.others.download.now.Part == 0.5 })
}

func TestARepositorysNameOffersADownload(t *testing.T) {
	b, s := besideHub(t)
	b.wantScreen("OWNER/NAME to download")
	b.keys("tiiuae/falcon@v1")
	b.idle()
	b.wantScreen("❯ download tiiuae/falcon@v1", "from the hub", "Enter downloads it")
	b.keys("ctrl+u", "large-llama")
	b.wantNotScreen("download large-llama")
	b.keys("ctrl+u")
	s.begin(b, "tiiuae/falcon")
	b.wantScreen("████░░░░ 50 %", "tiiuae/falcon  50 %  1.00 GB of 2.00 GB  10.0 MB/s  1 min 40 s left", "Esc stops the download")
	if p := b.m.View().ProgressBar; p == nil || p.Value != 50 {
		t.Errorf("got progress %+v for the terminal, want 50", p)
	}
	s.ends <- nil
	b.until("loading", func() bool { return len(s.asked()) == 1 })
	if b.m.overlay != nil || b.m.others.download != nil || s.asked()[0] != "/cache/tiiuae/falcon" {
		t.Errorf("opened %v, overlay %T", s.asked(), b.m.overlay)
	}
}

// A model that is here and fits what was typed comes first; the download stands below.
func TestADownloadStandsBelowWhatFits(t *testing.T) {
	b, s := besideHub(t)
	s.list = append(s.list, library.Entry{Name: "o/name-large", Path: "/cache/o/name-large"})
	b.keys("esc", "f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "o/name-large") })
	b.keys("o/name")
	b.idle()
	b.wantScreen("❯ o/name-large", "  download o/name")
	b.keys("down")
	b.wantScreen("❯ download o/name")
	b.keys("down")
	b.wantScreen("❯ o/name-large")
	b.keys("-large")
	b.idle()
	b.wantNotScreen("download")
}

// A folder of that name goes before the repository, as in every MODEL argument; so it does when Enter comes sooner than the disk's word.
func TestAPathThatExistsIsNoRepository(t *testing.T) {
	for _, x := range []struct {
		name  string
		write func(b *bench)
	}{
		{"typed, and looked at", func(b *bench) { b.keys("o/name"); b.idle() }},
		{"typed, and chosen at once", func(b *bench) { b.keys("o/name") }},
		{"pasted, and chosen at once", func(b *bench) { b.send(tea.PasteMsg{Content: "o/name"}) }},
		{"typed, changed and typed again", func(b *bench) { b.keys("o/name", "enter", "x", "/", "ctrl+u", "o/name"); b.idle() }},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.MkdirAll("o/name", 0o700); err != nil {
				t.Fatal(err)
			}
			b, s := besideHub(t)
			x.write(b)
			b.wantNotScreen("download o/name")
			b.keys("enter")
			b.until("loading", func() bool { return len(s.asked()) == 1 })
			if s.asked()[0] != "o/name" || b.m.overlay != nil || b.m.others.download != nil {
				t.Errorf("opened %v, overlay %T, download %+v", s.asked(), b.m.overlay, b.m.others.download)
			}
		})
	}
}

// Where a model of the list fits too, the path stands below it, as a download does.
func TestAPathStandsBelowWhatFits(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("o/name", 0o700); err != nil {
		t.Fatal(err)
	}
	b, s := besideHub(t)
	s.list = append(s.list, library.Entry{Name: "o/name-large", Path: "/cache/o/name-large"})
	b.keys("esc", "f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "o/name-large") })
	b.keys("o/name")
	b.idle()
	b.wantScreen("❯ o/name-large", "  open o/name", "from the disk")
	b.keys("down")
	b.wantScreen("❯ open o/name", "Enter opens this path")
	b.keys("enter")
	b.until("loading", func() bool { return len(s.asked()) == 1 })
	if s.asked()[0] != "o/name" {
		t.Errorf("opened %v", s.asked())
	}
}

// /model does what the list does: a repository is brought and opened, unless a path of that name exists.
func TestTheModelCommandDownloadsARepository(t *testing.T) {
	b, s := besideHub(t)
	b.keys("esc")
	b.obey("/model o/name@v1")
	b.until("the download", func() bool { return b.m.others.download != nil })
	b.wantScreen("downloading o/name@v1; Esc stops it", "download 0 %")
	s.ends <- nil
	b.until("loading", func() bool { return len(s.asked()) == 1 })
	if s.asked()[0] != "/cache/o/name@v1" || !slices.Equal(s.went, []string{"o/name@v1"}) {
		t.Errorf("opened %v after downloading %v", s.asked(), s.went)
	}
}

func TestTheModelCommandOpensAPathThatExists(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("o/name", 0o700); err != nil {
		t.Fatal(err)
	}
	b, s := besideHub(t)
	b.keys("esc")
	b.obey("/model o/name")
	b.until("loading", func() bool { return len(s.asked()) == 1 })
	if s.asked()[0] != "o/name" || b.m.others.download != nil {
		t.Errorf("opened %v, downloaded %v", s.asked(), s.went)
	}
}

func TestEscStopsADownload(t *testing.T) {
	for _, inChat := range []bool{false, true} {
		b, s := besideHub(t)
		s.begin(b, "o/name")
		if inChat {
			b.keys("f4")
			b.wantScreen("download 50 %", "Esc stops the download")
		}
		b.keys("esc")
		b.until("the end", func() bool { return b.m.others.download == nil })
		b.wantScreen("stopped downloading o/name; what came stays")
		if _, open := b.m.overlay.(*modelPicker); open == inChat {
			t.Errorf("in the chat %v: the list is open %v", inChat, open)
		}
		if len(s.asked()) != 0 || !b.m.info.Ready {
			t.Errorf("opened %v", s.asked())
		}
		if !inChat { // again
			b.keys("enter")
			b.until("another try", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.went) == 2 })
		}
	}
}

func TestWhyADownloadFailedIsShownWhole(t *testing.T) {
	const why = "hub: o/name: this repository is gated and the token of HF_TOKEN has no access to it; ask for access on its page at the hub, " +
		"then try again with a token of the same account, which can be made in that account's settings, and mind that access may be granted only after days"
	b, s := besideHub(t)
	s.begin(b, "o/name")
	s.ends <- errors.New(why)
	b.until("the failure", func() bool { return b.m.others.download == nil })
	if text := strings.Join(strings.Fields(b.screen()), " "); !strings.Contains(text, why) {
		t.Errorf("the list does not say it whole:\n%s", b.screen())
	}
	b.keys("esc")
	if text := strings.Join(strings.Fields(b.screen()), " "); !strings.Contains(text, why) {
		t.Errorf("the chat does not say it whole:\n%s", b.screen())
	}
	if len(s.asked()) != 0 || !b.m.info.Ready {
		t.Errorf("opened %v", s.asked())
	}
}

func TestTheChatGoesOnDuringADownload(t *testing.T) {
	b, s := besideHub(t)
	s.begin(b, "o/name")
	b.send(tea.WindowSizeMsg{Width: 160, Height: 24})
	b.keys("f4")
	b.wantScreen("download o/name 50 %  1.00 GB of 2.00 GB  10.0 MB/s  1 min 40 s left")
	b.say("hi")
	b.wantScreen("hello there")
	b.keys("f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "large-llama") })
	b.keys("other/one", "enter")
	b.idle()
	b.wantScreen("still downloading o/name")
	if !slices.Equal(s.went, []string{"o/name"}) {
		t.Errorf("asked for %v", s.went)
	}
	b.keys("ctrl+u", "large", "enter") // another model: then the download does not take its place
	b.until("the other", func() bool { return len(s.asked()) == 1 })
	s.loaded(nil)
	s.note = "the hub cannot be asked; this is what the cache holds"
	s.ends <- nil
	b.until("the end", func() bool { return b.m.others.download == nil })
	b.wantScreen("o/name is here; F4 opens it", s.note)
	if !slices.Equal(s.asked(), []string{"/models/large-llama"}) {
		t.Errorf("opened %v", s.asked())
	}
}

func TestADownloadDoesNotEndAReply(t *testing.T) {
	b, s := besideHub(t)
	words := s.drip()
	s.begin(b, "o/name")
	b.keys("f4", "hi", "enter")
	b.until("the start of the reply", func() bool {
		select {
		case words <- "slow ":
			return true
		default:
			return false
		}
	})
	b.until("the reply", func() bool { return strings.Contains(b.screen(), "slow") })
	s.ends <- nil
	b.until("the end", func() bool { return b.m.others.download == nil })
	b.wantScreen("o/name is here; F4 opens it")
	close(words)
	b.ended()
	if len(s.asked()) != 0 {
		t.Errorf("opened %v", s.asked())
	}
}

// Where the user looks at something else by then, a download neither takes it away nor changes the model behind it.
func TestADownloadEndsBehindWhatIsOpen(t *testing.T) {
	for _, x := range []struct {
		name  string
		keys  []string // from the list, with the download's line selected
		shown string   // what the user looks at
		says  string
	}{
		{"the list, about another model", []string{"ctrl+u", "down"}, "❯ large-llama", "o/name is here; it is in this list"},
		{"the help", []string{"f4", "f1"}, "Keys and commands", "o/name is here; F4 opens it"},
		{"the conversations", []string{"f4", "f3"}, "Conversations", "o/name is here; F4 opens it"},
	} {
		t.Run(x.name, func(t *testing.T) {
			b, s := besideHub(t)
			s.begin(b, "o/name")
			b.keys(x.keys...)
			b.wantScreen(x.shown)
			s.list = append(s.list, library.Entry{Name: "o/name", Path: "/cache/o/name"})
			s.ends <- nil
			b.until("the end", func() bool { return b.m.others.download == nil })
			b.idle()
			b.wantScreen(x.shown, x.says)
			if len(s.asked()) != 0 || !b.m.info.Ready {
				t.Errorf("opened %v", s.asked())
			}
			b.keys("down", "esc") // a key, and back to the chat
			b.wantScreen("o/name is here; /model o/name opens it")
			b.obey("/model o/name")
			b.until("loading", func() bool { return len(s.asked()) == 1 })
			if s.asked()[0] != "/cache/o/name" {
				t.Errorf("opened %v", s.asked())
			}
		})
	}
}

// The program's end ends the download and waits until what came is noted.
func TestTheEndOfTheProgramEndsADownload(t *testing.T) {
	b, s := besideHub(t)
	s.last = 100 * time.Millisecond
	s.begin(b, "o/name")
	d := b.m.others.download
	if err := b.m.close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.ended:
	default:
		t.Error("the program ended before the download")
	}
}

func TestEscLeavesAnEditBeforeItStopsADownload(t *testing.T) {
	b, s := besideHub(t)
	s.begin(b, "o/name")
	b.m.overlay = nil
	b.m.chat.revising.id = "m1"
	b.keys("esc")
	if b.m.chat.revising.id != "" || b.m.others.download.stopped {
		t.Fatalf("editing %q, the download stopped: %v; want the edit left alone", b.m.chat.revising.id, b.m.others.download.stopped)
	}
	b.keys("esc")
	if !b.m.others.download.stopped {
		t.Error("the download was not stopped")
	}
	if b.m.stopDownload() {
		t.Error("a download that is ending was stopped once more")
	}
	b.until("the end", func() bool { return b.m.others.download == nil })
}

func TestNothingIsDownloadedWhereThereIsNoHub(t *testing.T) {
	b, _ := onShelf(t)
	b.keys("f4")
	b.until("the list", func() bool { return strings.Contains(b.screen(), "large-llama") })
	b.keys("o/name")
	b.idle()
	b.wantNotScreen("download")
}

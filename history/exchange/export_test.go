package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"peregrine/history"
	"peregrine/model/generate"
)

// What a format holds comes back: import, export, import give the same conversation, and the second export the same bytes.
func TestRoundTripsThroughEachFormat(t *testing.T) {
	zone(t)
	conversations := map[string]*history.Conversation{"sample": sample(t)}
	for _, name := range []string{"openai.json", "openai.jsonl", "sharegpt.json", "textgen.json", "ollama.json", "chatgpt.json", "llama.app.jsonl"} {
		all, _ := read(t, name, file(t, name))
		for _, c := range all {
			conversations[name+" "+c.Header.ID] = c
		}
	}
	for name, c := range conversations {
		for _, f := range formats {
			if f.Format == Markdown {
				continue
			}
			for _, all := range []bool{false, true} {
				if all && f.branches == oneBranch {
					continue
				}
				first, _ := export(t, c, f.Format, all)
				got, s := read(t, "20260101-00-00-00.json", first)
				if want := expected(c, f, all); !slices.Equal(outlines(got), want) {
					t.Errorf("%s as %s, all %v: want -, got +\n%s", name, f.Format, all, cmp.Diff(want, outlines(got)))
				}
				if f.Format != OpenAILines && !slices.Equal(s.Formats, []Format{f.Format}) {
					t.Errorf("%s as %s is taken for %v", name, f.Format, s.Formats)
				}
				if len(got) != 1 {
					continue
				}
				again, _ := export(t, got[0], f.Format, all)
				if f.branches == asTree {
					again, first = []byte(outline(got[0])), []byte(outline(parse(t, again)))
				} else if all && f.branches == listed {
					continue // one branch of it is an array again
				}
				if !bytes.Equal(again, first) {
					t.Errorf("%s as %s, all %v, written again: want -, got +\n%s", name, f.Format, all, cmp.Diff(string(first), string(again)))
				}
			}
		}
	}
}

func parse(t *testing.T, data []byte) *history.Conversation {
	t.Helper()
	all, _ := read(t, "", data)
	return all[0]
}

func outlines(all []*history.Conversation) []string {
	var list []string
	for _, c := range all {
		list = append(list, outline(c))
	}
	return list
}

// expected returns what of a conversation a format can bring back: an outline for each conversation that comes.
func expected(c *history.Conversation, f format, all bool) []string {
	s, err := newScript(c, all, f.branches)
	if err != nil {
		return []string{err.Error()}
	}
	if f.branches == asTree {
		return []string{strip(s.messages, s.leaf, c.Header, f)}
	}
	if f.branches == asVersions {
		var kept []history.Message
		for _, m := range s.branches[0] {
			for _, v := range s.versions(m) {
				if v.ID != m.ID {
					v.Model = ""
				}
				kept = append(kept, v)
			}
		}
		return []string{strip(kept, s.branches[0][len(s.branches[0])-1].ID, c.Header, f)}
	}
	var list []string
	for _, branch := range s.branches {
		list = append(list, strip(branch, branch[len(branch)-1].ID, c.Header, f))
	}
	return list
}

// strip makes a conversation of what the format holds of the messages and shows it.
func strip(messages []history.Message, leaf string, h history.Header, f format) string {
	if f.holds&title == 0 {
		h.Name = ""
	}
	if f.holds&system == 0 {
		h.System = ""
	}
	model := ""
	for _, m := range messages {
		if m.Model != "" {
			model = m.Model
		}
	}
	kept := slices.Clone(messages)
	for i := range kept {
		m := &kept[i]
		if f.holds&times == 0 {
			m.CreatedAt = time.Time{}
		}
		if f.Format == Textgen && !m.CreatedAt.IsZero() {
			m.CreatedAt = m.CreatedAt.Truncate(time.Minute)
		}
		switch {
		case f.holds&models == 0:
			m.Model = ""
		case f.Format == Ollama && m.Role == generate.Assistant:
			m.Model = model
		}
	}
	c, err := history.New(h, kept, leaf)
	if err != nil {
		return err.Error()
	}
	return outline(c)
}

func TestExportSaysWhatItLeavesOut(t *testing.T) {
	c := sample(t)
	const settings = "sampling values, token ids and timings"
	cases := []struct {
		format Format
		all    bool
		want   []string
	}{
		{OpenAI, false, []string{"format openai has no place for: the title; times; the models' names; " + settings, "messages of other branches: left out, since one branch was asked for (2 of 6)"}},
		{OpenAI, true, []string{"format openai has no place for: the title; times; the models' names; " + settings, "branches: 3, each written in full, since format openai cannot say what they share"}},
		{Textgen, true, []string{"format textgen has no place for: the title; the system prompt; " + settings, "the model's name of another version: left out, since format textgen has it for one alone (2 times)"}},
		{Ollama, false, []string{"format ollama has no place for: the title; times; " + settings, "messages of other branches: left out, since one branch was asked for (2 of 6)"}},
		{ChatGPT, true, []string{"format chatgpt has no place for: " + settings}},
		{STS, true, nil},
		{STS, false, []string{"messages of other branches: left out, since one branch was asked for (2 of 6)"}},
		{Markdown, true, []string{"format markdown has no place for: " + settings, "branches: 3, each written in full, since format markdown cannot say what they share"}},
	}
	for _, x := range cases {
		if _, said := export(t, c, x.format, x.all); !slices.Equal(said, x.want) {
			t.Errorf("%s, all %v: want -, got +\n%s", x.format, x.all, cmp.Diff(x.want, said))
		}
	}
}

func TestTextgenNotesWhatLiesBelowOtherVersions(t *testing.T) {
	whole := sample(t)
	c, err := history.New(whole.Header, whole.Messages, "a")
	if err != nil {
		t.Fatal(err)
	}
	_, said := export(t, c, Textgen, true)
	if !slices.Contains(said, "messages below other versions: left out, since format textgen keeps versions of single turns (3 of 6)") {
		t.Errorf("got %q", said)
	}
}

func TestUnfinishedReplyIsNotedOrKept(t *testing.T) {
	c, err := history.New(history.Header{}, []history.Message{{ID: "q", Role: generate.User}, {ID: "a", ParentID: "q", Role: generate.Assistant, Content: "half", Partial: true}}, "a")
	if err != nil {
		t.Fatal(err)
	}
	if _, said := export(t, c, OpenAI, false); !slices.Equal(said, []string{"format openai has no place for: that a reply is unfinished"}) {
		t.Errorf("got %q", said)
	}
	data, _ := export(t, c, STS, false)
	if got := parse(t, data); !got.Messages[1].Partial {
		t.Errorf("got a whole reply of %s", data)
	}
}

func TestMarkdownIsForReaders(t *testing.T) {
	const q = "**You** · 2026-03-01 08:01:00 UTC\n\nRoll <a> \"die\" & tell \U0001f469\u200d\U0001f680\n\n"
	got, _ := export(t, sample(t), Markdown, true)
	for _, want := range []string{
		"# W\u00fcrfel\n\n## Branch 1 of 3\n\n**System**\n\nBe brief.\n\n" + q + "**Assistant** · m2 · 2026-03-01 08:03:00 UTC\n\nf\u00fcnf\n\n```\n\t5\n```\n\n",
		"## Branch 2 of 3\n\n**System**\n\nBe brief.\n\n" + q + "**Assistant** · m1 · 2026-03-01 08:02:00 UTC\n\nsix\n\n## Branch 3 of 3",
	} {
		if !strings.Contains(string(got), want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	one, _ := export(t, sample(t), Markdown, false)
	if strings.Contains(string(one), "Branch") || !strings.HasSuffix(string(one), "nein\n\n") {
		t.Errorf("one branch:\n%s", one)
	}
}

// Where the reader stands inside a branch or before all of them, all branches are still written once each.
func TestAllBranchesWhereverTheReaderStands(t *testing.T) {
	whole := sample(t)
	for leaf, want := range map[string][]int{"d": {4, 2, 4}, "a": {2, 4, 4}, "b": {4, 2, 4}, "q": {4, 2, 4}, "": {4, 2, 4}} {
		c, err := history.New(whole.Header, whole.Messages, leaf)
		if err != nil {
			t.Fatal(err)
		}
		s, err := newScript(c, true, listed)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, b := range s.branches {
			got = append(got, len(b))
		}
		if !slices.Equal(got, want) {
			t.Errorf("reader at %q: branches of %v messages, want %v", leaf, got, want)
		}
	}
}

// A tree whose branches in full would be far larger than itself is refused where they are listed, and written as a tree.
func TestCombIsNoBomb(t *testing.T) {
	var messages []history.Message
	parent := ""
	for i := range 2000 {
		spine := fmt.Sprintf("s%d", i)
		messages = append(messages,
			history.Message{ID: spine, ParentID: parent, Role: generate.User},
			history.Message{ID: "t" + spine, ParentID: spine, Role: generate.Assistant})
		parent = spine
	}
	c, err := history.New(history.Header{}, messages, parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		if f.branches == oneBranch {
			continue
		}
		_, err := Export(io.Discard, c, f.Format, true)
		if refused := err != nil && strings.Contains(err.Error(), "2000 branches, each in full, would be 2003000 messages"); refused != (f.branches == listed) {
			t.Errorf("%s: got %v", f.Format, err)
		}
	}
}

func TestExportOfNothingIsReadable(t *testing.T) {
	c, err := history.New(history.Header{}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		for _, all := range []bool{false, true} {
			if all && f.branches == oneBranch {
				continue
			}
			data, said := export(t, c, f.Format, all)
			if bytes.Contains(data, []byte("null")) && f.Format != ChatGPT || len(said) > 0 {
				t.Errorf("%s: got %s, notes %q", f.Format, data, said)
			}
		}
	}
}

func TestExportRefuses(t *testing.T) {
	if _, err := Export(io.Discard, sample(t), "docx", false); err == nil || !strings.Contains(err.Error(), "want one of openai, ") {
		t.Errorf("unknown format: got %v", err)
	}
	if _, err := Export(io.Discard, sample(t), Ollama, true); err == nil || !strings.Contains(err.Error(), "holds one branch alone") {
		t.Errorf("all branches of ollama: got %v", err)
	}
	for _, f := range Formats() {
		if _, err := Export(fullDisk{}, sample(t), f, false); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s to a full disk: got %v", f, err)
		}
		if f.About() == "" {
			t.Errorf("%s says nothing of itself", f)
		}
	}
}

var errNoSpace = errors.New("no space left on device")

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errNoSpace }

package plain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/preset"
	"peregrine/ui/trade"
)

// drawer keeps presets in memory.
type drawer struct{ list []preset.Preset }

func (d *drawer) List() ([]preset.Preset, error) { return slices.Clone(d.list), nil }

func (d *drawer) Save(p preset.Preset) (string, error) {
	if p.Name == "bad" {
		return "", errors.New("no name for a preset")
	}
	d.list = append(d.list, p)
	return "kept " + p.Name, nil
}

// porter notes what it is asked for.
type porter struct{ asked []string }

func (*porter) Formats() []string { return []string{"openai", "markdown"} }

func (x *porter) Import(_ context.Context, path string) (trade.Imported, error) {
	x.asked = append(x.asked, "import "+path)
	if path == "none" {
		return trade.Imported{}, errors.New("none: no such file")
	}
	return trade.Imported{Saved: 2, Known: 1, Format: "chatgpt", Notes: []string{"pictures are left out"}}, nil
}

func (x *porter) Export(_ *history.Conversation, path, format string, all bool) (trade.Exported, error) {
	asked := "export " + path + " as " + format
	if all {
		asked += ", all"
	}
	x.asked = append(x.asked, asked)
	return trade.Exported{Format: "markdown", Notes: []string{"times are left out"}}, nil
}

// wantNotes checks what was said about commands.
func wantNotes(t *testing.T, errs string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(errs, p) {
			t.Errorf("no %q in:\n%s", p, errs)
		}
	}
}

func TestPresetsLineByLine(t *testing.T) {
	g := echoes()
	d := &drawer{}
	_, errs, err := chatting(t, Options{Generator: g, Presets: d}, "/preset", "/preset precise", "/system be brief", "one",
		"/preset save mine", "/preset creative", "two", "/preset mine", "three", "/preset nothing", "/preset save bad", "/preset save")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "precise: temp 0.2, top-k 20, top-p 0.9", "preset precise: ", "kept mine", "preset mine: ", "system: be brief",
		`there is no preset "nothing"; there are precise, balanced, creative, mine`, "no name for a preset", "under which name?")
	var got []float64
	for _, r := range g.requests {
		got = append(got, r.Sampling.Temperature)
	}
	if want := []float64{0.2, 1.1, 0.2}; !slices.Equal(got, want) {
		t.Errorf("asked with the temperatures %v, want %v", got, want)
	}
}

func TestFilesOfOtherProgramsLineByLine(t *testing.T) {
	x := &porter{}
	_, errs, err := chatting(t, Options{Generator: echoes(), Store: store(t), Exchange: x, Home: "/home/me"}, "/export early.md",
		"one", "/import ~/chats.json", "/import none", "/import", "/export a file.md", "/export x.md markdown all", "/export")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"import /home/me/chats.json", "import none", "export a file.md as ", "export x.md as markdown, all"}
	if !slices.Equal(x.asked, want) {
		t.Errorf("asked %q, want %q", x.asked, want)
	}
	wantNotes(t, errs, "nothing to export yet", "chats.json (chatgpt): 2 conversations saved, 1 there already", "pictures are left out",
		"none: no such file", "import which file?", "written to a file.md (markdown)", "times are left out", "export to which file?")
	_, errs, err = chatting(t, Options{Generator: echoes()}, "/import x", "/export x")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "nothing can be imported", "nothing can be exported")
}

// knowing is a generator that says why.
type knowing struct {
	*scripted
	asked []generate.Inquiry
}

func (k *knowing) Explain(_ context.Context, q generate.Inquiry) (generate.Explanation, error) {
	k.asked = append(k.asked, q)
	if q.At > 1 {
		return generate.Explanation{}, errors.New("the reply has 2 tokens")
	}
	return generate.Explanation{IDs: []int32{7, 8}, Pieces: []string{"re:", " one"}, At: q.At, Choices: []generate.Choice{
		{Candidate: generate.Candidate{ID: 9, Text: " two", Prob: 0.5}, Piece: " two", Rank: 1, Cut: generate.FilterTopK},
		{Candidate: generate.Candidate{ID: 8, Text: " one", Prob: 0.25}, Piece: " one", Rank: 2, Chance: 1},
		{Candidate: generate.Candidate{ID: 2, Text: "<|end|>", Prob: 0.125}, Rank: 3},
	}}, nil
}

func TestWhyLineByLine(t *testing.T) {
	k := &knowing{scripted: echoes()}
	_, errs, err := chatting(t, Options{Generator: k, Store: store(t)}, "/why", "one", "two", "/why", "/why 2", "/why 3", "/why 1 2", "/why x", "/why 1 9")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "there are 0 of them", `1:"re:" 2:" one"`, "/why TOKEN", `1. " two" 50.0 %, cut off by top-k`,
		`2. " one" 25.0 %, chance 100.0 %, said`, `3. "<|end|>" 12.5 %, chance 0.0 %`, "the reply has 2 tokens", `"x": want the number`,
		"there are 2 of them")
	if len(k.asked) != 4 {
		t.Fatalf("asked %d times, want 4", len(k.asked))
	}
	last := k.asked[3]
	if last.Text != "re: one" || len(last.Request.Messages) != 1 || last.At != 0 || last.Candidates != whyCandidates {
		t.Errorf("asked %+v, want the first token of the reply before the last", last)
	}
	_, errs, err = chatting(t, Options{Generator: echoes()}, "one", "/why")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "does not say why")
}

func TestSearchLineByLine(t *testing.T) {
	_, errs, err := chatting(t, Options{Generator: echoes()}, "the Falcon sees a falcón from far above the fields and the hills of the moor",
		"nothing", "/search FALCON", "/search zebra", "/search")
	if err != nil {
		t.Fatal(err)
	}
	wantNotes(t, errs, "message 4, You: the Falcon sees a falcón from far", "4 found", "0 found", "search for what?", "message 3, Assistant: re: the Falcon")
}

package engine

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"peregrine/model/generate"
)

// wantStopped is what a stopFilter must let through, said in the plainest way: the text up to the first byte at which a stop
// string ends, without that string.
func wantStopped(text string, stops []string, shown int) (string, bool) {
	for end := shown + 1; end <= len(text); end++ {
		start, found := end, false
		for _, s := range stops {
			if s != "" && strings.HasSuffix(text[:end], s) {
				start, found = min(start, end-len(s)), true
			}
		}
		if found {
			return text[min(shown, start):start], true
		}
	}
	return text[shown:], false
}

// filtered pushes pieces through a filter that was primed with before.
func filtered(before string, pieces, stops []string) (string, bool) {
	f := newStopFilter(stops)
	f.prime(before)
	var out strings.Builder
	for _, p := range pieces {
		text, stopped := f.push(p)
		out.WriteString(text)
		if stopped {
			return out.String(), true
		}
	}
	out.WriteString(f.rest())
	return out.String(), false
}

// cutText cuts text into pieces of 1 to 4 characters.
func cutText(r *rand.Rand, text string) []string {
	var pieces []string
	runes := []rune(text)
	for len(runes) > 0 {
		n := min(1+r.IntN(4), len(runes))
		pieces = append(pieces, string(runes[:n]))
		runes = runes[n:]
	}
	return pieces
}

func TestStopFilter(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  string
		pieces  []string
		stops   []string
		want    string
		stopped bool
	}{
		{"no stop strings", "", []string{"ab", "cd"}, nil, "abcd", false},
		{"inside a piece", "", []string{"ab User: cd"}, []string{"User:"}, "ab ", true},
		{"over three pieces", "", []string{"ab U", "se", "r: cd"}, []string{"User:"}, "ab ", true},
		{"at the very beginning", "", []string{"User:"}, []string{"User:"}, "", true},
		{"begun and not completed", "", []string{"ab Use", "ful"}, []string{"User:"}, "ab Useful", false},
		{"begun at the end", "", []string{"ab Use"}, []string{"User:"}, "ab Use", false},
		{"overlapping itself", "", []string{"a\n", "\n", "\nU:"}, []string{"\n\nU:"}, "a\n", true},
		{"first to end counts", "", []string{"xabcdy"}, []string{"abcd", "bc"}, "xa", true},
		{"together, the longest counts", "", []string{"xabc"}, []string{"bc", "abc"}, "x", true},
		{"empty stop string is none", "", []string{"ab"}, []string{""}, "ab", false},
		{"invalid stop string is none", "", []string{"é"}, []string{"\xa9"}, "é", false},
		{"two characters with the same first byte", "", []string{"è", "é"}, []string{"éa"}, "èé", false},
		{"begun in the text before", "ab Us", []string{"er", ": cd"}, []string{"User:"}, "", true},
		{"begun in the text before, not completed", "ab Us", []string{"eful"}, []string{"User:"}, "eful", false},
		{"complete in the text before", "ab User:", []string{" cd"}, []string{"User:"}, " cd", false},
		{"complete before inside a longer one", "xab", []string{"c"}, []string{"ab", "xaby"}, "c", false},
		{"text before grows into nothing", "aUs", []string{"Us", "er:"}, []string{"User:"}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, stopped := filtered(c.before, c.pieces, c.stops)
			if got != c.want || stopped != c.stopped {
				t.Errorf("got %q, %v, want %q, %v", got, stopped, c.want, c.stopped)
			}
		})
	}
}

func TestStopFilterHoldsBackOnlyWhatMayBecomeAStop(t *testing.T) {
	f := newStopFilter([]string{"\n### Instruction"})
	for _, c := range []struct{ push, want string }{
		{"one\ntwo", "one\ntwo"}, {"\n", ""}, {"#", ""}, {"x", "\n#x"}, {"a\n##", "a"}, {"# Instr", ""}, {"ument", "\n### Instrument"},
	} {
		if got, _ := f.push(c.push); got != c.want {
			t.Errorf("after %q: got %q, want %q", c.push, got, c.want)
		}
	}
}

func TestStopFilterDoesNotDependOnTheCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteRune([]rune("ab\né")[r.IntN(4)])
		}
		return b.String()
	}
	for range 20_000 {
		before, text := word(r.IntN(5)), word(r.IntN(16))
		var stops []string
		for range r.IntN(4) {
			stops = append(stops, word(1+r.IntN(4)))
		}
		want, wantStop := wantStopped(before+text, stops, len(before))
		got, stopped := filtered(before, cutText(r, text), stops)
		if got != want || stopped != wantStop {
			t.Fatalf("before %q, text %q, stops %q: got %q, %v, want %q, %v", before, text, stops, got, stopped, want, wantStop)
		}
	}
}

func FuzzStopFilter(f *testing.F) {
	f.Add("", "ab User: cd", "User:", "\n\n", uint64(1))
	f.Add("ab Us", "er: cd", "User:", "s", uint64(2))
	f.Add("é", "èéè", "éè", "è", uint64(3))
	f.Fuzz(func(t *testing.T, before, text, stop, other string, seed uint64) {
		for _, s := range []*string{&before, &text, &stop, &other} {
			if !utf8.ValidString(*s) {
				t.Skip("the detokenizer gives valid UTF-8 and invalid stop strings are left out")
			}
		}
		stops := []string{stop, other}
		want, wantStop := wantStopped(before+text, stops, len(before))
		got, stopped := filtered(before, cutText(rand.New(rand.NewPCG(seed, 0)), text), stops)
		if got != want || stopped != wantStop {
			t.Errorf("got %q, %v, want %q, %v", got, stopped, want, wantStop)
		}
		if !utf8.ValidString(got) {
			t.Errorf("got %q, want whole characters", got)
		}
	})
}

func TestStopStringEndsTheReply(t *testing.T) {
	for _, c := range []struct {
		name  string
		model []string
		r     []string
		says  string
		want  string
	}{
		{"of the template", nil, nil, " hello\n### Instruction: more", " hello"},
		{"of the model", []string{"STOP"}, nil, " hello STOP more", " hello "},
		{"of the request", nil, []string{"lo m"}, " hello more", " hel"},
		{"whichever ends first", []string{"more"}, []string{"llo", "hello m"}, " hello more", " he"},
		{"a control token of the vocabulary", []string{"<|start|>"}, nil, " hello", " hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := says(c.says)
			f.model.Stops = c.model
			if slices.Contains(c.model, "<|start|>") {
				f.decoder.script = append(f.decoder.script, startID, 'x')
			}
			f.start(t, Options{})
			r := user("hi")
			r.Stop = c.r
			if got := f.answer(t, r); got.Text != c.want || got.Finish != generate.FinishStop {
				t.Errorf("got %q, %v, want %q, stop", got.Text, got.Finish, c.want)
			}
		})
	}
}

func TestStopStringOfTheTemplateDoesNotEndARawCompletion(t *testing.T) {
	f := says(" a\n### Instruction: b").start(t, Options{})
	got := f.answer(t, generate.Request{Raw: true, Messages: []generate.Message{{Role: generate.User, Content: "Response:"}}})
	if want := " a\n### Instruction: b"; got.Text != want {
		t.Errorf("got %q, want %q", got.Text, want)
	}
}

func TestStopStringThatNeverCompletesIsShown(t *testing.T) {
	f := says(" hello\n### Instruct").start(t, Options{})
	if got := f.answer(t, user("hi")); got.Text != " hello\n### Instruct" {
		t.Errorf("got %q, want the held back text at the end", got.Text)
	}
}

func TestStopStringNeverLeaksHoweverTheTextIsCut(t *testing.T) {
	const text, stop, want = " naïve 日本語 text\nUser: and", "\nUser:", " naïve 日本語 text"
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		var cut []string // into tokens of 1 to 7 bytes: inside characters too
		for rest := text; rest != ""; {
			n := min(1+r.IntN(7), len(rest))
			cut, rest = append(cut, rest[:n]), rest[n:]
		}
		f := saysPieces(cut...)
		e := New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, Options{})
		f.Engine = e
		q := user("hi")
		q.Stop = []string{stop}
		if got := f.answer(t, q); got.Text != want || got.Finish != generate.FinishStop {
			t.Fatalf("cut as %q: got %q, %v, want %q, stop", cut, got.Text, got.Finish, want)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStopStringHidesTheRestOfItsToken(t *testing.T) {
	f := saysPieces(" a", "b STOP é \xc3", "more").start(t, Options{})
	r := user("hi")
	r.Stop = []string{"STOP"}
	if got := f.answer(t, r); got.Text != " ab " {
		t.Errorf("got %q, want nothing behind the stop string, half a character neither", got.Text)
	}
}

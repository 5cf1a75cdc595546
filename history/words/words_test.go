package words

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// all returns the words of a text.
func all(text string) []string {
	var list []string
	Each(text, func(start, end int) bool {
		list = append(list, text[start:end])
		return true
	})
	return list
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                nil,
		"The falcon's dive, 320 km/h!":    {"The", "falcon", "s", "dive", "320", "km", "h"},
		"größer\u0301 -- naïve":           {"größer\u0301", "naïve"},
		"漢字かな":                            {"漢字", "字か", "かな", "な"},
		"go語で 字":                          {"go", "語で", "で", "字"},
		"語go":                             {"語", "go"},
		"한국어 말":                           {"한국어", "말"},
		strings.Repeat("a", maxWord+2):    {strings.Repeat("a", maxWord), "aa"},
		"\u0301mark first, \xff not text": {"mark", "first", "not", "text"},
	} {
		if got := all(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestEachStopsWhenItIsTold(t *testing.T) {
	for _, text := range []string{"one two", "漢字かな", strings.Repeat("a", 100), "a漢 b"} {
		n := 0
		Each(text, func(int, int) bool { n++; return false })
		if n != 1 {
			t.Errorf("%q: got %d words after the first was refused", text, n)
		}
	}
}

func TestFoldDropsCaseAndAccents(t *testing.T) {
	for text, want := range map[string]string{
		"Falcon": "falcon", "ÉCOLE": "ecole", "e\u0301cole": "ecole", "ﬁsh": "fish", "ＡＢＣ": "abc", "한국": "한국", "İ": "i",
	} {
		if got := Fold(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		term, word string
		want       Quality
	}{
		{"falcon", "falcon", Whole},
		{"falc", "falcon", Prefix},
		{"alco", "falcon", Inside},
		{"a", "falcon", None},
		{"a", "alcon", Prefix},
		{"falkon", "falcon", Typo},
		{"flacon", "falcon", Typo},
		{"falon", "falcon", Typo},
		{"fallcon", "falcon", Typo},
		{"perigr", "peregrine", Typo},
		{"falcons", "falcon", Typo},
		{"xalcon", "falcon", None},
		{"fxlkon", "falcon", None},
		{"fla", "falcon", None},
		{"größ", "größer", Prefix},
		{"grüß", "größer", Typo},
		{"gßöer", "größer", None},
		{"gröser", "größer", Typo},
		{"falcon", "fal", None},
		{"number7", "number8", None},
	} {
		if got := Fit(c.term, c.word); got != c.want {
			t.Errorf("%q in %q: got %d, want %d", c.term, c.word, got, c.want)
		}
	}
}

func TestSpansShowWhatFits(t *testing.T) {
	text := "Größere FALCONS dive; a flacon, 漢字かな"
	for query, want := range map[string][]string{
		"grosse": nil, "größ": {"Größ"}, "falcon": {"FALCON", "flacon"}, "div alc": {"ALC", "div"}, "字か": {"字か"}, "": nil, "zebra": nil,
	} {
		var got []string
		for _, s := range Parse(query).Spans(text) {
			got = append(got, text[s.Start:s.End])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
}

func TestFindIgnoresCaseAndAccents(t *testing.T) {
	for _, c := range []struct {
		text, what string
		want       []string
	}{
		{"Falcon falcon FALCON", "falcon", []string{"Falcon", "falcon", "FALCON"}},
		{"aaaa", "aa", []string{"aa", "aa"}},
		{"École, e\u0301cole", "ecole", []string{"École", "e\u0301cole"}},
		{"ﬁsh", "i", []string{"ﬁ"}},
		{"a b", " ", []string{" "}},
		{"a", "", nil},
		{"", "a", nil},
		{"漢字かな漢字", "字", []string{"字", "字"}},
	} {
		var got []string
		for _, s := range Find(c.text, c.what) {
			got = append(got, c.text[s.Start:s.End])
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: got %q, want %q", c.what, c.text, got, c.want)
		}
	}
}

// What an index has of a text and what is shown of it must agree: a word of the text, searched for, is found in it.
func FuzzSpans(f *testing.F) {
	f.Add("The falcon's dive, 320 km/h!", "falcn")
	f.Add("größer\u0301 -- naïve 漢字かな ﬁsh \xff İ", "i 字")
	f.Fuzz(func(t *testing.T, text, query string) {
		for _, spans := range [][]Span{Parse(query).Spans(text), Find(text, query)} {
			last := 0
			for _, s := range spans {
				if s.Start < last || s.End <= s.Start || s.End > len(text) {
					t.Fatalf("%q in %q: got %v", query, text, spans)
				}
				last = s.End
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		for _, w := range all(text) {
			q := Parse(w)
			if len(q) == 1 && len(q[0]) == len(Fold(w)) && len(q.Spans(w)) == 0 {
				t.Fatalf("%q is not found in itself", w)
			}
		}
	})
}

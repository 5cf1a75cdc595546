package ui

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"

	"peregrine/history"
	"peregrine/model/generate"
	"peregrine/ui/cells"
)

// parts is in how many places a text is looked at while it streams, at least; short ones are at every seventh character.
const parts = 8

// everyScreen says one text in every place where text comes from outside, and returns the screens that show it.
func everyScreen(text string, method cells.Method, s size) map[string]tea.View {
	gen := newScript("")
	gen.info = generate.Info{
		Ready: true, Progress: 1, Model: text, Path: "/models/" + text, Architecture: text, Quantization: text, Backend: text,
		BackendWhy: text, Templates: []string{text, "model"}, Template: text, Context: 2048, Cannot: []string{text},
	}
	reply := history.Message{ID: "r", ParentID: "q", Role: generate.Assistant, Content: text, Model: text, Finish: generate.FinishStop}
	entry := history.Entry{Path: "/x/" + text, ID: text, Name: text, Title: text, Modified: testNow, Messages: 3, Preview: text, Model: text}
	fresh := func() *Model {
		m := New(Options{Generator: gen, System: text, Template: text, Version: text, Notices: []string{text}, Keys: map[string][]string{
			text: {text}, "help": {text},
		}, Now: func() time.Time { return testNow }})
		m.Update(tea.WindowSizeMsg{Width: s.width, Height: s.height})
		if method.Method == ansi.GraphemeWidth {
			m.Update(tea.ModeReportMsg{Mode: ansi.ModeUnicodeCore, Value: ansi.ModeReset})
		}
		return m
	}
	shown := map[string]tea.View{}
	show := func(name string, m *Model) {
		m.layout()
		shown[name] = m.View()
	}

	m := fresh()
	m.transcript.reset(nil)
	show("welcome", m)
	m.Update(tea.PasteMsg{Content: text})
	show("draft", m)

	m = fresh()
	m.chat.name = text
	m.chat.set(history.Message{ID: "q", Role: generate.User, Content: text})
	m.chat.set(reply)
	m.transcript.add(newMessage(m.chat.path[0]))
	m.transcript.add(newMessage(reply))
	show("messages", m)
	m.Update(noticeMsg{levelBad, text})
	show("notice", m)
	open := newMessage(history.Message{ID: "o", Role: generate.Assistant})
	m.transcript.add(open)
	m.transcript.toEnd()
	runes := []rune(text)
	apart := max(len(runes)/parts, 7)
	for i, r := range runes {
		open.write(string(r))
		if i%apart == 0 {
			show(fmt.Sprintf("streaming, character %d", i+1), m)
		}
	}
	m.transcript.add(newMessage(history.Message{ID: "c", Role: generate.Assistant, Content: "```" + text + "\n" + text + "\n```\n- " + text + "\n\n| " + text + " | b |\n|---|---|\n| " + text + " | " + text + " |\n", Finish: generate.FinishStop}))
	m.transcript.toEnd()
	show("code, list and table", m)
	m.transcript.toTop(&m.theme)
	show("at the start", m)
	openedMsg{err: errors.New(text)}.handle(m)
	m.systemCommand("")
	show("errors", m)

	m = fresh()
	m.composer.set("/template")
	m.Update(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
	show("values", m)
	m.obey(text, text)
	show("no command", m)
	for _, argument := range []string{"theme", "mouse", "copy", "temperature", "top-k"} {
		m.obey(argument, text)
		show("/"+argument, m)
	}
	m.showModel()
	show("model", m)
	m.showHelp()
	show("help", m)
	m.ask(text, text, func(*Model, string) tea.Cmd { return nil })
	show("prompt", m)
	m.overlay = &picker{gone: &deletions{}, entries: []history.Entry{entry, {Path: text, Err: errors.New(text)}}, read: true, shown: []int{0, 1}, selected: 1}
	show("list", m)
	m.overlay.(*picker).preview = preview{of: glance{path: entry.Path, modified: testNow}, quotes: []quote{{generate.User, text}, {generate.Assistant, text}}}
	show("quotes", m)
	m.overlay = &picker{gone: &deletions{}, entries: []history.Entry{entry}, read: true, shown: []int{0}, selected: 1, renaming: &field{}}
	m.overlay.paste(text)
	show("name", m)
	m.overlay = &picker{gone: &deletions{}, read: true, err: errors.New(text)}
	m.overlay.paste(text)
	show("no list", m)
	m.overlay = nil
	gen.info.Err = errors.New(text)
	infoMsg{gen.info}.handle(m)
	m.transcript.reset(nil)
	show("no model", m)
	return shown
}

// harmless says what of a screen is neither text nor styling. It shares nothing with package escape.
func harmless(v tea.View) error {
	if err := onlyText(v.WindowTitle); err != nil {
		return fmt.Errorf("the title: %w", err)
	}
	rest := v.Content
	for rest != "" {
		i := strings.IndexByte(rest, ansi.ESC)
		if i < 0 {
			return onlyText(strings.ReplaceAll(rest, "\n", ""))
		}
		if err := onlyText(strings.ReplaceAll(rest[:i], "\n", "")); err != nil {
			return err
		}
		n, ok := styling(rest[i:])
		if !ok {
			return fmt.Errorf("a sequence: %.40q", rest[i:])
		}
		rest = rest[i+n:]
	}
	return nil
}

// styling returns the length of a sequence that changes how text looks, or a hyperlink, at the start of s.
func styling(s string) (int, bool) {
	if link, ok := strings.CutPrefix(s, "\x1b]8;"); ok {
		end := strings.IndexByte(link, '\a')
		if end < 0 {
			return 0, false
		}
		for _, c := range []byte(link[:end]) {
			if c < 0x20 || c > 0x7e {
				return 0, false
			}
		}
		return len(s) - len(link) + end + 1, true
	}
	if !strings.HasPrefix(s, "\x1b[") {
		return 0, false
	}
	n := 2
	for n < len(s) && strings.IndexByte("0123456789;:", s[n]) >= 0 {
		n++
	}
	return n + 1, n < len(s) && s[n] == 'm'
}

// onlyText says what of s a terminal would obey, or would hide.
func onlyText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("bytes that are no UTF-8: %.40q", s)
	}
	for i, r := range s {
		marks := r == '\u200e' || r == '\u200f' || r == '\u061c'
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) && !marks || r == '\u2028' || r == '\u2029' || r == '\ufeff' ||
			r >= 0xe0000 && r <= 0xe007f {
			return fmt.Errorf("%U in %.40q", r, s[max(i-10, 0):])
		}
	}
	return nil
}

// agreed are the characters about which terminals agree, and the emulator is one of them.
var agreed = func() map[rune]bool {
	set := map[rune]bool{}
	for _, r := range strings.Join(alphabets, "") + "·…─│┃❯•↓⟦⟧‹›┼✓×�" {
		set[r] = true
	}
	for r := rune(0x2400); r <= 0x2421; r++ {
		set[r] = true
	}
	return set
}()

// widest is the width of the widest screen that is measured.
const widest = 150

// gauge is a terminal that says how many cells a line takes. To make one costs as much as hundreds of screens, so one measures
// many of them, one after the other.
type gauge struct{ emu *vt.Emulator }

// newGauge returns one with room for lines that take twice the cells that they should.
func newGauge() gauge { return gauge{vt.NewEmulator(2*widest+20, 2)} }

// measure returns where the cursor is behind a line of text and styling, and nothing else.
func (g gauge) measure(line string, method cells.Method) (x, y int) {
	other := filter{byRune: method.Method != ansi.GraphemeWidth}
	_, _ = g.emu.WriteString("\x1b[m\x1b]8;;\a\x1b[1;1H\x1b[2K")
	_, _ = g.emu.Write(other.pass([]byte(line + "\x1b[m")))
	at := g.emu.CursorPosition()
	return at.X, at.Y
}

// tooWide says which line of a screen takes other cells in a terminal than the program believes, or too many. Of characters
// about which terminals differ only the latter is asked.
func (g gauge) tooWide(v tea.View, method cells.Method, s size) error {
	lines := strings.Split(v.Content, "\n")
	if len(lines) != s.height {
		return fmt.Errorf("%d lines, want %d", len(lines), s.height)
	}
	if c := v.Cursor; c != nil && (c.X < 0 || c.X >= s.width || c.Y < 0 || c.Y >= s.height) {
		return fmt.Errorf("the cursor is at %d, %d", c.X, c.Y)
	}
	measurable := !strings.ContainsFunc(ansi.Strip(v.Content), func(r rune) bool { return !agreed[r] && r > 0x7f })
	for _, l := range lines {
		said := method.StringWidth(l)
		if said > s.width {
			return fmt.Errorf("a line of %d cells: %q", said, l)
		}
		if !measurable {
			continue
		}
		if x, y := g.measure(l, method); x != said || y != 0 {
			return fmt.Errorf("a line takes %d cells in the terminal, %d were counted: %q", x, said, l)
		}
	}
	return nil
}

// check looks at every screen with a text, on a terminal of either kind.
func (g gauge) check(t *testing.T, text string, sizes ...size) {
	t.Helper()
	for _, method := range []cells.Method{{}, {Method: ansi.GraphemeWidth}} {
		for _, s := range sizes {
			for name, v := range everyScreen(text, method, s) {
				err := harmless(v)
				if err == nil {
					err = g.tooWide(v, method, s)
				}
				if err != nil {
					t.Errorf("%s at %d×%d, method %d, of %q: %v", name, s.width, s.height, method.Method, text, err)
				}
			}
		}
	}
}

// attacks are texts that do something to a terminal that obeys them.
var attacks = []string{
	"\x1b[2J\x1b[H", "\x1b]0;owned\a", "\x1b]52;c;cm0gLXJm\a", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "\x1b]9;4;1;50\a", "\x1bc", "\x1b[?1049l",
	"\x1bP+q544e\x1b\\", "\x1b_Ga=T;AAAA\x1b\\", "\x1b^x\x1b\\", "\x1bX x\x1b\\", "\u009b2J", "\u009d0;owned\u009c", "\u0090q\u009c", "\u0084\u0085\u008d",
	"a\rb", "a\bb", "a\x00b\x7f", "\a\v\f\x0e\x0f\x05", "\x1b[31mred\x1b[", "\x1b", "\xff\xfe\x9b2J\xc2", "\u202eevil\u202c", "\u2066x\u2069", "a\u2028b\u2029",
	"\ufeffx", "\U000e0041\U000e007f", "[x](\x1b]0;y\a)", "[x](http://\u009b\u202e)", "<http://x/\x1b[31m>", "`\x1b[2J`", "&#27;[2J &#x9b;2J &#x202e;", "![\x1b](\x1b)", "<b\x1b>",
	"# \x1b[31m", "| \x1b[2J | \u009b |\n|---|---|\n| \x1b | &#27; |", "```\x1b]0;x\a\n\x1b[2J\n```", "    \x1b[2J", "> \x1b", "\x1b[201~\x1b[200~", "a\tb\t", "\n\n\n", "\r\n\r\n", "https://x/\x1b[31m",
}

func TestNothingButTextAndStylingReachesTheTerminal(t *testing.T) {
	g := newGauge()
	for _, attack := range attacks {
		g.check(t, attack, size{60, 20}, size{13, 5})
	}
}

// alphabets are what random texts are made of.
var alphabets = []string{
	"abcdefghij klmnopq rst-uvw xyz  .,", "漢字かな交じり文한국어、。ｗｉｄｅ", "אבגדהוזחטי مرحبا بالعالم", "eaou\u0301\u0308\u0302\u0327\u036b", "नमस्ते क्षत्रिय দেব สวัสดี ကမ္ဘာ",
	"👍👩🚀❤🏳🇩🇪🇯🇵1#*\u200d\ufe0f\ufe0e\u20e3🏽🏿", "☎™©①§…—“”─│❯┃", "*_`~#>|-[]()!<&;:\\+= \n\n\t", "\x1b\a\r\b\u009b\u202e\ufeff[m]0;2J",
}

// randomText returns up to n characters, in runs of one alphabet each.
func randomText(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range rng.IntN(n) + 1 {
		alphabet := []rune(alphabets[rng.IntN(len(alphabets))])
		for range rng.IntN(8) + 1 {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
	}
	if rng.IntN(4) == 0 {
		for range rng.IntN(6) {
			b.WriteRune(rune(rng.IntN(0x1ffff)))
		}
	}
	return b.String()
}

func TestRandomTextsFitAsTheTerminalMeasures(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	g := newGauge()
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 13))
		text := randomText(rng, 30)
		g.check(t, text, size{20 + rng.IntN(60), 8 + rng.IntN(20)})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzEveryScreenIsTextThatFits(f *testing.F) {
	for _, s := range append(attacks, alphabets...) {
		f.Add(s, uint8(40), uint8(12))
	}
	g := newGauge()
	f.Fuzz(func(t *testing.T, text string, width, height uint8) {
		if len(text) > 2000 {
			return
		}
		g.check(t, text, size{int(width)%widest + 1, int(height)%50 + 1})
	})
}

func TestHarmFindsHarm(t *testing.T) {
	for _, attack := range attacks[:29] {
		if strings.TrimSpace(attack) != "" && harmless(tea.View{Content: attack}) == nil {
			t.Errorf("%q counts as harmless", attack)
		}
	}
	for _, fine := range []string{"", "text\n漢字", "\x1b[1;38;2;1;2;3mx\x1b[m", "\x1b]8;id=1;http://x/%E2\ax\x1b]8;;\a", "\u200e👩‍🚀"} {
		if err := harmless(tea.View{Content: fine}); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
	if err := newGauge().tooWide(tea.View{Content: "1234"}, cells.Method{}, size{3, 1}); err == nil {
		t.Error("a line that is too long counts as fitting")
	}
	g := newGauge()
	other := cells.Method{Method: ansi.GraphemeWidth}
	for range 2 { // what was measured before must not count
		if err := g.tooWide(tea.View{Content: "👩‍🚀"}, other, size{9, 1}); err != nil {
			t.Error(err)
		}
		if x, _ := g.measure("👩‍🚀", cells.Method{}); x == 2 {
			t.Error("the terminal does not take whole characters apart, so that nothing was measured for one that does")
		}
	}
}

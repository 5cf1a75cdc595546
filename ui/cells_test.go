package ui

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// scripts are texts whose characters terminals give different widths.
var scripts = map[string]string{
	"CJK":              "漢字かな交じり文 한국어",
	"joined emoji":     "👩‍👩‍👧 👨‍👩‍👧‍👦 🏳️‍🌈",
	"skin tones":       "👍🏽 👋🏿 🤷🏻‍♀️",
	"flags":            "🇩🇪 🇯🇵🇧🇷",
	"emoji variations": "❤️ ☎️ 1️⃣",
	"combining marks":  "e\u0301a\u0308o\u0302 Z\u0351\u036b\u0343",
	"Indic":            "नमस्ते क्षत्रिय",
	"right to left":    "שלום עולם مرحبا بالعالم",
}

// terminals are the two kinds of them: those that confirm mode 2027 measure whole characters, the others code points.
var terminals = map[string]func(*terminal){
	"wcwidth": func(term *terminal) { term.other = &filter{byRune: true} },
	"mode 2027": func(term *terminal) {
		term.other = &filter{}
		_, _ = term.emu.WriteString(ansi.ResetModeUnicodeCore) // known, and off
	},
}

// TestEveryWordIsOnTheScreen shows texts of many scripts between numbered words as what the user writes, as what he has
// said, as a reply with code, a list and a table, and in the status line, and looks for the words in the terminal.
func TestEveryWordIsOnTheScreen(t *testing.T) {
	for kind, prepare := range terminals {
		for name, script := range scripts {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				text, want := numbered("w", script, 20)
				shapes := func(letter string) (string, []string) {
					prose, a := numbered(letter, script, 12)
					code, b := numbered(letter+"c", script, 8)
					item, c := numbered(letter+"i", script, 8)
					cell, d := numbered(letter+"t", script, 3)
					return prose + "\n\n```\n" + code + "\n```\n\n- " + item + "\n\n| a | b |\n|---|---|\n| " + cell + " | " + cell + " |\n",
						slices.Concat(a, b, c, d, d)
				}
				reply, wantReply := shapes("r")
				gen := newScript(reply)
				first, _ := ansi.FirstGraphemeCluster(script, ansi.GraphemeWidth)
				gen.info.Model, gen.info.Quantization, gen.info.Backend, gen.info.BackendWhy = first+" mend", "", "", ""
				term := startTerminalOf(t, Options{Generator: gen}, 46, 60, prepare)
				term.wait("Write a message", "mend")
				term.quiet(50 * time.Millisecond)
				term.paste(text)
				term.wantWords("w", want)
				term.quiet(50 * time.Millisecond)
				term.cursorIsWhereOneTypes()
				term.send(enterKey)
				term.wait("tokens · 20.0 tok/s", "mend")
				term.wantWords("w", want)
				slices.Sort(wantReply)
				term.wantWords("r", wantReply)
				term.send(ctrlC, ctrlC)
				term.ended()
			})
		}
	}
}

func TestReadingPositionStaysWhenTheTerminalSaysHowItMeasures(t *testing.T) {
	b := newBench(t, Options{})
	b.gen.says(strings.Repeat("A paragraph with 👩‍👩‍👧 and 👨‍👩‍👧‍👦 in it that wraps in another place then. And more of it. ", 60))
	b.say("x")
	b.keys("pgup", "pgup")
	top := func() string { return strings.Split(b.screen(), "\n")[0] }
	word, before := strings.Fields(top())[0], len(b.m.transcript.items[1].lines(80, &b.m.theme))
	chars := b.m.transcript.anchorOf(b.m.transcript.top, &b.m.theme).at
	b.send(tea.ModeReportMsg{Mode: ansi.ModeUnicodeCore, Value: ansi.ModeReset})
	if after := len(b.m.transcript.items[1].lines(80, &b.m.theme)); after >= before {
		t.Fatalf("got %d lines of %d before: nothing was measured anew", after, before)
	}
	if got := b.m.transcript.anchorOf(b.m.transcript.top, &b.m.theme).at; got.Piece != chars.Piece || got.Chars > chars.Chars || chars.Chars-got.Chars > 80 {
		t.Errorf("the top line starts at %+v, was %+v", got, chars)
	}
	if !strings.Contains(top(), word) {
		t.Errorf("the top line is %q, which does not hold %q any more", top(), word)
	}
}

// numbered puts a script between n numbered words.
func numbered(letter, script string, n int) (text string, words []string) {
	var b strings.Builder
	for i := range n {
		words = append(words, fmt.Sprintf("%s%02d", letter, i))
		fmt.Fprintf(&b, "%s %s ", words[i], script)
	}
	return strings.TrimSpace(b.String()), words
}

// wantWords waits until the words on the screen that start with a letter are these, and says which are not.
func (term *terminal) wantWords(letter string, want []string) {
	term.t.Helper()
	word := regexp.MustCompile(letter + `[a-z]?\d\d`)
	var shown []string
	if !term.until(func() bool {
		joined := strings.Join(strings.Fields(term.screen()), "") // code breaks inside words
		shown = word.FindAllString(joined, -1)
		if letter == "r" {
			slices.Sort(shown)
		}
		return slices.Equal(shown, want)
	}) {
		term.t.Errorf("got words %v, want %v, on the screen:\n%s", shown, want, term.screen())
	}
}

// cursorIsWhereOneTypes types a letter and looks whether it came to stand under the cursor.
func (term *terminal) cursorIsWhereOneTypes() {
	term.t.Helper()
	place := func() [2]int {
		term.mu.Lock()
		defer term.mu.Unlock()
		at := term.emu.CursorPosition()
		return [2]int{at.X, at.Y}
	}
	at := place()
	term.send("Q")
	if !term.until(func() bool {
		term.mu.Lock()
		defer term.mu.Unlock()
		cell, now := term.emu.CellAt(at[0], at[1]), term.emu.CursorPosition()
		return cell != nil && cell.Content == "Q" && now.X == at[0]+1
	}) {
		term.t.Errorf("the cursor was at %v, where there is no Q after one was typed, it is at %v now:\n%s", at, place(), term.screen())
	}
	term.send("\x7f")
	if !term.until(func() bool { return place() == at }) {
		term.t.Errorf("the cursor is at %v, was at %v before a Q was typed and taken away", place(), at)
	}
}

// paste pastes text as a terminal does.
func (term *terminal) paste(text string) {
	term.send(ansi.BracketedPasteStart + text + ansi.BracketedPasteEnd)
}

// filter makes another terminal of the emulator. It leaves out titles, which the emulator takes to end at a byte 0x9C, as lamed
// has one. With byRune it cuts characters where the emulator would join code points, and leaves out joiners and variation
// selectors.
type filter struct {
	byRune bool
	carry  []byte
}

// cutter is a sequence that does nothing but end a character.
const cutter = "\x1b[0;0;0v"

// pass returns what can be said of the bytes so far: the rest may still grow.
func (f *filter) pass(b []byte) []byte {
	all := append(f.carry, b...)
	end := len(all)
	for end > 0 && all[end-1] >= 0x80 {
		end--
	}
	if i := bytes.LastIndex(all[:end], []byte("\x1b]")); i >= 0 && !bytes.ContainsAny(all[i:end], "\a") {
		end = i // a title, not all of it
	}
	f.carry = slices.Clone(all[end:])
	var out strings.Builder
	for text := string(all[:end]); text != ""; {
		if strings.HasPrefix(text, "\x1b]2;") {
			text = text[strings.IndexByte(text, '\a')+1:]
			continue
		}
		cluster, _ := ansi.FirstGraphemeCluster(text, ansi.GraphemeWidth)
		text = text[len(cluster):]
		if f.byRune {
			cluster = apart(cluster)
		}
		out.WriteString(cluster)
	}
	return []byte(out.String())
}

// apart returns the code points of a character such that each has its own cells.
func apart(cluster string) string {
	var out strings.Builder
	for i, r := range cluster {
		w := ansi.WcWidth.StringWidth(string(r))
		switch {
		case r < 0x80:
		case r == '\u200d', r == '\ufe0f', r == '\u20e3':
			continue
		case w != ansi.GraphemeWidth.StringWidth(string(r)):
			r = '□' // half a flag: it has one cell, of which the emulator makes two
		}
		if i > 0 && w > 0 {
			out.WriteString(cutter)
		}
		out.WriteRune(r)
	}
	return out.String()
}

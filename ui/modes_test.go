package ui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modes is what a program has changed about a terminal and not put back. It reads what was sent, so it knows no more of the
// terminal than its names: a mode that is unknown here counts as well.
type modes struct {
	set   map[string]string // what is not as it was → the value that it has
	alt   bool              // the alternate screen is shown
	kitty [2]int            // entries on the keyboard stack of the main and of the alternate screen
}

// control finds what may change a terminal. What moves, writes or erases changes nothing for good.
var control = regexp.MustCompile(`\x1b\[\?([\d;]+)([hl])|\x1b\[>(\d+)u|\x1b\[<(\d*)u|\x1b\[=(\d+)[;\d]*u|\x1b\[>4;?(\d*)m|` +
	`\x1b\](\d+);?([^\a\x1b]*)(?:\a|\x1b\\)|\x1b\[(\d*) q|\x1b\[([\d;]*)r|\x1b([=>])|\x1b\[([\d;:]*)m`)

// usual are private modes that a terminal has set from the start: auto-wrap and the cursor.
var usual = []string{"7", "25"}

// modesOf says what is left of all that was sent.
func modesOf(sent string) modes {
	m := modes{set: map[string]string{}}
	for _, found := range control.FindAllStringSubmatch(sent, -1) {
		m.take(found)
	}
	return m
}

func (m *modes) note(what, value string, changed bool) {
	if delete(m.set, what); changed {
		m.set[what] = value
	}
}

// take notes one sequence; the groups are those of control.
func (m *modes) take(g []string) {
	screen := 0
	if m.alt {
		screen = 1
	}
	seq := g[0]
	switch {
	case g[2] != "":
		for _, mode := range strings.Split(g[1], ";") {
			on := g[2] == "h"
			if mode == "1049" {
				m.alt = on
			}
			m.note("mode "+mode, g[2], on != slices.Contains(usual, mode))
		}
	case g[3] != "":
		m.kitty[screen]++
	case strings.HasPrefix(seq, "\x1b[<"):
		m.kitty[screen] = max(m.kitty[screen]-1, 0)
	case g[5] != "":
		m.note(fmt.Sprintf("kitty flags of screen %d", screen), g[5], g[5] != "0" && m.kitty[screen] == 0)
	case strings.HasPrefix(seq, "\x1b[>4"):
		m.note("other keys", g[6], g[6] != "" && g[6] != "0")
	case g[7] != "":
		m.command(g[7], g[8])
	case strings.HasSuffix(seq, " q"):
		m.note("cursor shape", g[9], g[9] != "" && g[9] != "0")
	case strings.HasSuffix(seq, "r"):
		m.note("margins", g[10], g[10] != "" && g[10] != "1;24") // all rows of the terminals here
	case g[11] != "":
		m.note("keypad", g[11], g[11] == "=")
	default:
		m.note("style", g[12], g[12] != "" && g[12] != "0")
	}
}

// command notes an operating system command.
func (m *modes) command(number, value string) {
	switch number {
	case "0", "1", "2":
		m.note("title", value, value != "")
	case "9":
		m.note("progress", value, !strings.HasPrefix(value, "4;0"))
	case "10", "11", "12":
		m.note("colour "+number, value, value != "?") // a question
	case "110", "111", "112":
		m.note("colour "+number[1:], "", false)
	case "8":
		m.note("link", value, value != ";")
	default:
		m.note("command "+number, value, true)
	}
}

// left lists what is not as it was.
func (m modes) left() []string {
	var out []string
	for _, what := range sortedKeys(m.set) {
		out = append(out, what+" "+m.set[what])
	}
	for i, n := range m.kitty {
		if n > 0 {
			out = append(out, fmt.Sprintf("%d kitty entries of screen %d", n, i))
		}
	}
	return out
}

func TestModesThatAreLeftAreFound(t *testing.T) {
	for _, c := range []struct{ name, sent, want string }{
		{"nothing", "text \x1b[3;4H\x1b[K\x1b[2J", ""},
		{"alternate screen", "\x1b[?1049h", "mode 1049 h"},
		{"and back", "\x1b[?1049h\x1b[?1049l", ""},
		{"hidden cursor", "\x1b[?25l", "mode 25 l"},
		{"shown cursor", "\x1b[?25l\x1b[?25h", ""},
		{"two at once", "\x1b[?1002;1006h\x1b[?1006l", "mode 1002 h"},
		{"bracketed paste", "\x1b[?2004h", "mode 2004 h"},
		{"a mode nobody knows", "\x1b[?4711h", "mode 4711 h"},
		{"keyboard pushed", "\x1b[>1u", "1 kitty entries of screen 0"},
		{"popped from the wrong screen", "\x1b[>1u\x1b[?1049h\x1b[<u\x1b[?1049l", "1 kitty entries of screen 0"},
		{"pushed on the other screen", "\x1b[?1049h\x1b[>1u\x1b[?1049l\x1b[<1u", "1 kitty entries of screen 1"},
		{"popped", "\x1b[?1049h\x1b[>1u\x1b[<1u\x1b[?1049l", ""},
		{"flags without a push", "\x1b[=1;1u", "kitty flags of screen 0 1"},
		{"flags after a push", "\x1b[>0u\x1b[=1;1u\x1b[<1u", ""},
		{"other keys", "\x1b[>4;2m", "other keys 2"},
		{"other keys back", "\x1b[>4;2m\x1b[>4m", ""},
		{"title", "\x1b]2;x\a", "title x"},
		{"no title", "\x1b]2;x\a\x1b]2;\a", ""},
		{"progress", "\x1b]9;4;1;50\a", "progress 4;1;50"},
		{"progress gone", "\x1b]9;4;1;50\a\x1b]9;4;0\a", ""},
		{"background", "\x1b]11;#000000\a", "colour 11 #000000"},
		{"background asked", "\x1b]11;?\a", ""},
		{"background back", "\x1b]11;#000000\a\x1b]111\a", ""},
		{"cursor shape", "\x1b[4 q", "cursor shape 4"},
		{"margins", "\x1b[2;9r", "margins 2;9"},
		{"margins around everything", "\x1b[2;9r\x1b[1;24r", ""},
		{"keypad", "\x1b=", "keypad ="},
		{"colour of text", "\x1b[31mred", "style 31"},
		{"reset", "\x1b[31mred\x1b[m", ""},
		{"open link", "\x1b]8;;http://x\ay", "link ;http://x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(modesOf(c.sent).left(), ", "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

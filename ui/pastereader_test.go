package ui

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// hostilePaste has what Bubble Tea would drop of a paste, or take for keys.
const hostilePaste = "red: \x1b[31mtext\x1b[0m \x1b]0;title\a \x1b]52;c;aGk=\a \x1b[A \x1bOP \u009b31m \u0085 \ufffd \x00\x01\x7f " +
	"\x1b[20 \x1b[200~ tab\there 漢字 👨‍👩‍👧 e\u0301 \ue000 \U0010ff41 \U0010ffff end\x1b"

// readPastes reads all that a terminal sends, in pieces.
func readPastes(t *testing.T, sent string, cut func() int) string {
	t.Helper()
	in, terminal, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	go func() {
		defer terminal.Close()
		for sent != "" {
			n := min(cut(), len(sent))
			_, _ = terminal.WriteString(sent[:n])
			sent = sent[n:]
		}
	}()
	r, got, buf := &pasteReader{File: in}, []byte{}, make([]byte, 64)
	for {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return string(got)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPasteIsVeiledAndNothingElse(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	keys := "typed \x1b[A \x1b[200x \x1b[20\x1b[31~ \ufffd \xff"
	invalid := hostilePaste + "\xff \xe6\xbc"
	sent := keys + string(pasteStart) + invalid + string(pasteEnd) + keys + string(pasteStart) + "plain" + string(pasteEnd) + "\r"
	for range 200 {
		got := readPastes(t, sent, func() int { return 1 + random.IntN(12) })
		before, rest, ok := strings.Cut(got, string(pasteStart))
		inside, after, closed := strings.Cut(rest, string(pasteEnd))
		if !ok || !closed || before != keys || after != keys+string(pasteStart)+"plain"+string(pasteEnd)+"\r" {
			t.Fatalf("got %q, want the keys as they were typed", got)
		}
		if strings.ContainsFunc(inside, func(c rune) bool { return !passes(c) && !veiled(c) }) {
			t.Fatalf("got %q, want no control characters in a paste", inside)
		}
		if unveil(inside) != invalid {
			t.Fatalf("got %q, want %q", unveil(inside), invalid)
		}
	}
}

func TestAnUnfinishedPasteIsNotLost(t *testing.T) {
	for _, text := range []string{"half \x1b[20", "half \xe6\xbc"} {
		got := readPastes(t, string(pasteStart)+text, func() int { return 3 })
		if !bytes.HasPrefix([]byte(got), pasteStart) || !strings.HasSuffix(got, text[5:]) {
			t.Errorf("got %q of %q", got, text)
		}
	}
}

func TestAPasteOfEscapesReachesTheModelByteForByte(t *testing.T) {
	gen := newScript("an answer")
	term := startTerminal(t, Options{Generator: gen, Store: openStore(t)}, 80, 24)
	term.wait("Write a message")
	pasteInto(term, hostilePaste)
	term.wait("end")
	term.send(enterKey)
	term.wait("an answer")
	term.mu.Lock()
	for _, sequence := range []string{"\x1b]0;title", "\x1b]52;c;aGk="} {
		if bytes.Contains(term.raw, []byte(sequence)) {
			t.Errorf("the pasted %q reached the terminal", sequence)
		}
	}
	term.mu.Unlock()
	term.send(ctrlC, ctrlC)
	term.ended()
	if got := gen.requests[0].Messages[0].Content; got != hostilePaste {
		t.Errorf("got\n%q, want\n%q", got, hostilePaste)
	}
}

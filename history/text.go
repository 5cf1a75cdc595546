package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Text is what someone has typed and pasted, before it becomes a message. Any bytes may stand in it.
type Text struct {
	Pieces []Piece
	Cursor int // bytes of the pieces before it
}

// Piece is a run of text that came in one way.
type Piece struct {
	Text   string
	Pasted bool // from the clipboard
	Folded bool // a large paste, which is shown as a mark
}

// String returns the text of all pieces.
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t.Pieces {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Empty reports whether there is no text.
func (t Text) Empty() bool {
	for _, p := range t.Pieces {
		if p.Text != "" {
			return false
		}
	}
	return true
}

// A textLine is a Text as it is stored: one JSON object on a line.
type textLine struct {
	Type         string      `json:"type"`
	Schema       int         `json:"schema"`
	SavedAt      string      `json:"saved_at"`
	Conversation string      `json:"conversation,omitempty"` // a file's name: for people who look into the folder
	Cursor       int         `json:"cursor,omitempty"`
	Pieces       []pieceLine `json:"pieces"`
}

type pieceLine struct {
	Text   string `json:"text,omitempty"`
	Bytes  []byte `json:"bytes,omitempty"` // instead of text, where that is no valid UTF-8
	Pasted bool   `json:"pasted,omitempty"`
	Folded bool   `json:"folded,omitempty"`
}

const typeText = "text"

// encodeText returns the line of a text, its newline included. The caller fills in what else the line says.
func encodeText(t Text, line textLine) ([]byte, error) {
	line.Type, line.Schema, line.Cursor = typeText, Schema, t.Cursor
	line.Pieces = make([]pieceLine, len(t.Pieces))
	for i, p := range t.Pieces {
		line.Pieces[i] = pieceLine{Pasted: p.Pasted, Folded: p.Folded}
		if utf8.ValidString(p.Text) {
			line.Pieces[i].Text = p.Text
		} else {
			line.Pieces[i].Bytes = []byte(p.Text)
		}
	}
	return encode(line)
}

// decodeText reads what encodeText has written.
func decodeText(b []byte) (Text, error) {
	var line textLine
	if err := json.Unmarshal(bytes.TrimSpace(b), &line); err != nil {
		return Text{}, fmt.Errorf("not a text that was kept: %w", err)
	}
	switch {
	case line.Type != typeText:
		return Text{}, fmt.Errorf("its type is %q, not %q", line.Type, typeText)
	case line.Schema > Schema:
		return Text{}, fmt.Errorf("schema %d is newer than this version's %d; use a newer peregrine", line.Schema, Schema)
	}
	var t Text
	size := 0
	for _, p := range line.Pieces {
		if p.Text != "" && p.Bytes != nil {
			return Text{}, errors.New("a piece has both text and bytes")
		}
		text := p.Text + string(p.Bytes)
		if text != "" {
			t.Pieces = append(t.Pieces, Piece{Text: text, Pasted: p.Pasted, Folded: p.Folded})
		}
		size += len(text)
	}
	t.Cursor = min(max(line.Cursor, 0), size)
	return t, nil
}

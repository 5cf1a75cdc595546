package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("tokenizer: closed")
	// ErrUnavailable is returned by a program that was built without cgo.
	ErrUnavailable = errors.New("tokenizer: this program was built without cgo, which the tokenizer's library needs")
)

// Tokenizer encodes text and decodes ids. Several goroutines may use it at once. It holds memory outside of Go until Close.
//
// It is ready before the library knows the whole vocabulary, which takes most of the time of building: [Tokenizer.Complete], or
// the first text that needs it, completes that.
type Tokenizer struct {
	source   string // the file, for messages
	table    *table
	raw      *matcher // added tokens that are matched in the text as it is
	later    *matcher // those that are matched in what the first left
	specials []string
	cuts     cutter
	prefix   prefix
	begin    string

	mu      sync.RWMutex // held for reading while the library works or is built, for writing by Close
	encoder *encoder     // nil when closed
}

// FromFile reads a tokenizer.json: byte-level BPE, or BPE as SentencePiece makes it.
func FromFile(tokenizerJSON string) (*Tokenizer, error) {
	text, err := readFile(tokenizerJSON)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the path stands in front already
		}
		return nil, fmt.Errorf("tokenizer: %s: %w", tokenizerJSON, err)
	}
	return fromJSON(tokenizerJSON, text)
}

func fromJSON(source, text string) (*Tokenizer, error) {
	s, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", source, err)
	}
	return build(source, s)
}

// FromGGUF rebuilds a tokenizer from the vocabulary of a GGUF file. v is not needed afterwards.
func FromGGUF(v Vocabulary) (*Tokenizer, error) {
	s, err := v.spec()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", v.Source, err)
	}
	return build(v.Source, s)
}

// build checks a spec and gives it to the library.
func build(source string, s *spec) (*Tokenizer, error) {
	reachable, err := s.check()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", source, err)
	}
	table, err := newTable(s)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", source, err)
	}
	t := &Tokenizer{source: source, table: table, begin: strings.Clone(s.begin)}
	if s.pieces != nil {
		t.prefix = s.pieces.prefix
		where := newSeams(s)
		s.byWords(where)
		t.cuts = newPieceCutter(s, where)
	} else {
		t.cuts = newCutter(s)
	}
	var raw, later []addedToken
	slices.SortFunc(s.added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	for _, a := range s.added {
		if a.special {
			t.specials = append(t.specials, a.content)
		}
		if a.normalized && s.pieces == nil { // SentencePiece finds all of them in the text as it is
			later = append(later, a)
		} else {
			raw = append(raw, a)
		}
	}
	t.raw, t.later = newMatcher(raw), newMatcher(later)
	if t.encoder, err = newEncoder(newLexicon(s, reachable, table)); err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", source, err)
	}
	return t, nil
}

// Encode returns the ids of text; nothing is added in front or behind. With special the control tokens that stand in text
// become their ids, without it they are plain text, which is how a user's text must be encoded. Added tokens that are not
// control tokens are always recognised. Bytes that are no UTF-8 count as U+FFFD. Bytes that the vocabulary does not know
// vanish.
func (t *Tokenizer) Encode(text string, special bool) ([]int32, error) {
	return t.encode(text, special, nil, false)
}

// EncodeGuarded encodes with control tokens recognised, except where a guard, a byte offset into text, lies inside one: start <
// guard < end. That is how a rendered template keeps a user's text that spells a control token plain.
func (t *Tokenizer) EncodeGuarded(text string, guards []int) ([]int32, error) {
	return t.encode(text, true, guards, false)
}

// EncodeContinued is EncodeGuarded for what follows a text: a SentencePiece vocabulary puts no space in front of it.
func (t *Tokenizer) EncodeContinued(text string, guards []int) ([]int32, error) {
	return t.encode(text, true, guards, true)
}

func (t *Tokenizer) encode(text string, special bool, guards []int, continued bool) ([]int32, error) {
	if !slices.IsSorted(guards) {
		guards = slices.Sorted(slices.Values(guards))
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.encoder == nil {
		return nil, ErrClosed
	}
	var ids []int32
	err := t.encoder.with(text, func(l *library) { ids = t.encodeBy(l, text, special, guards, continued) })
	return ids, t.named(err)
}

// encodeBy encodes with a library that knows what text can become.
func (t *Tokenizer) encodeBy(l *library, text string, special bool, guards []int, continued bool) []int32 {
	ids := make([]int32, 0, len(text)/4+4)
	var second []segment
	for _, part := range t.raw.split(nil, text, 0, len(text), special, guards) {
		if part.token != nil {
			ids = append(ids, part.token.id)
			continue
		}
		second = t.later.split(second[:0], text, part.start, part.end, special, guards)
		for _, part := range second {
			if part.token != nil {
				ids = append(ids, part.token.id)
			} else {
				ids = t.appendPlain(l, ids, text[part.start:part.end], part.start, continued && part.start == 0)
			}
		}
	}
	return ids
}

// appendPlain appends the ids of text without added tokens, which begins at byte start of the whole, or goes on with another.
func (t *Tokenizer) appendPlain(l *library, ids []int32, text string, start int, continued bool) []int32 {
	if !utf8.ValidString(text) {
		text = lossy([]byte(text))
	}
	if before := t.prefix.of(text, start); before != "" && !continued {
		text = before + text
	}
	withoutNUL(text, func(part string) { ids = t.appendChunks(l, ids, part) })
	return ids
}

// appendChunks hands text to the library part by part.
func (t *Tokenizer) appendChunks(l *library, ids []int32, text string) []int32 {
	for from := 0; from < len(text); {
		end := t.cuts.next(text, from)
		ids = l.encode(ids, text[from:end])
		from = end
	}
	return ids
}

// Decode returns the text of ids; bytes that form no character are U+FFFD. With skipSpecial control tokens have no text.
// Ids that the vocabulary does not know have none either, because a model may have more rows than its vocabulary. The space
// that encoding puts in front of a text in a SentencePiece vocabulary is not part of the text.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) (string, error) {
	t.mu.RLock()
	closed := t.encoder == nil
	t.mu.RUnlock()
	if closed {
		return "", ErrClosed
	}
	var text strings.Builder
	s := t.Stream(skipSpecial)
	for _, id := range ids {
		s.push(&text, id)
	}
	s.flush(&text)
	return text.String(), nil
}

// Token returns the text of id as the vocabulary has it: byte symbols such as Ġ, or ▁ for a space, in ordinary tokens.
func (t *Tokenizer) Token(id int32) (string, bool) { return t.table.token(id) }

// Bytes returns what id stands for in a text, which may be part of a character. The caller must not change it.
func (t *Tokenizer) Bytes(id int32) []byte { return t.table.bytes(id) }

// ID returns the id of a token by its text in the vocabulary. It looks through the whole vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) { return t.table.find(token) }

// Begin returns the token that the file's post-processor puts in front of a text, which Encode does not do; ok is false where
// there is none, or the vocabulary does not know it.
func (t *Tokenizer) Begin() (id int32, ok bool) {
	if t.begin == "" {
		return 0, false
	}
	return t.ID(t.begin)
}

// IsSpecial says whether id is a control token.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.table.isSpecial(id) }

// Specials returns the texts of the control tokens, by id.
func (t *Tokenizer) Specials() []string { return slices.Clone(t.specials) }

// Size returns the highest id plus one.
func (t *Tokenizer) Size() int { return len(t.table.ends) }

// Complete makes the library ready for texts of any length, which takes as long as building a tokenizer without excerpts does,
// and does nothing the second time. Whoever will encode many texts calls it in the background.
func (t *Tokenizer) Complete() error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.encoder == nil {
		return ErrClosed
	}
	return t.named(t.encoder.complete())
}

// named puts the file in front of an error of the library's.
func (t *Tokenizer) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("tokenizer: %s: %w", t.source, err)
}

// Close gives the library's memory back, after calls in progress have ended. Encode and Decode return ErrClosed from then on;
// closing again does nothing.
func (t *Tokenizer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.encoder == nil {
		return nil
	}
	err := t.encoder.close()
	t.encoder = nil
	return err
}

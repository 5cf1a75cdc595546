package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"peregrine/model"
	"peregrine/model/generate"
	"peregrine/model/sample"
)

// The fake vocabulary: a byte is its own id, then two control tokens, then whatever pieces a test adds.
const (
	endID   = 256
	startID = 257
	pieces  = 258
)

// fakeTokenizer encodes bytes and its two control tokens.
type fakeTokenizer struct {
	pieces []string
	blank  bool // a text that follows none gets a space in front, as in SentencePiece vocabularies

	mu      sync.Mutex
	longest int  // bytes of the longest text encoded
	broken  bool // panics
}

func (k *fakeTokenizer) EncodeGuarded(text string, guards []int) ([]int32, error) {
	if k.blank {
		text = " " + text
	}
	return k.EncodeContinued(text, guards)
}

func (k *fakeTokenizer) EncodeContinued(text string, _ []int) ([]int32, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken {
		panic("used after Close")
	}
	k.longest = max(k.longest, len(text))
	var ids []int32
	for text != "" {
		switch {
		case strings.HasPrefix(text, "<|end|>"):
			ids, text = append(ids, endID), text[len("<|end|>"):]
		default:
			ids, text = append(ids, int32(text[0])), text[1:]
		}
	}
	return ids, nil
}

func (k *fakeTokenizer) Token(id int32) (string, bool) {
	switch id {
	case endID:
		return "<|end|>", true
	case startID:
		return "<|start|>", true
	}
	return string(k.Bytes(id)), true
}

func (k *fakeTokenizer) ID(token string) (int32, bool) {
	id, ok := map[string]int32{"<|end|>": endID, "<|start|>": startID}[token]
	return id, ok
}

func (k *fakeTokenizer) Bytes(id int32) []byte {
	switch {
	case id < endID:
		return []byte{byte(id)}
	case id < pieces:
		return nil
	}
	return []byte(k.pieces[id-pieces])
}

func (k *fakeTokenizer) IsSpecial(id int32) bool { return id == endID || id == startID }
func (k *fakeTokenizer) Size() int               { return pieces + len(k.pieces) }

// fakeDetokenizer joins bytes and holds back the beginning of a character.
type fakeDetokenizer struct {
	tokens *fakeTokenizer
	held   []byte
}

func (d *fakeDetokenizer) Push(id int32) string {
	d.held = append(d.held, d.tokens.Bytes(id)...)
	n := 0
	for n < len(d.held) && utf8.FullRune(d.held[n:]) {
		_, size := utf8.DecodeRune(d.held[n:])
		n += size
	}
	text := strings.ToValidUTF8(string(d.held[:n]), "\uFFFD")
	d.held = d.held[n:]
	return text
}

func (d *fakeDetokenizer) Flush() string {
	text := strings.ToValidUTF8(string(d.held), "\uFFFD")
	d.held = nil
	return text
}

// call is one Forward.
type call struct{ pos, tokens, rows int }

// fakeDecoder answers every prompt with the same ids: those that follow the last "Response:" of its sequence, then the end.
type fakeDecoder struct {
	context, vocab int
	script         []int32
	// before runs at the start of Forward and may block, fail or panic; logits may change what comes out.
	before func(ctx context.Context, c call) error
	logits func(seq []int32, logits []float32)

	mu    sync.Mutex
	seq   []int32
	calls []call
}

var errPosition = errors.New("fake: position behind the end of the sequence")

func (d *fakeDecoder) Forward(ctx context.Context, tokens []int32, pos int, out *sample.Output) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := call{pos, len(tokens), out.Rows}
	if pos > len(d.seq) || len(tokens) == 0 || pos+len(tokens) > d.context {
		return errPosition
	}
	d.calls = append(d.calls, c)
	d.seq = d.seq[:pos]
	if d.before != nil {
		if err := d.before(ctx, c); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, id := range tokens {
		d.seq = append(d.seq, id)
		if row := out.Rows - len(tokens) + i; row >= 0 {
			logits := make([]float32, d.vocab)
			logits[d.next()] = 10
			if d.logits != nil {
				d.logits(d.seq, logits)
			}
			model.FillOutput(out, row, logits)
		}
	}
	return nil
}

// next returns the id that the script has next.
func (d *fakeDecoder) next() int32 {
	text := make([]byte, len(d.seq)) // one byte an id, so that offsets are positions
	for i, id := range d.seq {
		text[i] = byte(min(id, 255))
	}
	said := len(text) - (bytes.LastIndex(text, []byte("Response:")) + len("Response:"))
	if said < len(d.script) {
		return d.script[said]
	}
	return endID
}

func (d *fakeDecoder) Context() int { return d.context }
func (d *fakeDecoder) Vocab() int   { return d.vocab }

// taken returns the calls since it was last asked.
func (d *fakeDecoder) taken() []call {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls := d.calls
	d.calls = nil
	return calls
}

// fixture is an engine on fakes.
type fixture struct {
	*Engine
	decoder *fakeDecoder
	tokens  *fakeTokenizer
	model   *Model
}

// says returns a fixture whose decoder answers with text, byte by byte, and then ends.
func says(text string) *fixture {
	tokens := &fakeTokenizer{}
	decoder := &fakeDecoder{context: 4096, vocab: pieces}
	for _, b := range []byte(text) {
		decoder.script = append(decoder.script, int32(b))
	}
	return &fixture{decoder: decoder, tokens: tokens, model: &Model{
		Decoder: decoder, Tokenizer: tokens, EOS: []int32{endID},
		Detokenizer: func(bool) Detokenizer { return &fakeDetokenizer{tokens: tokens} },
	}}
}

// saysPieces is says with the text cut into tokens as given.
func saysPieces(cut ...string) *fixture {
	f := says("")
	f.tokens.pieces = cut
	f.decoder.vocab += len(cut)
	for i := range cut {
		f.decoder.script = append(f.decoder.script, int32(pieces+i))
	}
	return f
}

// start loads the fixture's model and closes the engine at the test's end.
func (f *fixture) start(t *testing.T, opt Options) *fixture {
	t.Helper()
	f.Engine = New(func(context.Context, func(float64)) (*Model, error) { return f.model, nil }, opt)
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// user returns a request of one message for the instruction template.
func user(text string) generate.Request {
	return generate.Request{
		Messages: []generate.Message{{Role: generate.User, Content: text}},
		Template: "instruction",
	}
}

// begin starts r and fails the test if it is refused.
func (f *fixture) begin(t *testing.T, r generate.Request) *generate.Stream {
	t.Helper()
	s, err := f.Start(t.Context(), r)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return s
}

// ask starts r and reads it to its end.
func (f *fixture) ask(t *testing.T, r generate.Request) generate.Result {
	t.Helper()
	return finish(t, f.begin(t, r))
}

// answer is ask for a reply that must end without an error.
func (f *fixture) answer(t *testing.T, r generate.Request) generate.Result {
	t.Helper()
	result := f.ask(t, r)
	if result.Err != nil {
		t.Fatalf("got error %v, want a reply", result.Err)
	}
	return result
}

// finish reads a stream to its end and checks what every stream promises.
func finish(t *testing.T, s *generate.Stream) generate.Result {
	t.Helper()
	var text strings.Builder
	var ids []int32
	var result, news *generate.Result
	for {
		u, err := nextUpdate(t, s)
		if errors.Is(err, io.EOF) {
			break
		}
		if !utf8.ValidString(u.Text) {
			t.Errorf("got %q, want whole characters", u.Text)
		}
		text.WriteString(u.Text)
		for _, token := range u.Tokens {
			ids = append(ids, token.ID)
		}
		if u.Sampling != nil {
			news = &generate.Result{Sampling: *u.Sampling, Earlier: u.Earlier}
		}
		result = u.Result
	}
	if result == nil {
		return generate.Result{} // nextUpdate has said why
	}
	if text.String() != result.Text {
		t.Errorf("got updates %q, want them to make up the result's text %q", text.String(), result.Text)
	}
	if string(idBytes(ids)) != string(idBytes(result.TokenIDs)) {
		t.Errorf("got tokens %v, want the result's %v", ids, result.TokenIDs)
	}
	if len(ids) > 0 && result.Err == nil && (news == nil || !reflect.DeepEqual(news.Sampling, result.Sampling) ||
		!slices.Equal(news.Earlier, result.Earlier)) {
		t.Errorf("got the values %+v from updates, want those of the result: %+v, %+v", news, result.Sampling, result.Earlier)
	}
	return *result
}

// nextUpdate is Next with a limit; it may be called from any goroutine.
func nextUpdate(t *testing.T, s *generate.Stream) (generate.Update, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	u, err := s.Next(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("Next: %v; the reply hangs", err)
		return u, io.EOF
	}
	return u, err
}

// untilPhase reads until the stream is in that phase.
func untilPhase(t *testing.T, s *generate.Stream, want generate.Phase) generate.Update {
	t.Helper()
	for {
		u, err := nextUpdate(t, s)
		if err != nil {
			t.Fatalf("got the end, want phase %d", want)
		}
		if u.Phase == want {
			return u
		}
	}
}

func idBytes(ids []int32) []byte {
	var b []byte
	for _, id := range ids {
		b = append(b, byte(id>>8), byte(id))
	}
	return b
}

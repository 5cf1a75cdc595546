package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"peregrine/history"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 30

// Summary says what an import found.
type Summary struct {
	Formats       []Format // in the order they came
	Conversations int      // given to the caller
	Notes         []string // what could not be kept
}

// ImportFile reads the conversations of a file; see Import.
func ImportFile(path string, each func(*history.Conversation) error) (Summary, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return Summary{}, fmt.Errorf("exchange: %w", err)
	case !info.Mode().IsRegular():
		return Summary{}, fmt.Errorf("exchange: %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Summary{}, fmt.Errorf("exchange: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Summary{}, fmt.Errorf("exchange: %w", err)
	}
	if len(data) > maxFile {
		return Summary{}, fmt.Errorf("exchange: %s: more than %d bytes; cut the file into several", path, maxFile)
	}
	return Import(path, data, each)
}

// Import reads the conversations in data, in any of the formats but Markdown, and hands them to each, one after the other. An
// error of each ends it. name is the file's, for errors; text-generation-webui keeps a chat's title in it. When the data are
// damaged in the middle, the conversations before that have been handed out and the error says where it is.
func Import(name string, data []byte, each func(*history.Conversation) error) (Summary, error) {
	r := &reader{name: name, data: data, each: each}
	err := r.read()
	r.summary.Notes = r.notes.list()
	if err == nil && r.summary.Conversations == 0 {
		err = fmt.Errorf("exchange: %s: no conversation in it; these are read: %s%s", name, readable(), r.why())
	}
	return r.summary, err
}

// readable names the formats that Import knows.
func readable() string {
	var names []string
	for _, f := range Formats() {
		if f != Markdown {
			names = append(names, string(f))
		}
	}
	return strings.Join(names, ", ")
}

// reader reads one file.
type reader struct {
	name    string
	data    []byte
	each    func(*history.Conversation) error
	summary Summary
	notes   notes
	// loose messages, one a value, make one conversation together
	turns      []json.RawMessage
	turnsStart int64
}

// why adds the first note to the error of a file that holds nothing.
func (r *reader) why() string {
	if len(r.summary.Notes) == 0 {
		return ""
	}
	return " (" + r.summary.Notes[0] + ")"
}

func (r *reader) read() error {
	switch {
	case bytes.HasPrefix(r.data, []byte("\xff\xfe")), bytes.HasPrefix(r.data, []byte("\xfe\xff")):
		return fmt.Errorf("exchange: %s: the text is UTF-16; save it as UTF-8", r.name)
	case bytes.HasPrefix(r.data, []byte("\xef\xbb\xbf")):
		r.data = r.data[3:]
	}
	if len(bytes.TrimSpace(r.data)) == 0 {
		return fmt.Errorf("exchange: %s: it is empty", r.name)
	}
	if isTrace(r.data) {
		return r.traces()
	}
	d := json.NewDecoder(bytes.NewReader(r.data))
	for {
		at := r.skipSpace(d.InputOffset())
		if at == int64(len(r.data)) {
			return r.flush(at)
		}
		if r.data[at] == '[' {
			if err := r.array(d); err != nil {
				return err
			}
			continue
		}
		if err := r.next(d); err != nil {
			return err
		}
	}
}

// skipSpace returns the offset of the first byte at or after at that is no white space.
func (r *reader) skipSpace(at int64) int64 {
	for at < int64(len(r.data)) && strings.IndexByte(" \t\r\n", r.data[at]) >= 0 {
		at++
	}
	return at
}

// array reads the elements of an array. Those that are messages are a conversation, which ends with it.
func (r *reader) array(d *json.Decoder) error {
	if err := r.flush(d.InputOffset()); err != nil {
		return err
	}
	if _, err := d.Token(); err != nil {
		return r.damaged(d, err)
	}
	for d.More() {
		if err := r.next(d); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return r.damaged(d, err)
	}
	return r.flush(d.InputOffset())
}

// next reads one value.
func (r *reader) next(d *json.Decoder) error {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return r.damaged(d, err)
	}
	return r.value(raw, d.InputOffset()-int64(len(raw)))
}

// damaged says where the data are no JSON.
func (r *reader) damaged(d *json.Decoder, err error) error {
	at := r.skipSpace(d.InputOffset())
	if at < int64(len(r.data)) && r.data[at] == ',' {
		at = r.skipSpace(at + 1)
	}
	what := "this is no JSON: " + strings.TrimPrefix(err.Error(), "json: ")
	var syntax *json.SyntaxError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, what = int64(len(r.data)), "the file ends in the middle of a value; fetch or export it again"
	} else if err := json.NewDecoder(bytes.NewReader(r.data[at:])).Decode(new(json.RawMessage)); errors.As(err, &syntax) {
		at += max(syntax.Offset-1, 0) // d itself counts from a place that it does not tell
	}
	before := r.data[:min(at, int64(len(r.data)))]
	line, column := bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n')
	so := ""
	if r.summary.Conversations > 0 {
		so = fmt.Sprintf("; the %d conversations before it were read", r.summary.Conversations)
	}
	return fmt.Errorf("exchange: %s: line %d, byte %d: %s%s", r.name, line, column, what, so)
}

// value takes one JSON value into account: a conversation, or a message of one.
func (r *reader) value(raw json.RawMessage, at int64) error {
	switch first(raw) {
	case '[': // an array of arrays: each a conversation
		if err := r.flush(at); err != nil {
			return err
		}
		var inner []json.RawMessage
		loose(raw, &inner, &r.notes)
		return r.found(r.turnsOf(inner, raw))
	case '{':
	default:
		r.notes.add("a value that is no object: left out")
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		r.notes.add("an object that cannot be read: left out")
		return nil
	}
	if isTurn(fields) {
		if len(r.turns) == 0 {
			r.turnsStart = at
		}
		r.turns = append(r.turns, raw)
		return nil
	}
	if err := r.flush(at); err != nil {
		return err
	}
	read := recognise(fields)
	if read == nil {
		r.notes.add("an object of no known form: left out")
		return nil
	}
	return r.found(read(r, fields, raw))
}

// recognise tells by a value's fields how it is read, nil for a value of no known form.
func recognise(fields map[string]json.RawMessage) func(*reader, map[string]json.RawMessage, json.RawMessage) found {
	is := func(name string, kind byte) bool { return first(fields[name]) == kind }
	switch {
	case is("mapping", '{'):
		return (*reader).chatGPT
	case is("conversations", '['):
		return (*reader).shareGPT
	case is("internal", '['), is("data", '[') && is("data_visible", '['):
		return (*reader).textgen
	case is("messages", '[') && is("conv", '{'):
		return (*reader).traceObject
	case is("messages", '['):
		return (*reader).messages
	}
	return nil
}

// isTurn reports whether an object is a message that stands by itself.
func isTurn(fields map[string]json.RawMessage) bool {
	_, role := fields["role"]
	_, content := fields["content"]
	_, from := fields["from"]
	_, value := fields["value"]
	return role && content || from && value
}

// flush ends the conversation of messages that stand by themselves; end is where its bytes end.
func (r *reader) flush(end int64) error {
	if len(r.turns) == 0 {
		return nil
	}
	turns := r.turns
	r.turns = nil
	return r.found(r.turnsOf(turns, bytes.TrimSpace(r.data[r.turnsStart:end])))
}

// turnsOf reads messages that are not wrapped in anything.
func (r *reader) turnsOf(turns []json.RawMessage, source []byte) found {
	var fields map[string]json.RawMessage
	if len(turns) > 0 && json.Unmarshal(turns[0], &fields) == nil && fields["from"] != nil {
		return r.shareGPTTurns(turns, history.Header{}, source)
	}
	return r.openAITurns(turns, OpenAI, history.Header{}, "", source)
}

// found is a conversation as a reader of one format finds it.
type found struct {
	format  Format
	source  []byte // the bytes that it was read from
	header  history.Header
	nodes   []node
	current string // id of the node being read, "": the newest
}

// found hands a conversation out.
func (r *reader) found(f found) error {
	messages, leaf := grow(f.nodes, f.current, &r.notes)
	if len(messages) == 0 {
		r.notes.add("a conversation without messages: left out")
		return nil
	}
	f.header.ID = idOf(f.source)
	c, err := plant(f.header, messages, leaf, &r.notes)
	if err != nil {
		return fmt.Errorf("exchange: %s: conversation %d: %w", r.name, r.summary.Conversations+1, err)
	}
	return r.give(c, f.format)
}

func (r *reader) give(c *history.Conversation, format Format) error {
	if err := r.each(c); err != nil {
		return err
	}
	r.summary.Conversations++
	for _, f := range r.summary.Formats {
		if f == format {
			return nil
		}
	}
	r.summary.Formats = append(r.summary.Formats, format)
	return nil
}

// idOf draws a conversation's id, of history.NewID's form, from the bytes it was read from.
func idOf(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:8])
}

// titleOf returns the title that text-generation-webui keeps in a file's name, "" where that is only a date.
func titleOf(name string) string {
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	if strings.Trim(base, "0123456789-") == "" {
		return ""
	}
	return base
}

package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// maxJSON bounds the JSON files of a checkpoint that are read whole. The largest known, a tokenizer_config.json with two
// thousand added tokens, has 0.4 MB.
const maxJSON = 64 << 20

// fields reads the values of one JSON object. It remembers the first problem and returns defaults from then on, so that a
// configuration is read in a column and checked once. Keys with a null value count as absent.
type fields struct {
	file string // and the path inside it, for errors
	raw  map[string]json.RawMessage
	err  error
}

// readFields reads a file that holds a JSON object. A missing file is an error that wraps fs.ErrNotExist.
func readFields(path string) (*fields, error) {
	b, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	return parseFields(path, b)
}

func parseFields(file string, b []byte) (*fields, error) {
	f := &fields{file: file}
	d := json.NewDecoder(bytes.NewReader(b))
	var other *json.UnmarshalTypeError
	switch err := d.Decode(&f.raw); {
	case errors.As(err, &other):
		return nil, fmt.Errorf("model: %s: not a JSON object but %s; fetch the file again", file, other.Value)
	case err != nil:
		return nil, fmt.Errorf("model: %s: not a JSON object: %w; fetch the file again", file, err)
	case f.raw == nil:
		return nil, fmt.Errorf("model: %s: not a JSON object but null; fetch the file again", file)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("model: %s: something follows the JSON object; fetch the file again", file)
	}
	return f, nil
}

// readSmall reads a regular file that ought to be far smaller than maxJSON.
func readSmall(path string) ([]byte, error) {
	// Stat before Open: opening a named pipe would wait for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("model: %s: is not a regular file (%v); put the model's own file there", path, info.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if len(b) > maxJSON {
		return nil, fmt.Errorf("model: %s: larger than %d bytes; this is not a configuration file", path, maxJSON)
	}
	return b, nil
}

func (f *fields) fail(key, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("model: %s: %s: %s", f.file, key, fmt.Sprintf(format, args...))
	}
}

// get returns the first of keys that has a value, and which it was.
func (f *fields) get(keys ...string) (json.RawMessage, string) {
	for _, key := range keys {
		if v, ok := f.raw[key]; ok && string(bytes.TrimSpace(v)) != "null" {
			return v, key
		}
	}
	return nil, keys[0]
}

func (f *fields) has(keys ...string) bool {
	v, _ := f.get(keys...)
	return v != nil
}

// shorten quotes a value for an error message: on one line, cut, with nothing in it that a terminal would obey.
func shorten(v json.RawMessage) string {
	const most = 60
	var line bytes.Buffer
	if err := json.Compact(&line, v); err != nil {
		return strconv.Quote(err.Error()) // the decoder that gave v had checked it
	}
	text, more := line.String(), ""
	if len(text) > most {
		text, more = strings.ToValidUTF8(text[:most], ""), "…"
	}
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String() + more
}

// integer returns a whole number of at least 0. Python writes some as 2048.0.
func (f *fields) integer(def int, keys ...string) int {
	v, key := f.get(keys...)
	if v == nil {
		return def
	}
	n, ok := wholeNumber(v)
	if !ok || n < 0 || n > math.MaxInt32 {
		f.fail(key, "is %s; want a whole number from 0 to %d", shorten(v), math.MaxInt32)
		return def
	}
	return int(n)
}

// required is integer without a default.
func (f *fields) required(keys ...string) int {
	if !f.has(keys...) {
		f.fail(keys[0], "is missing; the file is not a complete model configuration")
		return 0
	}
	return f.integer(0, keys...)
}

func wholeNumber(v json.RawMessage) (int64, bool) {
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	x, err := strconv.ParseFloat(string(v), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}

func (f *fields) float(def float64, keys ...string) float64 {
	v, key := f.get(keys...)
	if v == nil {
		return def
	}
	var x float64
	if err := json.Unmarshal(v, &x); err != nil {
		f.fail(key, "is %s; want a number", shorten(v))
		return def
	}
	return x
}

func (f *fields) boolean(def bool, keys ...string) bool {
	v, key := f.get(keys...)
	if v == nil {
		return def
	}
	var x bool
	if err := json.Unmarshal(v, &x); err != nil {
		f.fail(key, "is %s; want true or false", shorten(v))
		return def
	}
	return x
}

func (f *fields) text(def string, keys ...string) string {
	v, key := f.get(keys...)
	if v == nil {
		return def
	}
	var x string
	if err := json.Unmarshal(v, &x); err != nil {
		f.fail(key, "is %s; want a string", shorten(v))
		return def
	}
	return x
}

// object returns a nested object, empty when it is absent.
func (f *fields) object(keys ...string) *fields {
	v, key := f.get(keys...)
	nested := &fields{file: f.file + ": " + key}
	if v == nil {
		return nested
	}
	if err := json.Unmarshal(v, &nested.raw); err != nil {
		f.fail(key, "is %s; want an object", shorten(v))
	}
	return nested
}

// ids returns one token id or a list of them, def when the key is absent. Ids are checked against the vocabulary by whoever
// knows it.
func (f *fields) ids(def []int32, keys ...string) []int32 {
	v, key := f.get(keys...)
	if v == nil {
		if _, null := f.raw[key]; null {
			return nil
		}
		return def
	}
	list := []json.RawMessage{v}
	if bytes.HasPrefix(bytes.TrimSpace(v), []byte("[")) {
		list = nil // decoding into v itself would write over the bytes that are read
		if err := json.Unmarshal(v, &list); err != nil {
			f.fail(key, "is %s; want a token id or a list of them", shorten(v))
			return def
		}
	}
	var ids []int32
	for _, item := range list {
		n, ok := wholeNumber(item)
		if !ok || n < math.MinInt32 || n > math.MaxInt32 {
			f.fail(key, "is %s; want a token id or a list of them", shorten(v))
			return def
		}
		ids = append(ids, int32(n))
	}
	return ids
}

// texts returns one string or a list of them.
func (f *fields) texts(keys ...string) []string {
	v, key := f.get(keys...)
	if v == nil {
		return nil
	}
	var one string
	if json.Unmarshal(v, &one) == nil {
		return []string{one}
	}
	var list []string
	if err := json.Unmarshal(v, &list); err != nil {
		f.fail(key, "is %s; want a string or a list of them", shorten(v))
		return nil
	}
	return list
}

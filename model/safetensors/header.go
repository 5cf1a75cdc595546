package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"

	"peregrine/model/tensor"
)

// maxHeader is the reference reader's limit on the header's bytes.
const maxHeader = 100_000_000

// header is what a file's JSON says, checked; the views have their data.
type header struct {
	tensors  []tensor.View // in order of their offsets
	metadata map[string]string
}

// parse reads a whole file. Its checks are the reference reader's, and duplicate names and keys are refused besides.
func parse(data []byte) (header, error) {
	if len(data) < 8 {
		return header{}, fmt.Errorf("header too small: %d bytes, a safetensors file begins with 8 for the header's length", len(data))
	}
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return header{}, fmt.Errorf("header of %d bytes is too large; the limit is %d (is this a safetensors file?)", n, maxHeader)
	}
	if n > uint64(len(data)-8) {
		return header{}, fmt.Errorf("header of %d bytes passes the file's end at %d; the file is truncated", n, len(data))
	}
	text, rest := data[8:8+n], data[8+n:]
	if !utf8.Valid(text) {
		return header{}, errors.New("header is not UTF-8")
	}
	if len(text) == 0 || text[0] != '{' {
		return header{}, errors.New("header does not begin with {")
	}
	p := parser{json.NewDecoder(bytes.NewReader(text))}
	p.UseNumber()
	h, spans, err := p.header()
	if err != nil {
		return header{}, err
	}
	return h, h.place(spans, rest)
}

// span is a tensor's place in the data: [begin, end).
type span struct{ begin, end uint64 }

// place checks that the tensors cover data without holes or overlaps and gives them their bytes.
func (h *header) place(spans []span, data []byte) error {
	order := make([]int, len(spans))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(spans[a].begin, spans[b].begin), cmp.Compare(spans[a].end, spans[b].end))
	})
	sorted := make([]tensor.View, len(order))
	end := uint64(0)
	for i, at := range order {
		v, s := h.tensors[at], spans[at]
		if s.begin != end || s.end < s.begin {
			return fmt.Errorf("tensor %q: offsets [%d, %d) do not follow the previous tensor's end %d", v.Name, s.begin, s.end, end)
		}
		end = s.end
		want, err := byteSize(v)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", v.Name, err)
		}
		if s.end-s.begin != want {
			return fmt.Errorf("tensor %q: %v %v needs %d bytes, its offsets [%d, %d) hold %d",
				v.Name, v.DType, v.Shape, want, s.begin, s.end, s.end-s.begin)
		}
		if s.end > uint64(len(data)) {
			return fmt.Errorf("tensor %q: offsets [%d, %d) pass the data's end %d; the file is truncated", v.Name, s.begin, s.end, len(data))
		}
		v.Data = data[s.begin:s.end:s.end]
		sorted[i] = v
	}
	if end != uint64(len(data)) {
		return fmt.Errorf("%d bytes follow the last tensor's end %d", uint64(len(data))-end, end)
	}
	h.tensors = sorted
	return nil
}

// byteSize returns what the tensor's type and shape need, checked for overflow.
func byteSize(v tensor.View) (uint64, error) {
	n := uint64(1)
	for _, d := range v.Shape {
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || int64(lo) < 0 {
			return 0, fmt.Errorf("shape %v overflows", v.Shape)
		}
		n = lo
	}
	hi, n := bits.Mul64(n, uint64(v.DType.Bits()))
	if hi != 0 {
		return 0, fmt.Errorf("shape %v of %v overflows", v.Shape, v.DType)
	}
	if n%8 != 0 {
		return 0, fmt.Errorf("shape %v of %v is %d bits, not whole bytes", v.Shape, v.DType, n)
	}
	return n / 8, nil
}

// parser reads the header's JSON token by token, since decoding into maps would let the last of two equal keys win.
type parser struct{ *json.Decoder }

func (p parser) header() (header, []span, error) {
	var h header
	var spans []span
	err := p.object(func(name string) error {
		if name == "__metadata__" {
			h.metadata = make(map[string]string)
			return p.object(func(key string) error {
				value, err := p.string()
				if err != nil {
					return fmt.Errorf("__metadata__ %q: %w", key, err)
				}
				h.metadata[key] = value
				return nil
			})
		}
		v, s, err := p.tensor()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		v.Name = name
		h.tensors, spans = append(h.tensors, v), append(spans, s)
		return nil
	})
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return header{}, nil, fmt.Errorf("header: %w", err)
	}
	return h, spans, nil
}

func (p parser) tensor() (v tensor.View, s span, err error) {
	var seen [3]bool
	err = p.object(func(key string) error {
		var err error
		switch key {
		case "dtype":
			seen[0] = true
			v.DType, err = p.dtype()
		case "shape":
			seen[1] = true
			v.Shape, err = p.shape()
		case "data_offsets":
			seen[2] = true
			var offsets []uint64
			if offsets, err = p.numbers(3); err == nil && len(offsets) != 2 {
				err = fmt.Errorf("%d numbers, want 2", len(offsets))
			}
			if err == nil {
				s = span{offsets[0], offsets[1]}
			}
		default:
			err = p.skip()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	for i, key := range []string{"dtype", "shape", "data_offsets"} {
		if err == nil && !seen[i] {
			err = fmt.Errorf("%s is missing", key)
		}
	}
	return v, s, err
}

func (p parser) dtype() (tensor.DType, error) {
	name, err := p.string()
	if err != nil {
		return tensor.Invalid, err
	}
	d, ok := tensor.ParseDType(name)
	if !ok {
		return d, fmt.Errorf("unknown element type %q", name)
	}
	return d, nil
}

func (p parser) shape() ([]int, error) {
	dims, err := p.numbers(-1)
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(dims))
	for i, d := range dims {
		if shape[i] = int(d); shape[i] < 0 || uint64(shape[i]) != d {
			return nil, fmt.Errorf("dimension %d overflows", d)
		}
	}
	return shape, nil
}

// object calls member for each key of the object that comes next; member reads the value. A repeated key is refused.
func (p parser) object(member func(key string) error) error {
	if err := p.open('{'); err != nil {
		return err
	}
	seen := make(map[string]struct{})
	for p.More() {
		key, err := p.string()
		if err != nil {
			return err
		}
		if _, ok := seen[key]; ok {
			return fmt.Errorf("%q appears twice", key)
		}
		seen[key] = struct{}{}
		if err := member(key); err != nil {
			return err
		}
	}
	_, err := p.next() // the brace, or what More stopped at
	return err
}

// numbers reads an array of unsigned integers, at most limit of them when limit is positive.
func (p parser) numbers(limit int) ([]uint64, error) {
	if err := p.open('['); err != nil {
		return nil, err
	}
	var list []uint64
	for p.More() && len(list) != limit {
		t, err := p.next()
		if err != nil {
			return nil, err
		}
		number, ok := t.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s is not a number", show(t))
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%v is not an unsigned 64-bit integer", number)
		}
		list = append(list, n)
	}
	if p.More() {
		return nil, fmt.Errorf("more than %d numbers", limit-1)
	}
	_, err := p.next()
	return list, err
}

func (p parser) open(want json.Delim) error {
	t, err := p.next()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%s where %v is expected", show(t), want)
	}
	return nil
}

func (p parser) string() (string, error) {
	t, err := p.next()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", show(t))
	}
	return s, nil
}

// end checks that nothing follows but white space.
func (p parser) end() error {
	if t, err := p.Token(); err == nil {
		return fmt.Errorf("%s follows the closing brace", show(t))
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// show returns the token as JSON has it, with nothing in it that a terminal would obey.
func show(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(t)
	default:
		return fmt.Sprint(t)
	}
}

// skip passes over the value that comes next, whatever it is.
func (p parser) skip() error {
	for depth := 0; ; {
		t, err := p.next()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// next is Token with an error that says what is wrong at an early end.
func (p parser) next() (json.Token, error) {
	t, err := p.Token()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.New("JSON ends early")
	}
	return t, err
}

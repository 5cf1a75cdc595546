package history

import (
	"bufio"
	"errors"
	"io"
)

// Limits on what is read of one file. Nothing that a file says sizes an allocation; these bound what it holds.
const (
	maxLine     = 64 << 20 // bytes of one line, newline included
	maxBytes    = 1 << 30  // of one file
	maxMessages = 1 << 18
	maxWarnings = 50
)

// scanner cuts a file into lines without holding more than one.
type scanner struct {
	r      *bufio.Reader
	buf    []byte
	offset int64 // of the next line
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 64<<10)}
}

// scanned is one line. text has no newline and holds until the next call.
type scanned struct {
	text  []byte
	start int64
	ended bool // there was a newline
	long  bool // longer than maxLine: text is nil
}

// next returns io.EOF after the last line.
func (s *scanner) next() (scanned, error) {
	line := scanned{start: s.offset}
	s.buf = s.buf[:0]
	for {
		piece, err := s.r.ReadSlice('\n')
		s.offset += int64(len(piece))
		if !line.long && len(s.buf)+len(piece) > maxLine {
			line.long, s.buf = true, nil
		}
		if err == nil && len(s.buf) == 0 && !line.long { // the common case: no copy
			line.text, line.ended = piece[:len(piece)-1], true
			return line, nil
		}
		if !line.long {
			s.buf = append(s.buf, piece...)
		}
		switch {
		case err == nil:
			line.ended = true
			if !line.long {
				line.text = s.buf[:len(s.buf)-1]
			}
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && s.offset > line.start:
			line.text = s.buf
			return line, nil
		default:
			return line, err
		}
	}
}

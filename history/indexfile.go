package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"peregrine/history/words"
)

// An index file is this line, then numbers and texts, then a checksum (CRC-32C, 4 bytes, little endian) of all before it. A
// number is a varint, a text its length and its bytes:
//
//	number of words, then each word
//	number of conversations, then of each: file name, size, time of change, time of change of the inode, inode, id, name,
//	title, preview, model, number of messages, the packed ids of its words
const indexMagic = "peregrine index 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// load reads the index file once. One that is missing, of another version or damaged counts as empty: everything in it can be
// read from the conversations.
func (x *index) load() {
	x.once.Do(func() {
		words, files, err := readIndex(x.path(), x.dir)
		if err != nil {
			return
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.words, x.ids = words, nil
		x.set(files)
	})
}

func readIndex(path, dir string) (words []string, files []indexed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxIndex {
		return nil, nil, errors.Join(err, fmt.Errorf("history: %s: no index file", path))
	}
	var text strings.Builder // its parts are kept as they are
	text.Grow(int(info.Size()))
	if _, err := io.Copy(&text, io.LimitReader(f, info.Size())); err != nil {
		return nil, nil, err
	}
	return decodeIndex(text.String(), dir)
}

// decodeIndex reads the text of an index file of a folder. The result holds parts of the text.
func decodeIndex(text, dir string) (words []string, files []indexed, err error) {
	body, ok := strings.CutPrefix(text, indexMagic)
	if !ok || len(body) < crc32.Size {
		return nil, nil, errors.New("history: no index, or of another version")
	}
	end := len(text) - crc32.Size
	sum := uint32(text[end]) | uint32(text[end+1])<<8 | uint32(text[end+2])<<16 | uint32(text[end+3])<<24
	if checksum(text[:end]) != sum {
		return nil, nil, errors.New("history: the index is damaged")
	}
	r := cursor{rest: body[:len(body)-crc32.Size]}
	for n := r.count(maxWords); n > 0 && !r.broken; n-- {
		words = append(words, r.text())
	}
	for n := r.count(maxFiles); n > 0 && !r.broken; n-- {
		files = append(files, r.indexed(dir))
	}
	if r.broken || r.rest != "" {
		return nil, nil, errors.New("history: the index is damaged")
	}
	return words, files, nil
}

// checksum goes through a text without a copy of all of it.
func checksum(text string) uint32 {
	sum, buf := uint32(0), make([]byte, 64<<10)
	for text != "" {
		n := copy(buf, text)
		sum, text = crc32.Update(sum, castagnoli, buf[:n]), text[n:]
	}
	return sum
}

// cursor reads numbers and texts.
type cursor struct {
	rest   string
	broken bool // what was to be read is not there; all that is read then is empty
}

func (r *cursor) number() uint64 {
	n := uint64(0)
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		b := r.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.rest, r.broken = "", true
	return 0
}

// count reads a number that may not be above a limit.
func (r *cursor) count(limit int) int {
	n := r.number()
	if n > uint64(limit) {
		r.rest, r.broken = "", true
		return 0
	}
	return int(n)
}

func (r *cursor) text() string {
	n := r.count(maxIndex)
	if n > len(r.rest) {
		r.rest, r.broken = "", true
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// indexed reads a conversation.
func (r *cursor) indexed(dir string) indexed {
	name := r.text()
	if name != filepath.Base(name) || !strings.HasSuffix(name, extension) {
		r.rest, r.broken = "", true
		return indexed{}
	}
	e := Entry{Path: filepath.Join(dir, name)}
	e.stamp = stamp{int64(r.number()), int64(r.number()), int64(r.number()), r.number()}
	e.Modified = time.Unix(0, e.stamp.modified)
	e.ID, e.Name, e.Title, e.Preview, e.Model = r.text(), r.text(), r.text(), r.text(), r.text()
	e.Messages = r.count(maxIndex)
	return indexed{entry: e, folded: words.Fold(e.Title), words: r.text()}
}

// encode returns the text of the file: conversations as a list has them, words that are in use alone.
func (x *index) encode() []byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	used := make([]bool, len(x.words))
	for i := range x.files {
		unpack(x.files[i].words, len(used), func(id uint32) { used[id] = true })
	}
	renumbered, n := make([]uint32, len(x.words)), uint32(0)
	body := []byte(nil)
	for id, w := range x.words {
		if used[id] {
			renumbered[id] = n // the order stays, so that ids ascend as before
			n++
			body = appendText(body, w)
		}
	}
	out := binary.AppendUvarint([]byte(indexMagic), uint64(n))
	out = append(out, body...)
	out = binary.AppendUvarint(out, uint64(len(x.files)))
	files := slices.Clone(x.files)
	slices.SortFunc(files, func(a, b indexed) int { return a.entry.compare(b.entry) })
	var ids []uint32
	for i := range files {
		e := &files[i].entry
		out = appendText(out, filepath.Base(e.Path))
		for _, n := range []uint64{uint64(e.stamp.size), uint64(e.stamp.modified), uint64(e.stamp.changed), e.stamp.inode} {
			out = binary.AppendUvarint(out, n)
		}
		for _, s := range []string{e.ID, e.Name, e.Title, e.Preview, e.Model} {
			out = appendText(out, s)
		}
		out = binary.AppendUvarint(out, uint64(e.Messages))
		ids = ids[:0]
		unpack(files[i].words, len(used), func(id uint32) { ids = append(ids, renumbered[id]) })
		out = appendText(out, packed(ids))
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// save writes the file if something has changed, atomically: another process finds the old one or the new one, and whoever
// writes last has it. It is not synced: the checksum tells a file that a crash left half written.
func (x *index) save() error {
	x.mu.Lock()
	changed := x.changed
	x.changed = false
	x.mu.Unlock()
	if !changed {
		return nil
	}
	text := x.encode()
	if len(text) > maxIndex {
		return fmt.Errorf("history: %s: the index would have %d bytes and %d are the most; it is made anew at each start", x.path(), len(text), maxIndex)
	}
	x.sweep()
	temp, err := os.CreateTemp(x.dir, tempIndex) // 0600
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), x.path())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("history: save %s: %w", x.path(), err), os.Remove(temp.Name()))
	}
	return nil
}

const tempIndex = ".index-*"

// sweep removes what was left by processes that were killed while they wrote.
func (x *index) sweep() {
	left, _ := filepath.Glob(filepath.Join(x.dir, tempIndex)) // the pattern is right; a folder with [ in its name keeps its litter
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(path) // only room on the disk depends on it
		}
	}
}

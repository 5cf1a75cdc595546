package history

import (
	"encoding/binary"
	"path/filepath"
	"slices"
	"sync"

	"peregrine/history/words"
)

// Limits of an index: what is beyond them is in the list and is not found by its text.
const (
	maxWords     = 1 << 21 // different ones, of all conversations
	maxFileWords = 1 << 15 // of one conversation
	maxFiles     = 1 << 18
	maxIndex     = 256 << 20 // bytes of the file
)

// index is what a search needs to know of a store's conversations: what a list shows of each, and which words are in it. Texts
// are not in it, so that ten thousand conversations need some megabytes. An entry counts only while its file has the stamp that
// it had when it was read; the file of the index only saves reading them all anew.
type index struct {
	dir string

	once    sync.Once
	mu      sync.RWMutex // guards what follows
	words   []string     // folded, each once; a word's place is its id
	ids     map[string]uint32
	files   []indexed
	place   map[string]int // path → place in files
	changed bool           // since the file was read or written
}

// indexed is one conversation. It does not change once it is in the index.
type indexed struct {
	entry  Entry
	folded string // its title
	words  string // the ids of its words in ascending order, each as the varint of its distance from the one before
}

func newIndex(dir string) *index {
	return &index{dir: dir, place: map[string]int{}}
}

// vocabulary gathers the words of a conversation. A nil one gathers none.
type vocabulary map[string]struct{}

func (v vocabulary) add(text string) {
	if v == nil {
		return
	}
	folded := words.Fold(text)
	words.Each(folded, func(start, end int) bool {
		if _, ok := v[folded[start:end]]; !ok && len(v) < maxFileWords {
			v[folded[start:end]] = struct{}{}
		}
		return true
	})
}

// fill completes an entry with what is known, or else with what its file says, which is known then. What cannot be read is tried
// again each time.
func (x *index) fill(e *Entry) {
	x.mu.RLock()
	at, ok := x.place[e.Path]
	if ok && x.files[at].entry.stamp == e.stamp {
		*e = x.files[at].entry
		x.mu.RUnlock()
		return
	}
	x.mu.RUnlock()
	found := vocabulary{}
	if e.load(found); e.Err == nil {
		x.put(*e, found)
	}
}

// put adds a conversation or replaces it.
func (x *index) put(e Entry, found vocabulary) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ids == nil {
		x.ids = make(map[string]uint32, len(x.words))
		for id, w := range x.words {
			x.ids[w] = uint32(id)
		}
	}
	ids := make([]uint32, 0, len(found))
	for w := range found {
		id, ok := x.ids[w]
		if !ok {
			if len(x.words) == maxWords {
				continue
			}
			w = string([]byte(w)) // a word must not keep its whole text in memory
			id = uint32(len(x.words))
			x.words, x.ids[w] = append(x.words, w), id
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	file := indexed{entry: e, folded: words.Fold(e.Title), words: packed(ids)}
	if at, ok := x.place[e.Path]; ok {
		x.files[at] = file
	} else if len(x.files) < maxFiles {
		x.place[e.Path] = len(x.files)
		x.files = append(x.files, file)
	}
	x.changed = true
}

// packed writes ascending ids.
func packed(ids []uint32) string {
	b := make([]byte, 0, 2*len(ids))
	last := uint32(0)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id-last))
		last = id
	}
	return string(b)
}

// unpack reads what packed wrote, the ids below limit alone.
func unpack(packed string, limit int, yield func(id uint32)) {
	for id, i := uint64(0), 0; i < len(packed); {
		n, size := step(packed[i:])
		if id, i = id+n, i+size; id >= uint64(limit) {
			return
		}
		yield(uint32(id))
	}
}

// step reads a varint at the start of a text that is not empty. One that is cut off is none that limit allows.
func step(s string) (n uint64, size int) {
	if s[0] < 0x80 { // nearly all
		return uint64(s[0]), 1
	}
	r := cursor{rest: s}
	if n = r.number(); r.broken {
		n = 1 << 32
	}
	return n, len(s) - len(r.rest)
}

// retain forgets the conversations whose files are gone.
func (x *index) retain(entries []Entry) {
	there := make(map[string]bool, len(entries))
	for i := range entries {
		there[entries[i].Path] = true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	kept := x.files[:0:0]
	for _, f := range x.files {
		if there[f.entry.Path] {
			kept = append(kept, f)
		}
	}
	if len(kept) != len(x.files) {
		x.changed = true
		x.set(kept)
	}
}

// set replaces the conversations.
func (x *index) set(files []indexed) {
	x.files, x.place = files, make(map[string]int, len(files))
	for i := range files {
		x.place[files[i].entry.Path] = i
	}
}

// path returns where the index is kept.
func (x *index) path() string { return filepath.Join(x.dir, ".index") }

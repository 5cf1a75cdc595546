package tokenizer

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Building the library takes some 4 µs for each token of a vocabulary: 200 ms for SmolLM2's 49,152, 2 ms for what a text of 200 bytes
// can become.
const (
	maxExcerptText = 4 << 10 // bytes of a text for which an excerpt is made, at most
	maxExcerpts    = 8       // excerpts that are made, at most
)

// encoder holds the library, which it builds when it is needed: at first with no more of the vocabulary than a short text can
// become. That gives the same ids, since the library finds every merge in an excerpt that it would find in the whole.
type encoder struct {
	lexicon *lexicon
	whole   atomic.Pointer[library]

	building sync.Mutex // held while whole is built

	mu    sync.Mutex // guards what follows; held while part works
	part  *library   // of an excerpt; nil: none, or no longer needed
	keep  bits       // what part knows
	built int        // how many parts there were
}

// newEncoder makes sure that the library takes the pre-tokenizer, which has patterns of the file in it.
func newEncoder(l *lexicon) (*encoder, error) {
	e := &encoder{lexicon: l}
	if !l.excerpts {
		return e, e.complete()
	}
	return e, e.take(l.excerpt(""))
}

// take builds the library of the tokens in keep.
func (e *encoder) take(keep bits) error {
	part, err := newLibrary(e.lexicon.appendJSON(nil, keep))
	if err != nil {
		return err
	}
	err = e.dropPart()
	e.part, e.keep = part, keep
	return err
}

func (e *encoder) dropPart() error {
	if e.part == nil {
		return nil
	}
	err := e.part.close()
	e.part = nil
	return err
}

// with calls do with a library that knows all that text and its parts can become.
func (e *encoder) with(text string, do func(*library)) error {
	if whole := e.whole.Load(); whole != nil {
		do(whole)
		return nil
	}
	if done, err := e.withPart(text, do); done || err != nil {
		return err
	}
	if err := e.complete(); err != nil {
		return err
	}
	do(e.whole.Load())
	return nil
}

// withPart is with for a text that an excerpt is enough for, if there may be one more.
func (e *encoder) withPart(text string, do func(*library)) (done bool, err error) {
	if len(text) > maxExcerptText || !e.lexicon.covers(text) {
		return false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.whole.Load() != nil {
		return false, nil
	}
	if keep := e.lexicon.excerpt(text); e.part == nil || !e.keep.holds(keep) {
		if e.built == maxExcerpts {
			return false, nil
		}
		e.built++
		if err := e.take(keep); err != nil {
			return false, err
		}
	}
	do(e.part)
	return true, nil
}

// complete builds the library of the whole vocabulary, unless that is done.
func (e *encoder) complete() error {
	e.building.Lock()
	defer e.building.Unlock()
	if e.whole.Load() != nil {
		return nil
	}
	whole, err := newLibrary(e.lexicon.appendJSON(make([]byte, 0, e.lexicon.size()), e.lexicon.reachable))
	if err != nil {
		return err
	}
	giveBack()
	e.whole.Store(whole)
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dropPart()
}

// close ends what is built. Nothing may work or be built at that time.
func (e *encoder) close() error {
	err := e.dropPart()
	if whole := e.whole.Load(); whole != nil {
		err = errors.Join(err, whole.close())
	}
	return err
}

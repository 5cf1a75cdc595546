package cuda

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/model"
)

// executor is a model on the device and one sequence's KV cache. It needs the backend's lock.
type executor struct {
	b *Backend
	d driver.Device
	*resident
	plan    plan
	stream  driver.Stream
	graphs  map[pass]driver.Graph
	upload  []byte    // page-locked: what a pass needs from the host
	results []byte    // page-locked: candidates and log sums
	logits  []byte    // page-locked, made when logits are first asked for
	freq    []float64 // rotary frequencies
	length  int       // tokens that the KV cache has
	lost    error     // why the device is not usable any more
	closed  bool
}

// pass is what one run of the plan does: so many tokens, and the logits of so many of the last ones.
type pass struct{ tokens, rows int }

// graphed reports whether a pass is worth a graph: those of decoding and verifying, and of
// short prompts, which come again and again.
func (p pass) graphed() bool { return p.tokens <= decodeTokens && (p.rows == 0 || p.rows == p.tokens) }

// Forward runs passes of at most chunkTokens tokens and copies what out wants. See model.Executor. ctx is looked at before
// every pass.
func (e *executor) Forward(ctx context.Context, tokens []int32, pos int, out *model.Output) error {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	switch {
	case e.closed:
		return errors.New("cuda: forward: closed")
	case e.lost != nil:
		return e.lost
	}
	if err := model.CheckForward(e.config, e.length, e.limit, tokens, pos, out); err != nil {
		return err
	}
	e.length = min(e.length, pos)
	if out == nil {
		out = &model.Output{}
	}
	e.rope(pos + len(tokens))
	for at := 0; at < len(tokens); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := e.next(len(tokens)-at, out.Rows)
		p := pass{tokens: n, rows: max(0, n-max(0, len(tokens)-out.Rows-at))}
		if err := e.pass(p, tokens[at:at+n], pos+at, out, at+n-p.rows-(len(tokens)-out.Rows)); err != nil {
			err = during(fmt.Sprintf("forward of %d tokens at position %d", n, pos+at), err)
			if errors.Is(err, driver.ErrLost) {
				e.lost = err
			}
			return err
		}
		at += n
		e.length = pos + at
	}
	return nil
}

// next returns the tokens of the next pass when left are to come and the last rows of them want logits: no pass has more
// rows than the logits buffer holds, and few tokens go in passes of decodeTokens where that is quicker.
func (e *executor) next(left, rows int) int {
	n := min(left, chunkTokens)
	if left <= e.shortPrompt {
		n = min(left, decodeTokens)
	}
	if silent := left - rows; silent > 0 {
		if n <= silent+logitsRows {
			return n
		}
		return silent + logitsRows
	}
	return min(n, logitsRows)
}

// rope sets the rotary frequencies of a Forward that makes the sequence so long. Those of all its passes are the same.
func (e *executor) rope(length int) {
	if e.config.Positions == model.Rotary && (e.freq == nil || e.config.Rope.Scaling == model.RopeDynamic) {
		e.freq = e.config.Rope.InvFreq(e.config.HeadDim, length)
	}
}

// pass runs tokens at pos; the rows that it yields are rows first… of out. It returns when the stream is done, after an error
// too: what was issued before it reads e.upload, which the next pass fills.
func (e *executor) pass(p pass, tokens []int32, pos int, out *model.Output, first int) (err error) {
	defer func() {
		if err != nil {
			_ = e.stream.Synchronize() // what it meets, the next call meets too
		}
	}()
	e.fill(tokens, pos)
	if err := e.run(p); err != nil {
		return err
	}
	wanted := out.Logits != nil || e.wantsMore(out)
	if wanted && p.rows > 0 {
		if err := e.copyLogits(p.rows); err != nil {
			return err
		}
	}
	if err := e.stream.Synchronize(); err != nil {
		return err
	}
	for r := range p.rows {
		e.result(out, first+r, r, p.rows, wanted)
	}
	return nil
}

// wantsMore reports whether a row wants more candidates than the device picks.
func (e *executor) wantsMore(out *model.Output) bool {
	for _, top := range out.Top {
		if len(top) > topMost {
			return true
		}
	}
	return false
}

// fill writes what the pass reads from the host: position, ids, rotary angles, counters that begin at 0.
func (e *executor) fill(tokens []int32, pos int) {
	u := uploadLayout(len(tokens), &e.config)
	binary.LittleEndian.PutUint32(e.upload, uint32(pos))
	for i, id := range tokens {
		binary.LittleEndian.PutUint32(e.upload[u.ids+4*i:], uint32(id))
	}
	clear(e.upload[u.counters:u.bytes])
	if e.config.Positions != model.Rotary {
		return
	}
	at := e.upload[u.angles:]
	for t := range tokens {
		for _, f := range e.freq {
			sin, cos := math.Sincos(float64(pos+t) * f)
			binary.LittleEndian.PutUint32(at, math.Float32bits(float32(cos)))
			binary.LittleEndian.PutUint32(at[4:], math.Float32bits(float32(sin)))
			at = at[8:]
		}
	}
}

// run replays the pass's graph, or launches its kernels one by one.
func (e *executor) run(p pass) error {
	if !p.graphed() {
		return e.record(p)
	}
	g := e.graphs[p]
	if g == nil {
		var err error
		if g, err = e.stream.Capture(func() error { return e.record(p) }); err != nil {
			return err
		}
		e.graphs[p] = g
	}
	return e.stream.Replay(g)
}

// record issues everything that a pass does on the device.
func (e *executor) record(p pass) error {
	u := uploadLayout(p.tokens, &e.config)
	if err := e.stream.CopyToDevice(e.at(e.work.upload), e.upload[:u.bytes]); err != nil {
		return err
	}
	launches, err := e.plan.launches(p)
	if err != nil {
		return err
	}
	for _, l := range launches {
		if err := l.on(e.stream); err != nil {
			return err
		}
	}
	if p.rows == 0 {
		return nil
	}
	return e.stream.CopyToHost(e.results[:resultBytes(p.rows)], e.at(e.work.results))
}

func (e *executor) copyLogits(rows int) error {
	bytes := rows * e.config.Vocab * 4
	if len(e.logits) < bytes {
		b, err := e.d.AllocHost(bytes)
		if err != nil {
			return err
		}
		old := e.logits
		e.logits = b
		if old != nil {
			if err := e.d.ReleaseHost(old); err != nil {
				return err
			}
		}
	}
	return e.stream.CopyToHost(e.logits[:bytes], e.at(e.work.logits))
}

// result fills row `to` of out from row r of a pass with so many rows.
func (e *executor) result(out *model.Output, to, r, rows int, logits bool) {
	if logits {
		vocab := e.config.Vocab
		model.FillOutput(out, to, unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(e.logits))), rows*vocab)[r*vocab:(r+1)*vocab])
		return
	}
	if out.Top != nil {
		top := unsafe.Slice((*model.Candidate)(unsafe.Pointer(unsafe.SliceData(e.results))), rows*topMost)
		copy(out.Top[to], top[r*topMost:])
	}
	if out.LogSum != nil {
		out.LogSum[to] = math.Float32frombits(binary.LittleEndian.Uint32(e.results[rows*topMost*8+4*r:]))
	}
}

// result reads candidates where the device wrote them: this does not compile if the two sizes differ.
var _ = [1]struct{}{}[unsafe.Sizeof(model.Candidate{})-unsafe.Sizeof(candidate{})]

// resultBytes returns the size of a pass's results: candidates [rows][topMost], log sums [rows].
func resultBytes(rows int) int { return rows * (topMost*8 + 4) }

// Close gives the device's memory back. It may be called twice, and after the backend was closed.
func (e *executor) Close() error {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	delete(e.b.open, e)
	return e.free()
}

// free needs the backend's lock.
func (e *executor) free() error {
	if e.closed {
		return nil
	}
	e.closed = true
	var errs []error
	for _, g := range e.graphs {
		errs = append(errs, g.Close())
	}
	if e.stream != nil {
		errs = append(errs, e.stream.Close())
	}
	for _, b := range [][]byte{e.upload, e.results, e.logits} {
		if b != nil {
			errs = append(errs, e.d.ReleaseHost(b))
		}
	}
	errs = append(errs, e.memory.close(e.d))
	if err := cmp.Or(errs...); !errors.Is(err, driver.ErrLost) {
		return err
	}
	return nil // a lost device takes its memory with it, and says so at every call
}

package cuda

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"runtime"
	"unsafe"

	"peregrine/cuda/driver"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

const (
	// rowStaging bounds the device memory that a matrix stored in rows is staged in; larger ones come in parts.
	rowStaging = 64 << 20
	// stagingAreas take turns: one is filled while the other is repacked.
	stagingAreas = 2
	// mostReaders fill page-locked buffers side by side; more gain nothing.
	mostReaders = 12
)

// stagingNeed is the device memory that loading takes beside the model.
func (r *resident) stagingNeed() int64 {
	var most int64
	for _, m := range r.matrices {
		for _, j := range m.jobs() {
			most = max(most, j.area.size)
		}
	}
	return stagingAreas * most
}

// load allocates and fills everything. After an error free gives back what there is.
func (e *executor) load(ctx context.Context, progress func(done, total int64)) (err error) {
	e.graphs = map[pass]driver.Graph{}
	e.plan = plan{e.resident, e.d}
	if e.stream, err = e.d.Stream(); err != nil {
		return err
	}
	if e.upload, err = e.d.AllocHost(uploadLayout(chunkTokens, &e.config).bytes); err != nil {
		return err
	}
	if e.results, err = e.d.AllocHost(resultBytes(logitsRows)); err != nil {
		return err
	}
	if c, ok := e.d.(driver.Compiler); ok {
		c.Compile(e.modules())
	}
	if err := e.memory.open(e.d); err != nil {
		return err
	}
	// Padding of inputs and cached keys must be zero, counters too.
	from := e.sizes.Weights
	if err := e.stream.Fill(e.memory.base+driver.Ptr(from), 0, e.memory.size-from); err != nil {
		return err
	}
	if err := e.fillWeights(ctx, progress); err != nil {
		return err
	}
	e.forget()
	return e.stream.Synchronize()
}

// fillWeights sends vectors and matrices through the stager and repacks them.
func (e *executor) fillWeights(ctx context.Context, progress func(done, total int64)) (err error) {
	var areas [stagingAreas]arena
	var free [stagingAreas]driver.Event
	defer func() {
		for i := range areas {
			err = cmp.Or(err, areas[i].close(e.d))
			if free[i] != nil {
				err = cmp.Or(err, free[i].Close())
			}
		}
	}()
	for i := range areas {
		areas[i].size = e.sizes.Staging / stagingAreas
		if err := areas[i].open(e.d); err != nil {
			return err
		}
		if free[i], err = e.d.Event(); err != nil {
			return err
		}
	}
	s, err := newStager(e.d, min(mostReaders, runtime.GOMAXPROCS(0)))
	defer func() {
		// What is under way reads and writes the staging areas.
		err = cmp.Or(err, s.close(), e.stream.Synchronize())
	}()
	if err != nil {
		return err
	}
	count := &progressCounter{report: progress}
	for _, m := range e.matrices {
		for _, j := range m.jobs() {
			count.total += j.bytes
		}
	}
	if err := s.send(ctx, e.stream, e.vectorPieces()); err != nil {
		return err
	}
	n := 0
	for _, m := range e.matrices {
		for _, j := range m.jobs() {
			i := n % stagingAreas
			if n >= stagingAreas {
				if err := free[i].Synchronize(); err != nil {
					return err
				}
			}
			n++
			if err := s.send(ctx, e.stream, j.pieces(m, &areas[i])); err != nil {
				return err
			}
			if err := e.repack(m, j, &areas[i]); err != nil {
				return during(m.parts[0].Name, err)
			}
			if err := e.stream.Record(free[i]); err != nil {
				return err
			}
			count.add(j.bytes)
		}
		for _, part := range m.parts {
			releaseSource(part)
		}
	}
	return nil
}

// progressCounter reports at most about a hundred times.
type progressCounter struct {
	report            func(done, total int64)
	done, total, told int64
}

func (c *progressCounter) add(bytes int64) {
	c.done += bytes
	if c.report != nil && (c.done == c.total || c.done-c.told > c.total/100) {
		c.told = c.done
		c.report(c.done, c.total)
	}
}

func (e *executor) vectorPieces() (list []piece) {
	for _, v := range e.vectors {
		list = pieces(list, e.at(v.at), v.data)
	}
	return list
}

// job is a run of row tiles of a matrix, small enough to be staged at once: whole matrices in GPTQ's format, whose
// columns are packed, as many tiles as fit in the formats of rows.
type job struct {
	first, tiles int
	bytes        int64 // of source, for progress
	area         arena // its layout within a staging area
	copies       []staged
	rowTable     slot
	kTable       slot
}

// staged is source bytes and where they are staged.
type staged struct {
	at   slot
	data []byte
}

// jobs cuts the loading of m into pieces of work.
func (m *matrix) jobs() []*job {
	if m.parts[0].Format == quant.GPTQFormat {
		return []*job{m.gptqJob()}
	}
	rowBytes := m.rowBytes()
	step := max(1, rowStaging/(rowBytes*tileRows))
	var list []*job
	for first := 0; first < m.rowTiles; first += step {
		tiles := min(step, m.rowTiles-first)
		j := &job{first: first, tiles: tiles, rowTable: none, kTable: none}
		j.area.take(int64(tiles * tileRows * rowBytes))
		j.bytes = int64(tiles * tileRows * rowBytes)
		list = append(list, j)
	}
	return list
}

func (m *matrix) gptqJob() *job {
	j := &job{tiles: m.rowTiles, kTable: none}
	stage := func(data []byte) {
		j.copies = append(j.copies, staged{j.area.take(int64(len(data))), data})
	}
	for _, part := range m.parts {
		g := part.GPTQ
		stage(g.QWeight)
		stage(g.QZeros)
		stage(g.Scales.Data)
		j.bytes += sourceBytes(part)
	}
	j.rowTable = slot(j.area.size)
	stage(wordBytes(m.rowTable))
	if m.kTable != nil {
		j.kTable = slot(j.area.size)
		stage(wordBytes(m.kTable))
	}
	return j
}

// pieces lists the copies that fill a staging area for the job.
func (j *job) pieces(m *matrix, area *arena) (list []piece) {
	for _, c := range j.copies {
		list = pieces(list, area.at(c.at), c.data)
	}
	if len(j.copies) > 0 {
		return list
	}
	for at := 0; at < int(j.area.size); at += stagingBytes {
		bytes := min(stagingBytes, j.tiles*tileRows*m.rowBytes()-at)
		list = append(list, piece{area.base + driver.Ptr(at), bytes, func(dst []byte) { m.gather(dst, j.first*tileRows, at) }})
	}
	return list
}

func (m *matrix) rowBytes() int { return m.parts[0].Format.RowBytes(m.in) }

// gather fills dst with the bytes from `at` on of the repacked matrix's rows first and following, each as it is stored;
// padding rows are zeros.
func (m *matrix) gather(dst []byte, first, at int) {
	size := m.rowBytes()
	for len(dst) > 0 {
		n, from := first+at/size, at%size
		part := dst[:min(len(dst), size-from)]
		if entry := m.rowTable[n]; entry == padding {
			clear(part)
		} else {
			row := int(entry & (1<<partShift - 1))
			copy(part, m.parts[entry>>partShift].Data[row*size+from:])
		}
		dst, at = dst[len(part):], at+len(part)
	}
}

func sourceBytes(m *quant.Matrix) int64 {
	if m.Format == quant.GPTQFormat {
		return int64(len(m.GPTQ.QWeight) + len(m.GPTQ.QZeros) + len(m.GPTQ.Scales.Data))
	}
	return int64(m.Out) * int64(m.Format.RowBytes(m.In))
}

// releaseSource gives the pages of m's source back.
func releaseSource(m *quant.Matrix) {
	if m.Format == quant.GPTQFormat {
		tensor.Release(m.GPTQ.QWeight)
		tensor.Release(m.GPTQ.QZeros)
		tensor.Release(m.GPTQ.Scales.Data)
		return
	}
	tensor.Release(m.Data)
}

// wordBytes views words as the little-endian bytes that the device reads; hosts of GPUs are little-endian.
func wordBytes(v []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v))
}

func floatBytes(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

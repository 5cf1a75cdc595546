package cuda

import (
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// rig is a test on one device.
type rig struct {
	*testing.T
	d driver.Device
}

// put uploads values; no values are the address 0.
func put[T byte | uint16 | uint32 | int32 | float32](r rig, values []T) driver.Ptr {
	r.Helper()
	if len(values) == 0 {
		return 0
	}
	return upload(r.T, r.d, values)
}

// get downloads n values from an address that kernels got.
func get[T byte | uint16 | uint32 | int32 | float32](r rig, at driver.Ptr, n int) []T {
	r.Helper()
	if n == 0 {
		return nil
	}
	return download[T](r.T, r.d, at, n)
}

func (r rig) room(bytes int64) driver.Ptr {
	r.Helper()
	if bytes == 0 {
		return 0
	}
	return alloc(r.T, r.d, int(bytes))
}

// run launches a kernel of 256 threads a block and waits for it.
func run[T any](r rig, module, name string, x, y int, args T) {
	r.Helper()
	runKernel(r.T, r.d, module, name, []int{x, y}, threads, 0, &args)
}

// repack uploads parts and repacks them.
func (r rig) repack(parts []*quant.Matrix, gated bool) (packing, matrixArgs) {
	r.Helper()
	p, err := planMatrix(parts, gated)
	must(r.T, err)
	w := matrixArgs{
		rows: size(p.rows), k_tiles: size(p.kTiles), groups: size(p.groups), group_steps: size(p.groupSteps),
		zero: word(p.zero), scale_f32: truth(p.scaleF32), codes: address(r.room(p.codeBytes)),
		scales: address(r.room(p.scaleBytes)), offsets: address(r.room(p.offsetBytes)),
		supers: address(r.room(p.superBytes)),
	}
	a := repackArgs{w: w, in: size(p.in), row_table: address(put(r, p.rowTable)), k_table: address(put(r, p.kTable)), tiles: size(p.rowTiles)}
	if parts[0].Format == quant.GPTQFormat {
		r.repackGPTQ(&p, a, parts)
	} else {
		r.repackRows(&p, a, parts)
	}
	return p, w
}

func (r rig) repackGPTQ(p *packing, a repackArgs, parts []*quant.Matrix) {
	r.Helper()
	g := parts[0].GPTQ
	types := map[tensor.DType]int{tensor.F16: 0, tensor.BF16: 1, tensor.F32: 2}
	a.bits, a.zero_rule, a.scale_type = size(g.Bits), size(int(g.Zeros)), size(types[g.Scales.DType])
	for i, m := range parts {
		a.source[i], a.zeros_source[i] = address(put(r, m.GPTQ.QWeight)), address(put(r, m.GPTQ.QZeros))
		a.scales_source[i], a.stored[i] = address(put(r, m.GPTQ.Scales.Data)), size(m.GPTQ.Stored)
	}
	for _, k := range p.repacking() {
		run(r, k.module, k.name, ceilDiv(k.threads(p, p.rowTiles), threads), 1, a)
	}
}

// repackRows works in two launches, so that the second begins behind the first.
func (r rig) repackRows(p *packing, a repackArgs, parts []*quant.Matrix) {
	r.Helper()
	for _, tiles := range [][2]int{{0, p.rowTiles / 2}, {p.rowTiles / 2, p.rowTiles}} {
		n := tiles[1] - tiles[0]
		if n == 0 {
			continue
		}
		rows := p.rowTable[tiles[0]*tileRows : tiles[1]*tileRows]
		for rows[len(rows)-1] == padding { // those behind the last need not be there
			rows = rows[:len(rows)-1]
		}
		var staged []byte
		for _, row := range rows {
			if row == padding {
				staged = append(staged, make([]byte, parts[0].Format.RowBytes(p.in))...)
				continue
			}
			m := *parts[row>>partShift]
			m.Rows = nil // the table holds stored rows
			staged = append(staged, m.Row(int(row&(1<<partShift-1)))...)
		}
		a.source[0], a.source_rows = address(put(r, staged)), size(len(rows))
		a.first_tile, a.tiles = size(tiles[0]), size(n)
		for _, k := range p.repacking() {
			run(r, k.module, k.name, ceilDiv(k.threads(p, n), threads), 1, a)
		}
	}
}

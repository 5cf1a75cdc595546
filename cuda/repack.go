package cuda

import (
	"peregrine/cuda/driver"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// repack launches the kernels that write the job's part of m from what is staged in area.
func (e *executor) repack(m *matrix, j *job, area *arena) error {
	a := repackArgs{in: size(m.in), w: e.args(m), tiles: size(j.tiles), first_tile: size(j.first)}
	var names []string
	switch format := m.parts[0].Format; format {
	case quant.GPTQFormat:
		e.stagedGPTQ(&a, m, j, area)
		names = []string{"repack_gptq", "repack_scales_gptq"}
		if m.offsets {
			names = append(names, "repack_zeros_gptq")
		}
	default:
		a.source[0], a.source_rows = address(area.base), size(j.tiles*tileRows)
		names = rowKernels[format]
	}
	codes := j.tiles * m.kTiles * m.vectors * laneCount
	entries := j.tiles * m.groups * tileRows
	for i, name := range names {
		n := codes
		if i > 0 {
			n = entries
		}
		f, err := e.d.Function("repack", name)
		if err != nil {
			return err
		}
		if err := newLaunch(f, grid(ceilDiv(n, threads), 1), threads, 0, a).on(e.stream); err != nil {
			return err
		}
	}
	return nil
}

// rowKernels are the kernels of the formats that store rows: codes first.
var rowKernels = map[quant.Format][]string{
	quant.F32:  {"repack_f32"},
	quant.F16:  {"repack_f16"},
	quant.BF16: {"repack_bf16"},
	quant.Q4_0: {"repack_q4_0", "repack_scales_q4_0"},
	quant.Q4_1: {"repack_q4_1", "repack_scales_q4_1", "repack_minima_q4_1"},
	quant.Q8_0: {"repack_q8_0", "repack_scales_q8_0"},
}

// stagedGPTQ says where gptqJob put the parts' tensors and the tables.
func (e *executor) stagedGPTQ(a *repackArgs, m *matrix, j *job, area *arena) {
	for i, part := range m.parts {
		a.source[i] = address(area.at(j.copies[3*i].at))
		a.zeros_source[i] = address(area.at(j.copies[3*i+1].at))
		a.scales_source[i] = address(area.at(j.copies[3*i+2].at))
		a.stored[i] = size(part.GPTQ.Stored)
	}
	g := m.parts[0].GPTQ
	a.bits, a.zero_rule = size(g.Bits), size(int(g.Zeros))
	switch g.Scales.DType {
	case tensor.BF16:
		a.scale_type = 1
	case tensor.F32:
		a.scale_type = 2
	default: // F16: 0
	}
	a.row_table = address(area.at(j.rowTable))
	if j.kTable != none {
		a.k_table = address(area.base + driver.Ptr(j.kTable))
	}
}

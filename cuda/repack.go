package cuda

import (
	"peregrine/cuda/driver"
	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// repack launches the kernels that write the job's part of m from what is staged in area.
func (e *executor) repack(m *matrix, j *job, area *arena) error {
	a := repackArgs{in: size(m.in), w: e.args(m), tiles: size(j.tiles), first_tile: size(j.first)}
	if m.format == quant.GPTQFormat {
		e.stagedGPTQ(&a, m, j, area)
	} else {
		a.source[0], a.source_rows = address(area.base), size(j.tiles*tileRows)
	}
	for _, k := range m.repacking() {
		f, err := e.d.Function(k.module, k.name)
		if err != nil {
			return err
		}
		if err := newLaunch(f, grid(ceilDiv(k.threads(&m.packing, j.tiles), threads), 1), threads, 0, a).on(e.stream); err != nil {
			return err
		}
	}
	return nil
}

// repackKernel is a kernel that writes part of a repacked matrix. Those of formats that few models have are in a module of
// their own, so that the others need not compile them.
type repackKernel struct {
	module, name string
	unit         repackUnit
}

// repackUnit is what a thread writes.
type repackUnit uint8

const (
	perVector repackUnit = iota // 16 bytes of codes
	perGroup                    // a row's scale or offset of a group
	perSuper                    // a row's scales of a super-block
)

// threads is how many so many row tiles of p take.
func (k repackKernel) threads(p *packing, tiles int) int {
	switch k.unit {
	case perGroup:
		return tiles * p.groups * tileRows
	case perSuper:
		return tiles * p.groups * p.grain / superSteps * tileRows
	default:
		return tiles * p.kTiles * p.tileBytes() / vectorBytes
	}
}

// repacking lists the kernels that write the repacked matrix.
func (p *packing) repacking() []repackKernel {
	if p.format != quant.GPTQFormat {
		return rowKernels[p.format]
	}
	list := []repackKernel{{"repack", "repack_gptq", perVector}, {"repack", "repack_scales_gptq", perGroup}}
	if p.offsets {
		list = append(list, repackKernel{"repack", "repack_zeros_gptq", perGroup})
	}
	return list
}

// rowKernels are the kernels of the formats that store rows.
var rowKernels = map[quant.Format][]repackKernel{
	quant.F32:  {{"repack", "repack_f32", perVector}},
	quant.F16:  {{"repack", "repack_f16", perVector}},
	quant.BF16: {{"repack", "repack_bf16", perVector}},
	quant.Q4_0: {{"repack", "repack_q4_0", perVector}, {"repack", "repack_scales_q4_0", perGroup}},
	quant.Q4_1: {
		{"repack", "repack_q4_1", perVector}, {"repack", "repack_scales_q4_1", perGroup}, {"repack", "repack_minima_q4_1", perGroup},
	},
	quant.Q8_0: {{"repack", "repack_q8_0", perVector}, {"repack", "repack_scales_q8_0", perGroup}},
	quant.Q5_0: {{"repack_gguf", "repack_q5_0", perVector}, {"repack_gguf", "repack_scales_q5_0", perGroup}},
	quant.Q5_1: {
		{"repack_gguf", "repack_q5_1", perVector},
		{"repack_gguf", "repack_scales_q5_1", perGroup},
		{"repack_gguf", "repack_minima_q5_1", perGroup},
	},
	quant.Q2_K: superKernels("q2_k"), quant.Q3_K: superKernels("q3_k"), quant.Q4_K: superKernels("q4_k"),
	quant.Q5_K: superKernels("q5_k"), quant.Q6_K: superKernels("q6_k"),
}

func superKernels(name string) []repackKernel {
	return []repackKernel{
		{"repack_gguf", "repack_" + name, perVector},
		{"repack_gguf", "repack_scales_" + name, perGroup},
		{"repack_gguf", "repack_supers_" + name, perSuper},
	}
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

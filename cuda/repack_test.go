package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model/quant"
)

// partLists are the shapes of matrices that become one, by output features; inputs that fill no tile, so that the last
// group is short and the last tile padded; of K-quants, which have neither, they become whole super-blocks.
func partLists() []struct {
	outs  []int
	in    int
	gated bool
} {
	return []struct {
		outs  []int
		in    int
		gated bool
	}{
		{[]int{16}, 32, false},
		{[]int{37}, 352, false},
		{[]int{40, 9, 17}, 96, false},
		{[]int{20, 20}, 160, true},
		{[]int{34}, 288, true},
	}
}

// TestRepack reads every weight of every repacked format as layout.cuh says it lies, and as embed gives it: bit for bit what
// quant.Matrix.Dequantize says.
func TestRepack(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		rng := rand.New(rand.NewPCG(1, 4))
		for _, w := range storedFormats() {
			for _, c := range partLists() {
				c.in = w.features(c.in)
				var parts []*quant.Matrix
				for i, out := range c.outs {
					parts = append(parts, w.matrix(rng, fmt.Sprint("part ", i), out, c.in))
					if i > 0 && w.act {
						parts[i].GPTQ.GIdx = parts[0].GPTQ.GIdx
					}
				}
				t.Run(fmt.Sprintf("%v %v×%d gated %v", w, c.outs, c.in, c.gated), func(t *testing.T) {
					r := rig{t, d}
					p, args := r.repack(parts, c.gated)
					want := dequantized(parts)
					checkLayout(r, p, args, want, c.gated)
					checkEmbed(r, p, args, want, c.gated)
					if p.expanded {
						checkExpand(r, p, args, want, c.gated)
					}
				})
			}
		}
	})
}

func checkLayout(r rig, p packing, args matrixArgs, want [][]float32, gated bool) {
	r.Helper()
	b := packedBytes{
		p, get[byte](r, driver.Ptr(args.codes), int(p.codeBytes)),
		get[byte](r, driver.Ptr(args.scales), int(p.scaleBytes)), get[byte](r, driver.Ptr(args.offsets), int(p.offsetBytes)),
		get[byte](r, driver.Ptr(args.supers), int(p.superBytes)),
	}
	for n := range want {
		for k, v := range want[n] {
			if got := b.weight(p.row(n, gated), p.at(k)); math.Float32bits(got) != math.Float32bits(v) {
				r.Fatalf("weight [%d][%d] is %g, want %g", n, k, got, v)
			}
		}
	}
	for row := range p.rowTiles * tileRows {
		for k := range p.xFeatures() {
			if v := float64(b.weight(row, min(k, p.lastFeature()))); math.IsNaN(v) || math.IsInf(v, 0) {
				r.Fatalf("packed weight [%d][%d], padding, is %g", row, k, v)
			}
		}
	}
}

// lastFeature is the last one that belongs to a group.
func (p *packing) lastFeature() int {
	if p.groups == 0 {
		return p.xFeatures() - 1
	}
	return min(p.xFeatures(), p.groups*p.groupSteps*stepFeatures) - 1
}

func checkEmbed(r rig, p packing, args matrixArgs, want [][]float32, gated bool) {
	r.Helper()
	ids := make([]int32, 0, len(want))
	for n := range want {
		ids = append(ids, int32(p.row(n, gated)))
	}
	to := r.room(int64(4 * len(want) * p.in))
	run(r, "linear_"+p.name, "embed_"+p.name, len(ids), 1, embedArgs{
		w: args, ids: address(put(r, ids)), place: address(put(r, p.place)), out: address(to), hidden: size(p.in), tokens: size(len(ids)),
	})
	out := get[float32](r, to, len(want)*p.in)
	for n := range want {
		for k, v := range want[n] {
			if got := out[n*p.in+k]; math.Float32bits(got) != math.Float32bits(v) {
				r.Fatalf("embed of row %d, feature %d is %g, want %g", n, k, got, v)
			}
		}
	}
}

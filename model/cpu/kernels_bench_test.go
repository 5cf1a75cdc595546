package cpu

import (
	"fmt"
	"testing"

	"peregrine/model/quant"
	"peregrine/model/tensor"
)

// BenchmarkMultiply times products as a forward pass does them: one token (the bytes of the weights against the machine's read
// bandwidth) and a chunk of a prefill (the figure GMAC/s, with each set of this machine), by the shapes of real models. Small shapes
// stay in the cache.
func BenchmarkMultiply(b *testing.B) {
	for _, shape := range []struct {
		name    string
		out, in int
	}{{"135M/down", 576, 1536}, {"7B/down", 4544, 18176}} {
		for _, m := range benchFormats(shape.out, shape.in) {
			for _, rows := range []int{1, chunk} {
				if shape.in > 10000 && rows > 1 && m.Format != quant.Q4_1 {
					continue // seconds each, and the same per weight as the small shape
				}
				sets := ISAs()
				if rows == 1 {
					sets = sets[:1]
				}
				for _, isa := range sets {
					for _, threads := range []int{1, 2} {
						if isa == "scalar" && len(sets) > 1 {
							continue // a hundredth of the speed
						}
						b.Run(fmt.Sprintf("%s/%s/M=%d/%s/threads=%d", shape.name, m.Name, rows, isa, threads), func(b *testing.B) {
							benchMultiply(b, m, rows, Options{Threads: threads, ISA: isa})
						})
					}
				}
			}
		}
	}
}

// BenchmarkRepack times repacking by format, in memory that is there already; the bytes are those of the source.
func BenchmarkRepack(b *testing.B) {
	ordered := gptqLayout{bits: 4, order: true, symmetric: true, scales: tensor.F16}.random(random(1), 4544, 4096)
	ordered.Name = "GPTQ4-act-order"
	for _, m := range append(benchFormats(4544, 4096), ordered) {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", m.Name, threads), func(b *testing.B) {
				back, p := benchPacked(b, m, Options{Threads: threads})
				b.SetBytes(sourceBytes(m))
				for b.Loop() {
					if err := p.repack(back); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func benchFormats(out, in int) []*quant.Matrix {
	r := random(1)
	list := []*quant.Matrix{
		blocks(r, quant.Q4_0, out, in), blocks(r, quant.Q4_1, out, in), blocks(r, quant.Q8_0, out, in),
		blocks(r, quant.F16, out, in), blocks(r, quant.BF16, out, in),
		blocks(r, quant.Q4_K, out, in), blocks(r, quant.Q6_K, out, in), blocks(r, quant.Q2_K, out, in),
	}
	for _, bits := range []int{2, 3, 4, 8} {
		m := gptqLayout{bits: bits, group: 128, symmetric: true, scales: tensor.F16}.random(r, out, in)
		m.Name = fmt.Sprintf("GPTQ%d-128", bits)
		list = append(list, m)
	}
	return list
}

// benchPacked returns a backend and m repacked for it, which end with the benchmark.
func benchPacked(b *testing.B, m *quant.Matrix, opt Options) (*backend, *packed) {
	b.Helper()
	back, err := open(opt)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = back.Close() })
	p, err := packOne(back, m)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.close)
	return back, p
}

func benchMultiply(b *testing.B, m *quant.Matrix, rows int, opt Options) {
	back, p := benchPacked(b, m, opt)
	x, y := gaussian(random(2), rows*m.In), make([]float32, rows*m.Out)
	b.SetBytes(int64(p.bytes))
	for b.Loop() {
		p.multiply(back, y, x, rows, rounded)
	}
	b.ReportMetric(float64(rows)*float64(m.Out)*float64(m.In)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}

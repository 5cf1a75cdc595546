package quantize

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func BenchmarkFactor(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, in := range []int{576, 1536, 3072} {
		h := NewHessian(in)
		x := make([]float32, 2*in*in)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		if err := h.Add(x); err != nil {
			b.Fatal(err)
		}
		m := h.Take()
		b.Run(fmt.Sprint(in), func(b *testing.B) {
			for b.Loop() {
				if _, err := NewFactor(b.Context(), m, in, Options{Bits: 4, GroupSize: -1, ActOrder: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

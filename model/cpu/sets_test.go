package cpu

import (
	"slices"
	"testing"
)

// The sets with AVX2 differ in how they sum integers, which is exact: a machine with a better one answers with the same words.
func TestSetsWithAVX2GiveTheSameBits(t *testing.T) {
	const rows = 91             // for amx: a full tile, one of 16 tokens, one of 8 and three that go to avx512vnni
	want := map[int][]float32{} // by matrix
	eachISA(t, 2, func(t *testing.T, b *backend) {
		if b.Name() == "cpu (scalar, 2 threads)" {
			t.Skip("scalar sums floats in another order")
		}
		for i, m := range every(11) {
			p, err := packOne(b, m)
			if err != nil {
				t.Fatal(err)
			}
			y := make([]float32, rows*m.Out)
			p.multiply(b, y, gaussian(random(12), rows*m.In), rows, false)
			p.close()
			if first, ok := want[i]; !ok {
				want[i] = y
			} else if !slices.Equal(y, first) {
				t.Errorf("%s: other bits than with avx2", m.Name)
			}
		}
	})
}

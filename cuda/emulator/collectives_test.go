package emulator_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"peregrine/cuda/emulator"
)

func TestShufflesAndVotes(t *testing.T) {
	const n = 96
	values := make([]uint32, n)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range values {
		values[i] = random.Uint32N(1000)
	}
	b := open(t, emulator.Options{})
	in, out := upload(b, values), b.alloc(3*4*n)
	b.must(b.launch("votes", 1, n, 0, in, out, n, 0))
	for i, got := range download[[3]uint32](b, out, n) {
		warp := values[i/32*32:][:32]
		var want [3]uint32
		want[0] = warp[(5*i+3)%32]
		for lane, v := range warp {
			want[1] += v
			want[2] |= v % 2 << lane
		}
		if got != want {
			t.Errorf("thread %d: got %v, want %v", i, got, want)
		}
	}
	b.release(in, out)
	b.close()
}

// product runs the kernel of that name on random matrices and returns A·B + C as it is and as it should be.
func product(b *rig, n uint64) (got []float32, want []float64) {
	random := rand.New(rand.NewPCG(7, 8))
	var halves [16*16 + 16*8]uint16
	var numbers [len(halves)]float64
	for i := range halves {
		halves[i] = narrow(random.NormFloat64())
		numbers[i] = widen(halves[i])
	}
	sums := make([]float32, 16*8+32)
	want = make([]float64, 16*8)
	for i := range want {
		sums[i] = float32(random.NormFloat64())
		want[i] = float64(sums[i])
		for k := range 16 {
			want[i] += numbers[i/8*16+k] * numbers[256+k*8+i%8]
		}
	}
	in, out := upload(b, halves[:]), upload(b, sums)
	b.must(b.launch("product", 1, 32, 0, in, out, n, 0))
	got = download[float32](b, out, len(sums))
	b.release(in, out)
	return got, want
}

func TestProductOfFragmentsIsTheMatrixProduct(t *testing.T) {
	b := open(t, emulator.Options{Races: true})
	got, want := product(b, 0)
	for i, w := range want {
		if math.Abs(float64(got[i])-w) > 1e-5 {
			t.Errorf("row %d, column %d: %v, want %v", i/8, i%8, got[i], w)
		}
	}
	for lane, v := range got[len(want):] {
		if v != 0 {
			t.Errorf("lane %d: a copy that was not valid brought %v, want 0", lane, v)
		}
	}
	b.close()
}

func TestACopyThatIsNotWaitedForIsNotThere(t *testing.T) {
	b := open(t, emulator.Options{})
	got, want := product(b, 1)
	for i := range want {
		if !math.IsNaN(float64(got[i])) {
			t.Fatalf("element %d is %v: the copy arrived before the wait", i, got[i])
		}
	}
	b.close()
}

func TestAtomicsAcrossBlocks(t *testing.T) {
	b := open(t, emulator.Options{Threads: 8})
	const n = 200 * 256
	out := upload(b, make([]uint32, 1+n))
	b.must(b.launch("tickets", 200, 256, 0, 0, out, 0, 0))
	for i, v := range download[uint32](b, out, 1+n) {
		if want := uint32(1); i == 0 && v != n || i > 0 && v != want {
			t.Fatalf("word %d is %d", i, v)
		}
	}
	b.release(out)
	b.close()
}

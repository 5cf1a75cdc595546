package emulator_test

import (
	"math"
	"slices"
	"testing"

	"peregrine/cuda/emulator"
)

func TestLaunchRunsEveryBlock(t *testing.T) {
	for _, threads := range []int{1, 2, 7} {
		b := open(t, emulator.Options{Threads: threads, Races: true})
		values := make([]float32, 10_000)
		for i := range values {
			values[i] = float32(i)
		}
		in, out := upload(b, values), b.alloc(40_000)
		b.must(b.launch("twice", 40, 256, 0, in, out, 10_000, 0))
		for i, v := range download[float32](b, out, 10_000) {
			if v != 2*float32(i) {
				t.Fatalf("%d threads: element %d is %v", threads, i, v)
			}
		}
		b.release(in, out)
		b.close()
	}
}

func TestFreshMemoryIsNaN(t *testing.T) {
	b := open(t, emulator.Options{})
	p := b.alloc(4000)
	if i := slices.IndexFunc(download[float32](b, p, 1000), func(v float32) bool { return !math.IsNaN(float64(v)) }); i >= 0 {
		t.Errorf("element %d is a number", i)
	}
	b.release(p)
	b.close()
}

func TestSharedMemoryAndBarriers(t *testing.T) {
	for _, n := range []uint32{1, 33, 1024} {
		b := open(t, emulator.Options{Races: true})
		values := make([]uint32, n)
		for i := range values {
			values[i] = uint32(i * i)
		}
		in, out := upload(b, values), b.alloc(int64(4*n))
		b.must(b.launch("reverse", 1, n, int(4*n), in, out, uint64(n), 0))
		slices.Reverse(values)
		if got := download[uint32](b, out, int(n)); !slices.Equal(got, values) {
			t.Errorf("%d threads: got %v", n, got)
		}
		b.release(in, out)
		b.close()
	}
}

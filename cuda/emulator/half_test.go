package emulator_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"peregrine/cuda/emulator"
)

// widen is a half's value by definition; NaN for every NaN.
func widen(h uint16) float64 {
	sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// narrow is the half nearest to a value, the even one of two; it searches all of them.
func narrow(v float64) uint16 {
	if math.IsNaN(v) {
		return 0x7fff
	}
	var sign uint16
	if math.Signbit(v) {
		sign, v = 0x8000, -v
	}
	if v >= 65520 {
		return sign | 0x7c00
	}
	above, _ := slices.BinarySearchFunc(halves, v, func(h, v float64) int {
		if h < v {
			return -1
		}
		return 1
	})
	if above == 0 {
		return sign
	}
	h := uint16(above)
	if above == len(halves) {
		return sign | (h - 1)
	}
	low, high := v-halves[above-1], halves[above]-v
	if low < high || low == high && h%2 == 1 {
		h--
	}
	return sign | h
}

// halves are the finite ones that are not negative, in order.
var halves = func() []float64 {
	all := make([]float64, 0x7c00)
	for h := range all {
		all[h] = widen(uint16(h))
	}
	return all
}()

func TestWidenedHalves(t *testing.T) {
	b := open(t, emulator.Options{})
	all := make([]uint16, 65536)
	for i := range all {
		all[i] = uint16(i)
	}
	in, out := upload(b, all), b.alloc(4*65536)
	b.must(b.launch("widened", 8, 256, 0, in, out, 65536, 0))
	for h, got := range download[uint32](b, out, 65536) {
		want := math.Float32bits(float32(widen(uint16(h))))
		if math.IsNaN(widen(uint16(h))) {
			want = 0x7fffffff
		}
		if got != want {
			t.Fatalf("half %#04x is %#08x, want %#08x", h, got, want)
		}
	}
	b.release(in, out)
	b.close()
}

func TestNarrowedToHalves(t *testing.T) {
	var values []float32
	for h := range uint16(0x7c01) { // every half, the middle to the next, and their neighbours
		v := float32(widen(h))
		middle := float32((widen(h) + widen(min(h+1, 0x7bff))) / 2)
		if h == 0x7bff {
			middle = 65520
		}
		for _, f := range []float32{v, middle} {
			values = append(values, f, math.Nextafter32(f, 1e9), math.Nextafter32(f, -1e9), -f)
		}
	}
	values = append(values, float32(math.NaN()), float32(math.Inf(-1)), math.MaxFloat32, math.SmallestNonzeroFloat32, float32(math.Copysign(0, -1)))
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		values = append(values, math.Float32frombits(random.Uint32()))
	}
	b := open(t, emulator.Options{})
	in, out := upload(b, values), b.alloc(int64(2*len(values)))
	b.must(b.launch("halves", 8, 256, 0, in, out, uint64(len(values)), 0))
	for i, got := range download[uint16](b, out, len(values)) {
		if want := narrow(float64(values[i])); got != want {
			t.Fatalf("%v (%#08x) becomes %#04x, want %#04x", values[i], math.Float32bits(values[i]), got, want)
		}
	}
	b.release(in, out)
	b.close()
}

func TestArithmeticOfPairs(t *testing.T) {
	const n = 200_000
	random := rand.New(rand.NewPCG(3, 4))
	words := make([]uint32, 3*n)
	for i := range words {
		words[i] = random.Uint32()
		if i%2 == 0 { // near each other, so that sums cancel and round
			words[i] = words[i]&0x83ff83ff | 0x3c003c00
		}
	}
	b := open(t, emulator.Options{})
	in, out := upload(b, words), b.alloc(4*5*n)
	b.must(b.launch("pairs", 8, 256, 0, in, out, n, 0))
	got := download[uint32](b, out, 5*n)
	for i := range n {
		x, y, z := words[3*i], words[3*i+1], words[3*i+2]
		both := func(f func(x, y, z float64) float64) uint32 {
			low := narrow(f(widen(uint16(x)), widen(uint16(y)), widen(uint16(z))))
			return uint32(low) | uint32(narrow(f(widen(uint16(x>>16)), widen(uint16(y>>16)), widen(uint16(z>>16)))))<<16
		}
		want := []uint32{
			both(func(x, y, _ float64) float64 { return x + y }),
			both(func(x, y, _ float64) float64 { return x - y }),
			both(func(x, y, _ float64) float64 { return x * y }),
			both(func(x, y, z float64) float64 { return x*y + z }),
			permuted(x, y, z),
		}
		if !slices.Equal(got[5*i:5*i+5], want) {
			t.Fatalf("%#08x, %#08x, %#08x: got %#08x, want %#08x", x, y, z, got[5*i:5*i+5], want)
		}
	}
	b.release(in, out)
	b.close()
}

// permuted is prmt.b32 without a mode.
func permuted(a, b, selector uint32) uint32 {
	bytes := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, a), b)
	var picked [4]byte
	for i := range picked {
		pick := selector >> (4 * i) & 15
		picked[i] = bytes[pick&7]
		if pick >= 8 {
			picked[i] = byte(int8(picked[i]) >> 7)
		}
	}
	return binary.LittleEndian.Uint32(picked[:])
}

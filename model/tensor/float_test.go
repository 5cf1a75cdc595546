package tensor

import (
	"encoding/binary"
	"math"
	"testing"
)

// half decodes by the definition of IEEE 754 binary16, in float64.
func half(h uint16) float64 {
	sign := 1.0
	if h&0x8000 != 0 {
		sign = -1
	}
	exponent, fraction := int(h>>10&0x1f), float64(h&0x3ff)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func TestFromF16EveryValue(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got, want := FromF16(h), half(h)
		if math.IsNaN(want) != (got != got) {
			t.Fatalf("FromF16(%#04x): got %v, want %v", h, got, want)
		}
		if !math.IsNaN(want) && (float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want)) {
			t.Fatalf("FromF16(%#04x): got %v, want %v", h, got, want)
		}
	}
}

func TestToF16RoundTripsEveryHalf(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		got := ToF16(FromF16(h))
		if FromF16(h) != FromF16(h) {
			if got != h|0x200 {
				t.Fatalf("NaN %#04x: got %#04x, want it quiet with its payload", h, got)
			}
		} else if got != h {
			t.Fatalf("ToF16(FromF16(%#04x)): got %#04x", h, got)
		}
	}
}

// Between two neighbouring halves the middle goes to the even one, and a float32 step either side of it to the nearer one.
func TestToF16RoundsToNearestEven(t *testing.T) {
	for h := uint16(0); h < 0x7bff; h++ {
		low, high := FromF16(h), FromF16(h+1)
		middle := (low + high) / 2 // exact: one bit more than a half has
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{
			{middle, even},
			{math.Nextafter32(middle, 0), h},
			{math.Nextafter32(middle, 1e6), h + 1},
		} {
			if got := ToF16(c.f); got != c.want {
				t.Fatalf("ToF16(%v): got %#04x, want %#04x", c.f, got, c.want)
			}
			if got := ToF16(-c.f); got != c.want|0x8000 {
				t.Fatalf("ToF16(%v): got %#04x, want %#04x", -c.f, got, c.want|0x8000)
			}
		}
	}
}

func TestToF16Overflow(t *testing.T) {
	for _, c := range []struct {
		f    float32
		want uint16
	}{{65504, 0x7bff}, {65519.996, 0x7bff}, {65520, 0x7c00}, {math.MaxFloat32, 0x7c00}, {-65520, 0xfc00}} {
		if got := ToF16(c.f); got != c.want {
			t.Errorf("ToF16(%v): got %#04x, want %#04x", c.f, got, c.want)
		}
	}
}

func TestBF16RoundTripsAndRounds(t *testing.T) {
	for i := range 1 << 16 {
		b := uint16(i)
		f := FromBF16(b)
		if f != f {
			if got := ToBF16(f); got != b|0x40 {
				t.Fatalf("NaN %#04x: got %#04x, want it quiet", b, got)
			}
			continue
		}
		if got := ToBF16(f); got != b {
			t.Fatalf("ToBF16(FromBF16(%#04x)): got %#04x", b, got)
		}
	}
	bits := func(u uint32) float32 { return math.Float32frombits(u) }
	for _, c := range []struct{ in, want uint32 }{
		{0x3f808000, 0x3f80}, // tie, even below
		{0x3f818000, 0x3f82}, // tie, even above
		{0x3f808001, 0x3f81},
		{0x3f807fff, 0x3f80},
		{0x7f7fffff, 0x7f80}, // rounds up to infinity
	} {
		if got := ToBF16(bits(c.in)); got != uint16(c.want) {
			t.Errorf("ToBF16(%#08x): got %#04x, want %#04x", c.in, got, c.want)
		}
	}
}

func TestFloat32WidensAtAnyAlignment(t *testing.T) {
	want := []float32{1.5, -0.25, 0, 1024}
	for _, d := range []DType{F16, BF16, F32} {
		for shift := range 4 {
			b := make([]byte, shift, 64)
			for _, f := range want {
				switch d {
				case F16:
					b = binary.LittleEndian.AppendUint16(b, ToF16(f))
				case BF16:
					b = binary.LittleEndian.AppendUint16(b, ToBF16(f))
				default:
					b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
				}
			}
			v := View{Name: "x", DType: d, Shape: []int{4}, Data: b[shift:]}
			got, err := v.Float32(nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%v shifted by %d: element %d: got %v, want %v", d, shift, i, got[i], want[i])
				}
			}
		}
	}
}

func TestFloat32ReusesALargeEnoughDestination(t *testing.T) {
	v := View{DType: F32, Shape: []int{2}, Data: make([]byte, 8)}
	dst := make([]float32, 5)
	got, err := v.Float32(dst)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || &got[0] != &dst[0] {
		t.Errorf("got length %d at another address, want 2 elements of dst", len(got))
	}
}

func TestFloat32RefusesOtherTypesByName(t *testing.T) {
	_, err := View{Name: "a.qweight", DType: I32, Shape: []int{1}, Data: make([]byte, 4)}.Float32(nil)
	want := `tensor "a.qweight": type I32 cannot be read as floats; need F16, BF16 or F32`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestDTypeNamesRoundTrip(t *testing.T) {
	for d := Invalid + 1; d < numDTypes; d++ {
		got, ok := ParseDType(d.String())
		if !ok || got != d || d.Bits() == 0 {
			t.Errorf("type %d: name %q, %d bits, parses to %v, %v", d, d, d.Bits(), got, ok)
		}
	}
	for _, name := range []string{"", "invalid", "f32", "F128"} {
		if d, ok := ParseDType(name); ok {
			t.Errorf("ParseDType(%q): got %v, want none", name, d)
		}
	}
}

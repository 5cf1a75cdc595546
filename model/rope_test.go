package model

import (
	"math"
	"testing"
)

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-12*math.Abs(want) }

func TestInvFreqDefault(t *testing.T) {
	freq := Rope{Base: 10000}.InvFreq(64, 1)
	if len(freq) != 32 || freq[0] != 1 || !near(freq[16], 0.01) || !near(freq[8], 0.1) {
		t.Errorf("32 frequencies 1 … 0.1 at 8, 0.01 at 16: got %v", freq)
	}
}

func TestInvFreqLinearDividesPositions(t *testing.T) {
	plain, scaled := Rope{Base: 500}.InvFreq(16, 1), Rope{Base: 500, Scaling: RopeLinear, Factor: 4}.InvFreq(16, 1)
	for i := range plain {
		if !near(7*scaled[i], 7.0/4*plain[i]) {
			t.Errorf("pair %d: position 7 turns %v, want what 7/4 turns without scaling, %v", i, 7*scaled[i], 7.0/4*plain[i])
		}
	}
}

// transformers: base' = base·((factor·L/max) − (factor − 1))^(D/(D−2)) once L > max.
func TestInvFreqDynamic(t *testing.T) {
	r := Rope{Base: 10000, Scaling: RopeDynamic, Factor: 2, OriginalContext: 2048}
	for _, c := range []struct {
		length int
		base   float64
	}{
		{1, 10000},
		{2048, 10000},
		{2049, 10000 * math.Pow(2*2049/2048.0-1, 64.0/62)},
		{4096, 10000 * math.Pow(3, 64.0/62)},
	} {
		freq := r.InvFreq(64, c.length)
		for i := range freq {
			if want := 1 / math.Pow(c.base, 2*float64(i)/64); !near(freq[i], want) {
				t.Fatalf("length %d, pair %d: got %v, want %v", c.length, i, freq[i], want)
			}
		}
	}
}

// transformers compares wavelengths: below original/high the frequency stays, above original/low it is divided, between it is
// blended by (original/wavelength − low)/(high − low).
func TestInvFreqLlama3(t *testing.T) {
	r := Rope{Base: 500000, Scaling: RopeLlama3, Factor: 8, LowFreqFactor: 1, HighFreqFactor: 4, OriginalContext: 8192}
	plain, got := Rope{Base: 500000}.InvFreq(128, 1), r.InvFreq(128, 1)
	seen := map[string]int{}
	for i, f := range plain {
		wavelength := 2 * math.Pi / f
		want := f
		switch {
		case wavelength < 8192.0/4:
			seen["kept"]++
		case wavelength > 8192.0/1:
			want = f / 8
			seen["divided"]++
		default:
			smooth := (8192/wavelength - 1) / (4 - 1)
			want = (1-smooth)*f/8 + smooth*f
			seen["blended"]++
		}
		if !near(got[i], want) {
			t.Errorf("pair %d, wavelength %v: got %v, want %v", i, wavelength, got[i], want)
		}
	}
	if len(seen) != 3 {
		t.Errorf("kinds of frequencies seen: %v, want all three", seen)
	}
}

func TestInvFreqFactorsDivide(t *testing.T) {
	plain, got := Rope{Base: 100}.InvFreq(4, 1), Rope{Base: 100, FreqFactors: []float32{1, 8}}.InvFreq(4, 1)
	if got[0] != plain[0] || !near(got[1], plain[1]/8) {
		t.Errorf("got %v from %v, want the second divided by 8", got, plain)
	}
}

func TestALiBiSlopes(t *testing.T) {
	slopes := ALiBiSlopes(32) // Falcon-RW-1B: 2^(−h/4)
	for h, want := range map[int]float64{0: 0.8408964152537145, 1: 0.7071067811865476, 31: 0.00390625} {
		if slopes[h] != float32(want) {
			t.Errorf("32 heads, head %d: got %v, want %v", h, slopes[h], float32(want))
		}
	}
	// Twelve heads: eight of the series for 8, then the odd powers of the series for 16, base 2^(−1/2).
	slopes = ALiBiSlopes(12)
	for h := range 8 {
		if want := float32(math.Exp2(-float64(h + 1))); slopes[h] != want {
			t.Errorf("12 heads, head %d: got %v, want %v", h, slopes[h], want)
		}
	}
	for i, power := range []float64{-0.5, -1.5, -2.5, -3.5} {
		if want := float32(math.Exp2(power)); slopes[8+i] != want {
			t.Errorf("12 heads, head %d: got %v, want %v", 8+i, slopes[8+i], want)
		}
	}
}

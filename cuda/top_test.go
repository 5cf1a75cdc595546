package cuda

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/model"
)

const untouched = 0xdeadbeef // is no id, and as a logit nothing that a test has

// topped runs top_chunk and top_merge over rows of logits.
func (r rig) topped(logits []float32, rows, k int) ([]model.Candidate, []float32) {
	r.Helper()
	vocab := len(logits) / rows
	chunks := ceilDiv(vocab, topChunk)
	// Candidates behind the k-th are not written: they are downloaded too, so they hold something from the start.
	top, logSum := put(r, slices.Repeat([]uint32{untouched}, rows*topMost*2)), r.room(int64(rows*4))
	a := topArgs{
		logits: address(put(r, logits)), partial: address(r.room(int64(rows * chunks * (topMost + 1) * 8))), top: address(top),
		log_sum: address(logSum), vocab: size(vocab), rows: size(rows), k: size(k), chunks: size(chunks),
	}
	run(r, "top", "top_chunk", chunks, rows, a)
	run(r, "top", "top_merge", rows, 1, a)
	words := get[uint32](r, top, rows*topMost*2)
	list := make([]model.Candidate, rows*topMost)
	for i := range list {
		list[i] = model.Candidate{ID: int32(words[2*i]), Logit: math.Float32frombits(words[2*i+1])}
		if i%topMost >= k && (words[2*i] != untouched || words[2*i+1] != untouched) {
			r.Fatalf("row %d, candidate %d was written: %d with %v, but only %d were wanted", i/topMost, i%topMost, list[i].ID, list[i].Logit, k)
		}
	}
	return list, get[float32](r, logSum, rows)
}

// checkTop compares with model.FillOutput: candidates exactly, the log sum to 1e-5 (rounding a sum of 30 costs 1e-6).
func (r rig) checkTop(logits []float32, rows, k int) {
	r.Helper()
	got, logSums := r.topped(logits, rows, k)
	vocab := len(logits) / rows
	for row := range rows {
		want := model.Output{Top: [][]model.Candidate{make([]model.Candidate, k)}, LogSum: make([]float32, 1)}
		model.FillOutput(&want, 0, logits[row*vocab:][:vocab])
		for i, c := range want.Top[0] {
			if g := got[row*topMost+i]; g.ID != c.ID || g.Logit != c.Logit {
				r.Fatalf("row %d, candidate %d is %d with %v, want %d with %v", row, i, g.ID, g.Logit, c.ID, c.Logit)
			}
		}
		if g, w := float64(logSums[row]), float64(want.LogSum[0]); g != w && !(math.Abs(g-w) < 1e-5) && !(math.IsNaN(g) && math.IsNaN(w)) {
			r.Errorf("row %d: log sum %v, want %v", row, g, w)
		}
	}
}

func TestTopCandidates(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		for _, c := range []struct{ vocab, rows, k int }{
			{1, 1, 1}, {7, 3, 7}, {64, 1, 64}, {65, 2, 64}, {127, 8, 64}, {topChunk, 1, 5}, {topChunk + 1, 8, 64}, {9*topChunk - 1, 1, 40}, {65024, 1, 64},
		} {
			t.Run(strconv.Itoa(c.vocab), func(t *testing.T) {
				random := rand.New(rand.NewPCG(3, uint64(c.vocab)))
				logits := make([]float32, c.vocab*c.rows)
				for i := range logits {
					logits[i] = float32(math.Round(random.NormFloat64()*400) / 100) // many equal ones
				}
				rig{t, d}.checkTop(logits, c.rows, c.k)
			})
		}
	})
}

func TestTopOfLogitsInOrder(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		up, down := make([]float32, 3000), make([]float32, 3000)
		for i := range up {
			up[i], down[i] = float32(i)-1500, 1500-float32(i)
		}
		rig{t, d}.checkTop(append(up, down...), 2, topMost)
	})
}

// The lowest id wins among equals, and −0 equals 0.
func TestTopOfEqualLogits(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		logits := make([]float32, 2500)
		for i := range logits {
			if i%3 == 0 {
				logits[i] = float32(math.Copysign(0, -1))
			}
		}
		rig{t, d}.checkTop(logits, 1, topMost)
	})
}

func TestTopOfInfiniteLogits(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		r := rig{t, d}
		infinity := float32(math.Inf(1))
		logits := make([]float32, 4*2100)
		for i := range logits {
			switch row := i / 2100; {
			case row == 0: // a whole chunk and more of −∞
				logits[i] = -infinity
				if i >= topChunk+17 {
					logits[i] = float32(i%7) - 3
				}
			case row == 1 && i%1000 == 5:
				logits[i] = infinity
			case row == 2:
				logits[i] = -infinity
			default:
				logits[i] = -100
			}
		}
		r.checkTop(logits, 4, 3)
	})
}

// NaN counts as −∞ among the candidates and makes the log sum NaN, wherever it stands.
func TestTopOfNaN(t *testing.T) {
	eachDevice(t, func(t *testing.T, d driver.Device) {
		nan := float32(math.NaN())
		for _, at := range []int{0, topChunk - 1, topChunk, 1999} {
			logits := make([]float32, 2000)
			logits[at], logits[700] = nan, 2
			top, logSum := rig{t, d}.topped(logits, 1, 2)
			if top[0] != (model.Candidate{ID: 700, Logit: 2}) || top[1].Logit != 0 || !math.IsNaN(float64(logSum[0])) {
				t.Errorf("NaN at %d: candidates %v, log sum %v; want 700 with 2 first, any 0, NaN", at, top[:2], logSum[0])
			}
		}
	})
}

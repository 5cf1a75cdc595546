// Package backendtest is the suite that every backend passes: the fixtures' golden logits, random models of every shape and
// weight format against package oracle, and the properties that a sequence must have however it is cut.
//
// A backend's own test is a few lines:
//
//	func TestBackend(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) model.Backend { … })
//	}
//
// # Budgets
//
// All errors are measured in units of the standard deviation of the logits in question, since a constant factor of the
// weights must not change the verdict.
//
// Precise mode: 1e-4 for the largest error of any logit, 2e-5 for the root mean square. float32 rounds to 2⁻²⁴ ≈ 6e-8; a dot
// product of K = 10⁴ terms in blocked float32 sums loses about 1e-6, a few hundred of them in sequence about 1e-5 at worst;
// transformers in float32 shows 5e-7 and 4.5e-6 on the fixtures. The smallest mistake there is to find, GELU in its tanh
// form, shows 9e-5 and 3e-4, keys and values in float16 more, a wrong layout or a missing bias 1e-1 and up. (The project
// asks for 1e-3.)
//
// Fast mode: derived for each model and prompt by letting the oracle round where a fast backend may round, and nowhere else
// ([oracle.Rounding]; the CPU rounds some inputs more finely, and stays further within): the input of every matrix to int8 with one scale for 32 neighbouring features, keys and values to
// float16. Rounding to int8 adds noise of max|x|/(127·√12) to each feature. With 32 normal values max|x| ≈ 2.4σ, so each
// product gains noise of 2.4/(127·√12) ≈ 0.55% of its own size, whatever K is; float16 adds 2⁻¹¹/√3 ≈ 0.03%. Four matrices a
// layer and the head add up as √(4·layers+1): about 1.6% for two layers, times what attention amplifies. A device rounds
// other values than the simulation does, so its noise is another draw from the same distribution: its root mean square may
// be twice the simulated one, its largest error three times the simulated largest, and either may have the precise mode's
// budget on top.
package backendtest

import (
	"context"
	"fmt"
	"math"
	"testing"

	"peregrine/model"
	"peregrine/model/oracle"
)

// precise is the budget of the precise mode.
var precise = budget{rms: 2e-5, max: 1e-4}

// Options adapt the suite to what a backend says of itself.
type Options struct {
	// FastGroup is how many neighbouring input features share one int8 scale in the fast mode; 0: 32.
	FastGroup int
	// Only, when set, keeps the random models to those for which it is true, for devices with limits of their own.
	Only func(c model.Config) bool
	// FastOnly keeps the random models to the fast mode, for what a backend does in no other.
	FastOnly bool
	// Parallel says that several models may be tested at a time: backends that open makes have no device in common, and one alone
	// does not use the whole machine.
	Parallel bool
}

// Run tests the backends that open makes; each is closed when its part of the suite is done.
func Run(t *testing.T, open func(t *testing.T) model.Backend) { RunWith(t, open, Options{}) }

// RunWith is Run for a backend with something to say of itself. Under the race detector it is the properties of one model of each kind
// of block, and refusals.
func RunWith(t *testing.T, open func(t *testing.T) model.Backend, opt Options) {
	if opt.FastGroup == 0 {
		opt.FastGroup = 32
	}
	s := &suite{open: open, opt: opt}
	if !Raced {
		t.Run("fixtures", s.fixtures)
		t.Run("shapes", s.shapes)
		t.Run("formats", s.formats)
	}
	t.Run("properties", s.properties)
	t.Run("refusals", s.refusals)
}

type suite struct {
	open func(t *testing.T) model.Backend
	opt  Options
}

// parallel lets t run beside the tests that follow it, where the backend's options allow that.
func (s *suite) parallel(t *testing.T) {
	if s.opt.Parallel {
		t.Parallel()
	}
}

// load opens a backend and loads p; both end with the test.
func (s *suite) load(t *testing.T, p *model.Params, opt model.LoadOptions) model.Executor {
	t.Helper()
	b := s.open(t)
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the backend: %v", err)
		}
	})
	e, err := b.Load(context.Background(), p, opt)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close the executor: %v", err)
		}
	})
	return e
}

// forward returns the logits of all tokens, [tokens, vocab].
func forward(t *testing.T, e model.Executor, vocab int, tokens []int32, pos int) []float32 {
	t.Helper()
	out := &model.Output{Rows: len(tokens), Logits: make([]float32, len(tokens)*vocab)}
	if err := e.Forward(context.Background(), tokens, pos, out); err != nil {
		t.Fatalf("forward of %d tokens at %d: %v", len(tokens), pos, err)
	}
	return out.Logits
}

// difference is the error of logits in units of the wanted ones' standard deviation.
type difference struct {
	rms, max float64
	at       int // index of the largest
}

func (d difference) String() string { return fmt.Sprintf("rms %.2g, largest %.2g", d.rms, d.max) }

func compare(got, want []float32) difference {
	unit := deviation(want)
	var d difference
	for i := range want {
		e := math.Abs(float64(got[i])-float64(want[i])) / unit
		if e > d.max || math.IsNaN(e) {
			d.max, d.at = e, i
		}
		d.rms += e * e
	}
	d.rms = math.Sqrt(d.rms / float64(len(want)))
	return d
}

// budget is the largest difference that a mode may have.
type budget struct{ rms, max float64 }

func (b budget) check(t *testing.T, what string, got, want []float32, vocab int) {
	t.Helper()
	d := compare(got, want)
	t.Logf("%s: error %v (budget rms %.2g, largest %.2g)", what, d, b.rms, b.max)
	if !(d.rms <= b.rms && d.max <= b.max) {
		t.Errorf("%s: error %v standard deviations of the logits, budget rms %.2g, largest %.2g; worst at token %d, logit %d: got %v, want %v",
			what, d, b.rms, b.max, d.at/vocab, d.at%vocab, got[d.at], want[d.at])
	}
}

// reference is what the oracle says about a prompt: its logits, and what each mode may lose. See the package documentation.
type reference struct {
	exact   []float32 // [tokens, vocab]
	budgets map[model.Precision]budget
}

func (s *suite) reference(t *testing.T, p *model.Params, tokens []int32) reference {
	t.Helper()
	exact := forward(t, oracle.New(p), p.Config.Vocab, tokens, 0)
	return newReference(exact, forward(t, s.rounded(p), p.Config.Vocab, tokens, 0))
}

// rounded returns an oracle that rounds as a fast backend does.
func (s *suite) rounded(p *model.Params) *oracle.Oracle {
	return oracle.NewRounded(p, oracle.Rounding{Activations: s.opt.FastGroup, KV16: true})
}

func newReference(exact, rounded []float32) reference {
	d := compare(rounded, exact)
	return reference{exact, map[model.Precision]budget{
		model.Precise: precise,
		model.Fast:    {2*d.rms + precise.rms, 3*d.max + precise.max},
	}}
}

// precisions are the modes by name.
func (s *suite) precisions() map[string]model.Precision {
	if s.opt.FastOnly {
		return map[string]model.Precision{"fast": model.Fast}
	}
	return map[string]model.Precision{"precise": model.Precise, "fast": model.Fast}
}

// argmax returns the first of the highest values and how far the second lies below it.
func argmax(v []float32) (best int32, margin float32) {
	second := float32(math.Inf(-1))
	high := second
	for i, x := range v {
		switch {
		case x > high:
			best, high, second = int32(i), x, high
		case x > second:
			second = x
		}
	}
	return best, high - second
}

package eval

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/oracle"
	"peregrine/model/sample"
)

// TestPerplexityEqualsTransformers takes the loss from the logits that transformers wrote for the fixture, all positions in
// one window.
func TestPerplexityEqualsTransformers(t *testing.T) {
	for _, name := range []string{"llama-smollm2", "falcon-7b", "falcon-40b"} {
		t.Run(name, func(t *testing.T) {
			c, golden := backendtest.Open(t, name), backendtest.ReadGolden(t, name)
			exec, err := oracle.Backend().Load(t.Context(), c.Params, model.LoadOptions{Precision: model.Precise})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = exec.Close() }()
			d := model.NewDecoder(c.Config, exec, 0)
			compared := 0
			for _, p := range golden.Prompts {
				if p.Logits == nil || len(p.IDs) < 2 {
					continue
				}
				compared++
				var loss float64
				for i, id := range p.IDs[1:] {
					row := p.Logits[i*c.Config.Vocab : (i+1)*c.Config.Vocab]
					var sum float64
					for _, v := range row {
						sum += math.Exp(float64(v))
					}
					loss += math.Log(sum) - float64(row[id])
				}
				want := math.Exp(loss / float64(len(p.IDs)-1))
				got, err := Run(t.Context(), p.IDs, d, nil, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if math.Abs(got.Perplexity/want-1) > 1e-3 {
					t.Errorf("%s: perplexity %v, want %v", p.Name, got.Perplexity, want)
				}
			}
			if compared == 0 {
				t.Error("no prompt has logits")
			}
		})
	}
}

// counting predicts token t at window position pos with a logit that depends on pos, so that a loss shows where a token was
// judged. It checks that positions follow each other.
type counting struct {
	context, length int
	slope           float64
	fail            error
}

const vocab = 5

func (c *counting) Context() int { return c.context }
func (c *counting) Vocab() int   { return vocab }

func (c *counting) logits(pos int) []float32 {
	return []float32{float32(c.slope * float64(pos)), 1, 2, 0, -1}
}

func (c *counting) Forward(_ context.Context, tokens []int32, pos int, out *sample.Output) error {
	if c.fail != nil {
		return c.fail
	}
	if pos > c.length || pos+len(tokens) > c.context || len(out.Logits) != out.Rows*vocab {
		return errors.New("a pass that no decoder accepts")
	}
	c.length = pos + len(tokens)
	for row := range out.Rows {
		copy(out.Logits[row*vocab:], c.logits(c.length-out.Rows+row))
	}
	return nil
}

// strided is the definition, one token at a time: every token is judged in the first window that holds it with one before it.
func strided(c *counting, ids []int32, window, stride int) (loss float64, n int) {
	seen := map[int]bool{}
	for begin := 0; begin < len(ids); begin += stride {
		for i := begin + 1; i < min(begin+window, len(ids)); i++ {
			if !seen[i] {
				seen[i] = true
				sum, _, err := logSum(c.logits(i - 1 - begin))
				if err != nil {
					panic(err)
				}
				loss += sum - float64(c.logits(i - 1 - begin)[ids[i]])
				n++
			}
		}
	}
	return loss / float64(n), n
}

func TestRunJudgesEachTokenInItsFirstWindow(t *testing.T) {
	for _, length := range []int{2, 3, chunk, chunk + 1, 200, 333} {
		ids := make([]int32, length)
		for i := range ids {
			ids[i] = int32(i * 7 % 4 % vocab)
		}
		for _, cut := range [][2]int{{2, 1}, {2, 2}, {chunk, chunk}, {chunk + 1, 3}, {100, 50}, {150, 150}, {150, 149}, {400, 400}, {400, 1}} {
			c := &counting{context: 400, slope: 0.01}
			want, n := strided(c, ids, cut[0], cut[1])
			got, err := Run(t.Context(), ids, c, nil, Options{Window: cut[0], Stride: cut[1]})
			if err != nil {
				t.Fatal(err)
			}
			if got.Tokens != n || math.Abs(got.LogLoss-want) > 1e-12 {
				t.Errorf("%d tokens, window and stride %v: loss %v of %d, want %v of %d", length, cut, got.LogLoss, got.Tokens, want, n)
			}
		}
	}
}

func TestDivergence(t *testing.T) {
	ids := []int32{0, 1, 2}
	same, err := Run(t.Context(), ids, &counting{context: 8}, &counting{context: 8}, Options{})
	if err != nil || same.Against.KL != 0 || same.Against.Top1 != 1 || same.Against.Perplexity != same.Perplexity {
		t.Errorf("a model against itself: %+v (%v)", same.Against, err)
	}
	model, reference := &counting{context: 8}, &counting{context: 8, slope: 3}
	got, err := Run(t.Context(), ids, model, reference, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var kl float64
	for pos := range 2 {
		p, q := reference.logits(pos), model.logits(pos)
		sumP, _, errP := logSum(p)
		sumQ, _, errQ := logSum(q)
		if errP != nil || errQ != nil {
			t.Fatal(errP, errQ)
		}
		for i := range p {
			kl += math.Exp(float64(p[i])-sumP) * (float64(p[i]) - sumP - float64(q[i]) + sumQ) / 2
		}
	}
	if math.Abs(got.Against.KL-kl) > 1e-12 || kl < 0.01 {
		t.Errorf("KL divergence %v, want %v", got.Against.KL, kl)
	}
	if got.Against.Top1 != 0.5 { // at position 1 the reference prefers token 0
		t.Errorf("top-1 agreement %v, want 0.5", got.Against.Top1)
	}
}

// TestResultIsAlwaysJSON: a model without any use has a perplexity too.
func TestResultIsAlwaysJSON(t *testing.T) {
	got, err := Run(t.Context(), []int32{1, 2, 3}, &counting{context: 8, slope: 1e6}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(got); err != nil || got.LogLoss < 1000 {
		t.Errorf("got %+v (%v)", got, err)
	}
}

type otherVocab struct{ counting }

func (*otherVocab) Vocab() int { return vocab + 1 }

func TestRunRefuses(t *testing.T) {
	ids, c := []int32{1, 2, 3}, &counting{context: 8}
	broken := errors.New("broken")
	for _, x := range []struct {
		want         string
		ids          []int32
		d, reference Decoder
		o            Options
	}{
		{"window of 9", ids, c, nil, Options{Window: 9}},
		{"window of 1", ids, c, nil, Options{Window: 1}},
		{"2…4, the context", ids, c, &counting{context: 4}, Options{Window: 8}},
		{"stride of 9", ids, c, nil, Options{Stride: 9}},
		{"stride of -1", ids, c, nil, Options{Stride: -1}},
		{"fewer than 2 tokens", ids[:1], c, nil, Options{}},
		{"vocabularies of 5 and 6", ids, c, &otherVocab{*c}, Options{}},
		{"prediction 1: the logit of token 0 is +Inf", ids, &counting{context: 8, slope: 1e39}, nil, Options{}},
		{"prediction 0: the logit of token 0 is NaN", ids, &counting{context: 8, slope: math.NaN()}, nil, Options{}},
		{"prediction 1 of the reference: the logit of token 0 is -Inf", ids, c, &counting{context: 8, slope: -1e39}, Options{}},
		{"broken", ids, &counting{context: 8, fail: broken}, nil, Options{}},
		{"broken", ids, c, &counting{context: 8, fail: broken}, Options{}},
	} {
		if _, err := Run(t.Context(), x.ids, x.d, x.reference, x.o); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("got %v, want an error with %q", err, x.want)
		}
	}
}

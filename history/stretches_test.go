package history

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"peregrine/model/generate"
)

func TestStretchesOfAReplyThatGoesOn(t *testing.T) {
	cold, warm, hot := generate.Sampling{Temperature: 0.2}, generate.Sampling{Temperature: 0.7}, generate.Sampling{Temperature: 1}
	base := Message{TokenIDs: []int32{1, 2, 3}, Sampling: &warm, Earlier: []generate.Stretch{{Tokens: 2, Sampling: cold}}}
	for name, c := range map[string]struct {
		base Message
		r    generate.Result
		want []generate.Stretch
	}{
		"a new reply":           {Message{}, generate.Result{TokenIDs: []int32{1}, Sampling: hot}, nil},
		"changed while it came": {Message{}, generate.Result{TokenIDs: []int32{1, 2}, Sampling: hot, Earlier: []generate.Stretch{{Tokens: 1, Sampling: warm}}}, []generate.Stretch{{Tokens: 1, Sampling: warm}}},
		"goes on as it was":     {base, generate.Result{TokenIDs: []int32{4}, Sampling: warm}, base.Earlier},
		"with another seed":     {base, generate.Result{TokenIDs: []int32{4}, Sampling: generate.Sampling{Temperature: 0.7, Seed: seed(4)}}, base.Earlier},
		"with other values": {
			base,
			generate.Result{TokenIDs: []int32{4}, Sampling: hot},
			[]generate.Stretch{{Tokens: 2, Sampling: cold}, {Tokens: 1, Sampling: warm}},
		},
		"without a word more": {base, generate.Result{Sampling: hot}, base.Earlier},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Stretches(c.base, c.r); !cmp.Equal(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	for at, want := range []generate.Sampling{cold, cold, warm, warm} {
		if got := base.SamplingAt(at); got == nil || *got != want {
			t.Errorf("token %d: got %v, want %v", at, got, want)
		}
	}
	if got := (Message{}).SamplingAt(0); got != nil {
		t.Errorf("got %v of a reply without values", got)
	}
}

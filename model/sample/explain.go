package sample

import (
	"math"
	"slices"

	"peregrine/model/generate"
)

// Verdict is a token that could come next and what the values make of it.
type Verdict struct {
	Scored
	Chance float64         // of being drawn; 0 when it is not kept
	Cut    generate.Filter // which value removed it; none for a token without any chance
	Rank   int             // by Prob; 1 is the most probable token
}

// Explain returns the k most probable tokens as Candidates does, and behind them the token id if it is not among them. It
// draws no random number. Logits that Next would refuse give none.
func (x *Sampler) Explain(logits []float32, k int, id int32) []Verdict {
	scored := x.Candidates(logits, k)
	if len(scored) == 0 {
		return nil
	}
	verdicts := make([]Verdict, 0, len(scored)+1)
	for i, s := range scored {
		verdicts = append(verdicts, Verdict{Scored: s, Rank: i + 1})
	}
	known := slices.ContainsFunc(scored, func(s Scored) bool { return s.ID == id })
	if !known && id >= 0 && int(id) < len(logits) {
		best := scored[0]
		prob := best.Prob * math.Exp(float64(logits[id])-float64(logits[best.ID]))
		verdicts = append(verdicts, Verdict{Scored: Scored{ID: id, Prob: prob}, Rank: rank(logits, id)})
	}
	x.judge(logits, verdicts)
	return verdicts
}

// rank returns how many tokens come before id in the order of Candidates, and one more.
func rank(logits []float32, id int32) int {
	n := 1
	for i, l := range logits {
		if l > logits[id] || l == logits[id] && int32(i) < id {
			n++
		}
	}
	return n
}

// judge fills in Kept, Chance and Cut. It filters once for each filter that is on, each time with one more of them, by the
// code that samples, so that it cannot come to another result.
func (x *Sampler) judge(logits []float32, verdicts []Verdict) {
	values := x.values
	defer func() { x.values = values }()
	for _, s := range stages(values) {
		x.values = s.values
		if x.filter(logits) != nil {
			return
		}
		kept := make(map[int32]float64, len(x.kept))
		for _, token := range x.kept {
			kept[token.id] = token.prob
		}
		for i := range verdicts {
			v := &verdicts[i]
			chance, ok := kept[v.ID]
			if !ok && v.Cut == generate.FilterNone {
				v.Cut = s.filter
			}
			v.Kept, v.Chance = ok, chance
		}
	}
}

// stage is the chain of filters up to one of them.
type stage struct {
	filter generate.Filter
	values generate.Sampling
}

// stages returns the chain of v, one filter longer each time; the last one is v.
func stages(v generate.Sampling) []stage {
	if v.Temperature == 0 {
		return []stage{{generate.FilterGreedy, v}}
	}
	next := v
	next.TopP, next.MinP, next.TypicalP = 0, 0, 0
	first := generate.FilterNone // without a top-k what is gone had no chance before
	if v.TopK > 0 {
		first = generate.FilterTopK
	}
	list := []stage{{first, next}}
	for _, f := range []struct {
		name     generate.Filter
		to, from *float64
	}{
		{generate.FilterTopP, &next.TopP, &v.TopP},
		{generate.FilterMinP, &next.MinP, &v.MinP},
		{generate.FilterTypicalP, &next.TypicalP, &v.TypicalP},
	} {
		if *f.from != 0 {
			*f.to = *f.from
			list = append(list, stage{f.name, next})
		}
	}
	return list
}

package model

import (
	"fmt"
	"math"

	"peregrine/model/quant"
)

// Bounds of what a configuration may say. They are far above any published model and low enough that no product of two of
// them overflows an int64.
const (
	maxHidden  = 1 << 20
	maxLayers  = 1 << 12
	maxHeads   = 1 << 14
	maxHeadDim = 1 << 12
	maxFFN     = 1 << 23
	maxVocab   = 1 << 24
	maxContext = 1 << 27
)

// Validate reports the first value that no model can have, so that nothing behind it needs to look again: sizes within
// bounds, heads a multiple of KV heads, an even head size for rotary positions, a positive epsilon and a usable rope.
func (c Config) Validate() error {
	for _, v := range []struct {
		name      string
		got, most int
	}{
		{"hidden size", c.Hidden, maxHidden},
		{"layers", c.Layers, maxLayers},
		{"heads", c.Heads, maxHeads},
		{"KV heads", c.KVHeads, maxHeads},
		{"head size", c.HeadDim, maxHeadDim},
		{"feed-forward size", c.FFN, maxFFN},
		{"vocabulary", c.Vocab, maxVocab},
		{"context", c.MaxContext, maxContext},
	} {
		if v.got < 1 || v.got > v.most {
			return fmt.Errorf("%s is %d; want 1 to %d", v.name, v.got, v.most)
		}
	}
	if c.Heads%c.KVHeads != 0 {
		return fmt.Errorf("%d heads are not a multiple of %d KV heads", c.Heads, c.KVHeads)
	}
	if eps := float64(c.NormEps); !(eps >= 0 && eps < 1) {
		return fmt.Errorf("norm epsilon is %v; want at least 0 and below 1", c.NormEps)
	}
	if c.Positions == Rotary {
		if c.HeadDim%2 != 0 {
			return fmt.Errorf("head size is %d; rotary positions need an even one", c.HeadDim)
		}
		return c.Rope.validate(c.HeadDim)
	}
	return nil
}

func (r Rope) validate(headDim int) error {
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 1) }
	if !positive(r.Base) {
		return fmt.Errorf("rope base is %v; want above 0", r.Base)
	}
	if r.FreqFactors != nil && len(r.FreqFactors) != headDim/2 {
		return fmt.Errorf("rope has %d frequency factors; want %d, one for each pair of a head", len(r.FreqFactors), headDim/2)
	}
	for i, f := range r.FreqFactors {
		if !positive(float64(f)) {
			return fmt.Errorf("rope frequency factor %d is %v; want above 0", i, f)
		}
	}
	if r.Scaling == RopeDefault {
		return nil
	}
	if !positive(r.Factor) {
		return fmt.Errorf("rope scaling factor is %v; want above 0", r.Factor)
	}
	if r.Scaling == RopeLinear {
		return nil
	}
	if r.OriginalContext < 1 || r.OriginalContext > maxContext {
		return fmt.Errorf("rope scaling's original context is %d; want 1 to %d", r.OriginalContext, maxContext)
	}
	if r.Scaling == RopeDynamic && (r.Factor < 1 || headDim < 4) {
		return fmt.Errorf("dynamic rope scaling with factor %v and head size %d; want at least 1 and 4", r.Factor, headDim)
	}
	if r.Scaling == RopeLlama3 && !(positive(r.LowFreqFactor) && positive(r.HighFreqFactor) && r.LowFreqFactor < r.HighFreqFactor) {
		return fmt.Errorf("llama3 rope scaling has frequency factors %v and %v; want 0 < low < high", r.LowFreqFactor, r.HighFreqFactor)
	}
	return nil
}

// Validate reports the first matrix, bias or norm whose shape does not fit the configuration. Open has called it; a caller
// that builds Params by hand calls it itself.
func (p *Params) Validate() error {
	c := p.Config
	if err := c.Validate(); err != nil {
		return err
	}
	if len(p.Layers) != c.Layers {
		return fmt.Errorf("%d layers given, the configuration says %d", len(p.Layers), c.Layers)
	}
	if err := checkLinear("embedding", Linear{W: []*quant.Matrix{p.Embed}}, c.Hidden, c.Vocab); err != nil {
		return err
	}
	if err := checkLinear("head", Linear{W: []*quant.Matrix{p.Head}}, c.Hidden, c.Vocab); err != nil {
		return err
	}
	if c.Tied != (p.Head == p.Embed) {
		return fmt.Errorf("tied is %v, but head and embedding say otherwise", c.Tied)
	}
	if err := c.checkNorm("final norm", p.FinalNorm, true); err != nil {
		return err
	}
	for i := range p.Layers {
		if err := c.checkLayer(&p.Layers[i]); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

func (c Config) checkLayer(l *Layer) error {
	up := c.FFN
	if c.MLP == GatedSiLU {
		up *= 2
	}
	for _, v := range []struct {
		name    string
		l       Linear
		in, out int
	}{
		{"query, key and value", l.QKV, c.Hidden, (c.Heads + 2*c.KVHeads) * c.HeadDim},
		{"attention output", l.AttnOut, c.Heads * c.HeadDim, c.Hidden},
		{"up projection", l.Up, c.Hidden, up},
		{"down projection", l.Down, c.FFN, c.Hidden},
	} {
		if err := checkLinear(v.name, v.l, v.in, v.out); err != nil {
			return err
		}
	}
	if err := c.checkNorm("attention norm", l.AttnNorm, true); err != nil {
		return err
	}
	return c.checkNorm("feed-forward norm", l.MLPNorm, !c.Parallel)
}

func checkLinear(name string, l Linear, in, out int) error {
	if len(l.W) == 0 {
		return fmt.Errorf("%s: no matrix", name)
	}
	got := 0
	for _, m := range l.W {
		if m == nil {
			return fmt.Errorf("%s: no matrix", name)
		}
		if err := m.Validate(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if m.In != in || m.Out < 1 {
			return fmt.Errorf("%s: tensor %q is [%d, %d]; want %d input features", name, m.Name, m.Out, m.In, in)
		}
		got += m.Out
	}
	if got != out {
		return fmt.Errorf("%s: tensor %q and its neighbours have %d output features; want %d", name, l.W[0].Name, got, out)
	}
	if l.Bias != nil && len(l.Bias) != out {
		return fmt.Errorf("%s: bias has %d values; want %d", name, len(l.Bias), out)
	}
	return nil
}

func (c Config) checkNorm(name string, n Norm, required bool) error {
	if n.Weight == nil && !required {
		return nil
	}
	if len(n.Weight) != c.Hidden {
		return fmt.Errorf("%s: weight has %d values; want %d", name, len(n.Weight), c.Hidden)
	}
	if want := c.Norm == LayerNorm; want != (n.Bias != nil) || want && len(n.Bias) != c.Hidden {
		return fmt.Errorf("%s: bias has %d values; want %d for a layer norm and none for an RMS norm", name, len(n.Bias), c.Hidden)
	}
	return nil
}

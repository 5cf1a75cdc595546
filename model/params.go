package model

import "peregrine/model/quant"

// NormKind is the normalisation in front of a block.
type NormKind uint8

// Kinds of normalisation. Both are computed in float32.
const (
	LayerNorm NormKind = iota // (x−mean)/sqrt(var+eps)·w + b
	RMSNorm                   // x/sqrt(mean(x²)+eps)·w
)

// MLPKind is the feed-forward network of a block.
type MLPKind uint8

// Kinds of feed-forward network.
const (
	GELU      MLPKind = iota // down(gelu(up x)), gelu in its exact form 0.5·z·(1+erf(z/√2))
	GatedSiLU                // down(silu(gate x) · (up x))
)

// PositionKind is how attention learns of positions.
type PositionKind uint8

// Kinds of positions.
const (
	Rotary PositionKind = iota // NeoX halves over the whole head
	ALiBi                      // (q·k + slope_h·j)/sqrt(HeadDim), j the key's position; slopes from ALiBiSlopes
)

// RopeScalingKind names how rotary frequencies are stretched.
type RopeScalingKind uint8

// Kinds of rope scaling. Source: transformers modeling_rope_utils.py.
const (
	RopeDefault RopeScalingKind = iota
	RopeLinear                  // position / Factor
	RopeDynamic                 // base grows once the length passes OriginalContext (NTK-aware)
	RopeLlama3                  // low frequencies divided by Factor, smooth between the two bounds
)

// Rope holds the rotary parameters.
type Rope struct {
	Base            float64
	Scaling         RopeScalingKind
	Factor          float64
	LowFreqFactor   float64
	HighFreqFactor  float64
	OriginalContext int
	// FreqFactors divide the frequencies one by one, [HeadDim/2]: a GGUF file's rope_freqs.weight. nil: none.
	FreqFactors []float32
}

// Config is the shape of a model, the same for every architecture: plain values with every default applied.
type Config struct {
	Architecture string // "falcon" or "llama"
	Hidden       int    // d_model
	Layers       int
	Heads        int
	KVHeads      int
	HeadDim      int
	FFN          int
	Vocab        int // rows of the embedding
	MaxContext   int // trained context
	Norm         NormKind
	NormEps      float32
	Parallel     bool // x + attn(norm(x)) + mlp(norm(x)); else x += attn(…), then x += mlp(…)
	Positions    PositionKind
	Rope         Rope
	MLP          MLPKind
	Tied         bool  // the head is the embedding
	BOS          int32 // −1: none
	EOS          []int32
}

// Norm holds a normalisation's weights, widened to float32. A nil Weight means that the norm is absent.
type Norm struct {
	Weight []float32 // [Hidden]
	Bias   []float32 // [Hidden]; nil for RMSNorm
}

// Linear is y[Out] = x[In]·Wᵀ + bias. W holds one or more matrices with the same In whose outputs follow one another:
// query, key and value of a Llama layer are three, Falcon's fused matrix is one with its rows reordered.
type Linear struct {
	W    []*quant.Matrix
	Bias []float32 // [Out]; nil: none
}

// Out returns the output features of all matrices together.
func (l Linear) Out() int {
	n := 0
	for _, w := range l.W {
		n += w.Out
	}
	return n
}

// In returns the input features.
func (l Linear) In() int { return l.W[0].In }

// Layer holds one block's weights.
type Layer struct {
	AttnNorm Norm
	// MLPNorm is the norm in front of the MLP. In a parallel block it reads the block's input, and when absent the MLP takes
	// AttnNorm's output; in a sequential block it reads x + attention.
	MLPNorm Norm
	QKV     Linear // out = (Heads + 2·KVHeads)·HeadDim: all query heads, then all keys, then all values
	AttnOut Linear // in = Heads·HeadDim
	Up      Linear // GELU: out = FFN. GatedSiLU: out = 2·FFN, gate first, then up
	Down    Linear // in = FFN
}

// Params is a whole model as plain host data: names resolved, shapes checked, the same form for every architecture. The
// matrices are views of mapped files and end with the Checkpoint that made them.
type Params struct {
	Config    Config
	Embed     *quant.Matrix // [Vocab, Hidden]
	Layers    []Layer
	FinalNorm Norm
	Head      *quant.Matrix // [Vocab, Hidden]; the same pointer as Embed when Config.Tied
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/cpu"
)

// report is what `bench --json` prints. Rates are medians over the repetitions.
type report struct {
	Model         string  `json:"model"`
	Backend       string  `json:"backend"`
	Threads       int     `json:"threads"`
	Context       int     `json:"context"` // tokens in the KV cache before decoding starts
	PrefillTokens int     `json:"prefill_tokens"`
	PrefillRate   float64 `json:"prefill_tokens_per_s"`
	DecodeTokens  int     `json:"decode_tokens"`
	DecodeRate    float64 `json:"decode_tokens_per_s"`
	BytesPerToken int64   `json:"bytes_per_token"` // weights and, at the middle of the run, KV cache
	Bandwidth     float64 `json:"gb_per_s"`        // bytes_per_token · decode_tokens_per_s
	ReadBandwidth float64 `json:"read_bandwidth_gb_per_s"`
	Ratio         float64 `json:"bandwidth_ratio"`
	Load          float64 `json:"load_s"`
	FirstToken    float64 `json:"first_token_s"` // from the start of the process
}

// benchOptions say what is timed.
type benchOptions struct {
	prefill, decode, depth, repeat int
	json                           bool
}

func newBench(s *settings, io streams) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench [MODEL]",
		Short: "Time a model: load, first token, prefill, decode, memory bandwidth",
		Long: `Time a model: load, first token, prefill, decode, and the share of the memory's read bandwidth that decoding
reaches. Nothing else should run. Rates are medians; the tokens are arbitrary ids, and sampling takes no part.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.prefill < 1 || o.decode < 1 || o.depth < 0 || o.repeat < 1 {
				return usage("--prefill, --decode and --repeat must be 1 or more, --depth 0 or more")
			}
			s.file.Context = max(s.file.Context, o.prefill, o.depth+o.decode)
			r, err := s.bench(cmd.Context(), args, o, io)
			if err != nil {
				return err
			}
			if o.json {
				return json.NewEncoder(io.out).Encode(r)
			}
			return r.print(io)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.prefill, "prefill", 512, "prompt tokens to time")
	f.IntVar(&o.decode, "decode", 128, "tokens to decode")
	f.IntVar(&o.depth, "depth", 0, "tokens in the KV cache before decoding starts")
	f.IntVar(&o.repeat, "repeat", 3, "repetitions; the median counts")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	return cmd
}

// bench loads the model and times it.
func (s *settings) bench(ctx context.Context, args []string, o benchOptions, io streams) (_ *report, err error) {
	path, err := s.resolve(ctx, args, io)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	c, err := openModel(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	backend, _, err := s.device()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	d, err := s.sequence(ctx, c, backend, func(float64) {})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	r := &report{
		Model: c.Name, Backend: backend.Name(), Threads: cpu.Threads(s.file.Threads), Context: o.depth,
		PrefillTokens: o.prefill, DecodeTokens: o.decode, Load: time.Since(begin).Seconds(),
	}
	b := &stopwatch{ctx: ctx, d: d, vocab: c.Config.Vocab}
	if _, err := b.forward([]int32{b.token(0)}, 0, true); err != nil {
		return nil, err
	}
	r.FirstToken = time.Since(started).Seconds()
	if r.PrefillRate, err = b.prefill(o); err != nil {
		return nil, err
	}
	if r.DecodeRate, err = b.decode(o); err != nil {
		return nil, err
	}
	r.BytesPerToken = c.WeightBytes() + c.KVBytes(o.depth+o.decode/2, s.precision())
	r.Bandwidth = float64(r.BytesPerToken) * r.DecodeRate / 1e9
	// Four times the largest cache of usual machines, so that the figure is the memory's and not the cache's.
	r.ReadBandwidth = cpu.ReadBandwidth(r.Threads, 1<<30)
	r.Ratio = r.Bandwidth / r.ReadBandwidth
	return r, nil
}

// stopwatch times forward passes.
type stopwatch struct {
	ctx   context.Context
	d     *sequence
	vocab int
}

// token returns an arbitrary but repeatable id.
func (b *stopwatch) token(i int) int32 { return int32((i*7919 + 13) % b.vocab) }

func (b *stopwatch) forward(ids []int32, pos int, logits bool) (time.Duration, error) {
	out := &model.Output{}
	if logits {
		out = &model.Output{Rows: 1, Top: [][]model.Candidate{make([]model.Candidate, 1)}, LogSum: make([]float32, 1)}
	}
	begin := time.Now()
	err := b.d.Forward(b.ctx, ids, pos, out)
	return time.Since(begin), err
}

func (b *stopwatch) fill(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = b.token(i)
	}
	return ids
}

// prefill returns the median rate of reading a prompt from an empty cache, the last token's logits included.
func (b *stopwatch) prefill(o benchOptions) (float64, error) {
	ids := b.fill(o.prefill)
	rates := make([]float64, o.repeat)
	for i := range rates {
		took, err := b.forward(ids, 0, true)
		if err != nil {
			return 0, err
		}
		rates[i] = float64(o.prefill) / took.Seconds()
	}
	return median(rates), nil
}

// decode returns the median rate of single tokens after depth tokens.
func (b *stopwatch) decode(o benchOptions) (float64, error) {
	rates := make([]float64, o.repeat)
	for i := range rates {
		if o.depth > 0 {
			if _, err := b.forward(b.fill(o.depth), 0, false); err != nil {
				return 0, err
			}
		}
		var total time.Duration
		for t := range o.decode {
			took, err := b.forward([]int32{b.token(t)}, o.depth+t, true)
			if err != nil {
				return 0, err
			}
			total += took
		}
		rates[i] = float64(o.decode) / total.Seconds()
	}
	return median(rates), nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func (r *report) print(io streams) error {
	_, err := fmt.Fprintf(io.out, `%s on %s
load         %8.3f s, first token %.3f s after the process started
prefill      %8.1f tokens/s (%d tokens)
decode       %8.1f tokens/s (%d tokens after %d)
bytes        %8s a token, %.1f GB/s = %.0f %% of the %.1f GB/s that a plain read reaches
`, r.Model, r.Backend, r.Load, r.FirstToken, r.PrefillRate, r.PrefillTokens, r.DecodeRate, r.DecodeTokens, r.Context,
		size(r.BytesPerToken), r.Bandwidth, 100*r.Ratio, r.ReadBandwidth)
	return err
}

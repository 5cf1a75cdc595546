package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	Settle        float64 `json:"settle_s"`      // for what of the load was left until after the first token
	Mapped        bool    `json:"load_mapped"`   // the weights came from a file that holds them repacked
	FirstToken    float64 `json:"first_token_s"` // from the start of the process, of a reply to a short text

	Contexts   []atContext `json:"contexts,omitempty"`
	VerifyRows int         `json:"verify_rows,omitempty"`
	VerifyTime float64     `json:"verify_s,omitempty"`     // of a pass of that many tokens with the logits of each
	VerifyCost float64     `json:"verify_ratio,omitempty"` // relative to a pass of one token at the same place
}

// atContext is how fast tokens come after many others.
type atContext struct {
	Context       int     `json:"context"`
	DecodeRate    float64 `json:"decode_tokens_per_s"`
	BytesPerToken int64   `json:"bytes_per_token"`
	Bandwidth     float64 `json:"gb_per_s"`
	Ratio         float64 `json:"bandwidth_ratio"`
}

// readBandwidth is what a backend with memory of its own has besides: how many GB (10⁹ bytes) a second a plain read of it
// reaches.
type readBandwidth interface {
	ReadBandwidth() (float64, error)
}

// benchOptions say what is timed.
type benchOptions struct {
	prefill, decode, depth, repeat, verify int
	contexts                               []int
	json, phases, replies                  bool
	synthetic                              syntheticFlags
}

// check refuses values before a model is loaded for them.
func (o *benchOptions) check(flags *pflag.FlagSet, args []string) error {
	if o.prefill < 1 || o.decode < 1 || o.repeat < 1 || o.depth < 0 || o.verify < 0 {
		return usage("--prefill, --decode and --repeat must be 1 or more, --depth and --verify 0 or more")
	}
	if o.json && o.phases {
		return usage("--phases prints a table; leave --json out")
	}
	if slices.ContainsFunc(o.contexts, func(n int) bool { return n < 0 }) {
		return usage("--contexts is %v; each must be 0 or more", o.contexts)
	}
	if o.replies && o.synthetic.shape != "" {
		return usage("--replies answers in words, and random weights have none; name a model")
	}
	return o.synthetic.check(flags, args)
}

// longest returns the tokens that the KV cache must hold, those of the short text for the first token among them.
func (o *benchOptions) longest() int {
	return max(64, o.prefill, max(o.depth, slices.Max(append([]int{0}, o.contexts...)))+o.decode, o.depth+o.verify)
}

func newBench(s *settings, io streams) *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "bench [MODEL]",
		Short: "Time a model: load, first token, prefill, decode, memory bandwidth",
		Long: `Time a model: load, first token, prefill, decode, and the share of the memory's read bandwidth that decoding
reaches. Nothing else should run. Rates are medians; the tokens are arbitrary ids, and sampling takes no part.

With --synthetic there is no model to fetch: the weights are random and of a published shape. --write makes a checkpoint
folder of them, which every command opens.`,
		Example: `  peregrine bench --synthetic falcon-40b --contexts 0,2048
  peregrine bench --synthetic falcon-7b --group 128 --act-order=false --write /models/falcon-7b-random`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd.Flags(), args); err != nil {
				return err
			}
			if o.synthetic.write != "" {
				return o.synthetic.save(cmd.Context(), o.json, io)
			}
			if o.replies {
				return s.benchSpeculation(cmd.Context(), args, o, io)
			}
			s.file.Context = max(s.file.Context, o.longest())
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
	f.IntSliceVar(&o.contexts, "contexts", nil, "decode after each of these numbers of tokens too, such as 1,2048")
	f.IntVar(&o.verify, "verify", 0, "time a pass of this many tokens with the logits of each, relative to one token")
	f.BoolVar(&o.phases, "phases", false, "on a GPU: what each kind of kernel takes, of a token and of a prompt")
	f.BoolVar(&o.replies, "replies", false, "instead: time whole replies, answers to an edit task and one in prose, with speculation and without")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	o.synthetic.register(f)
	return cmd
}

// checkpoint opens or makes the model, and returns since when it has been loading: fetching one, or making random weights, is
// no part of that.
func (s *settings) checkpoint(ctx context.Context, args []string, o *syntheticFlags, io streams) (*model.Checkpoint, time.Time, error) {
	if o.shape != "" {
		c, err := o.open()
		return c, time.Now(), err
	}
	path, err := s.resolve(ctx, args, io)
	if err != nil {
		return nil, time.Time{}, err
	}
	begin := time.Now()
	c, err := openModel(path)
	return c, begin, err
}

// bench loads the model and times it.
func (s *settings) bench(ctx context.Context, args []string, o benchOptions, io streams) (_ *report, err error) {
	collect := postponeGC()
	defer collect()
	c, begin, err := s.checkpoint(ctx, args, &o.synthetic, io)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	backend, _, err := s.device(c.Params)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	words := startTokenizer(c.Path, c.Tokenizer, false)
	d, err := s.sequence(ctx, c, backend, true, func(float64) {})
	load := time.Since(begin)
	tok := <-words
	if d != nil {
		defer func() { err = errors.Join(err, d.Close()) }()
	}
	if tok.value != nil {
		defer func() { err = errors.Join(err, tok.value.Close()) }()
	}
	if err != nil {
		return nil, err
	}
	r := &report{
		Model: c.Name, Backend: backend.Name(), Threads: cpu.Threads(s.file.Threads), Context: o.depth,
		PrefillTokens: o.prefill, DecodeTokens: o.decode, Load: load.Seconds(),
	}
	if k, ok := d.exec.(model.Keeper); ok {
		_, r.Mapped = k.Repacked()
	}
	b := &stopwatch{ctx: ctx, d: d, vocab: c.Config.Vocab}
	if err := b.first(tok.value); err != nil {
		return nil, err
	}
	r.FirstToken = sinceStart().Seconds()
	collect()
	if k, ok := d.exec.(model.Settler); ok {
		begin := time.Now()
		if err := k.Settle(ctx); err != nil {
			return nil, err
		}
		r.Settle = time.Since(begin).Seconds()
	}
	if err := r.time(b, o); err != nil {
		return nil, err
	}
	if r.ReadBandwidth, err = bandwidth(backend, r.Threads); err != nil {
		return nil, err
	}
	if o.phases {
		if err := b.phases(o, r.ReadBandwidth, io); err != nil {
			return nil, err
		}
	}
	bytes := func(depth int) int64 { return c.WeightBytes() + c.KVBytes(depth+o.decode/2, s.precision()) }
	r.BytesPerToken = bytes(o.depth)
	r.Bandwidth = float64(r.BytesPerToken) * r.DecodeRate / 1e9
	r.Ratio = r.Bandwidth / r.ReadBandwidth
	for i := range r.Contexts {
		at := &r.Contexts[i]
		at.BytesPerToken = bytes(at.Context)
		at.Bandwidth = float64(at.BytesPerToken) * at.DecodeRate / 1e9
		at.Ratio = at.Bandwidth / r.ReadBandwidth
	}
	return r, nil
}

// time fills in the rates.
func (r *report) time(b *stopwatch, o benchOptions) (err error) {
	if r.PrefillRate, err = b.prefill(o); err != nil {
		return err
	}
	if r.DecodeRate, err = b.decode(o.depth, o); err != nil {
		return err
	}
	for _, depth := range o.contexts {
		rate, err := b.decode(depth, o)
		if err != nil {
			return err
		}
		r.Contexts = append(r.Contexts, atContext{Context: depth, DecodeRate: rate})
	}
	if o.verify > 0 {
		r.VerifyRows = o.verify
		r.VerifyTime, r.VerifyCost, err = b.verify(o)
	}
	return err
}

// bandwidth measures what a token cannot be faster than, on the memory that backend reads.
func bandwidth(backend model.Backend, threads int) (float64, error) {
	if own, ok := backend.(readBandwidth); ok {
		return own.ReadBandwidth()
	}
	// Four times the largest cache of usual machines, so that the figure is the memory's and not the cache's.
	return cpu.ReadBandwidth(threads, 1<<30), nil
}

func (r *report) print(io streams) error {
	how := ""
	if r.Mapped {
		how = " (mapped, repacked before)"
	}
	if r.Settle >= 0.001 {
		how = fmt.Sprintf(" (and %.3f s after the first token)", r.Settle)
	}
	_, err := fmt.Fprintf(io.out, `%s on %s
load         %8.3f s%s, first token %.3f s after the process started
prefill      %8.1f tokens/s (%d tokens)
decode       %8.1f tokens/s (%d tokens after %d)
bytes        %8s a token, %.1f GB/s = %.0f %% of the %.1f GB/s that a plain read reaches
`, r.Model, r.Backend, r.Load, how, r.FirstToken, r.PrefillRate, r.PrefillTokens, r.DecodeRate, r.DecodeTokens, r.Context,
		size(r.BytesPerToken), r.Bandwidth, 100*r.Ratio, r.ReadBandwidth)
	for _, c := range r.Contexts {
		fmt.Fprintf(io.out, "after %-6d %8.1f tokens/s, %s a token, %.1f GB/s = %.0f %%\n",
			c.Context, c.DecodeRate, size(c.BytesPerToken), c.Bandwidth, 100*c.Ratio)
	}
	if r.VerifyRows > 0 {
		fmt.Fprintf(io.out, "verify       %8.3f ms for %d tokens at once, %.2f times one token\n",
			1000*r.VerifyTime, r.VerifyRows, r.VerifyCost)
	}
	return err
}

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"peregrine/model/engine"
	"peregrine/model/generate"
)

// speculated is how fast one kind of reply comes with and without speculation. Rates are medians over the repetitions.
type speculated struct {
	Task     string  `json:"task"`
	Tokens   int     `json:"reply_tokens"`
	Plain    float64 `json:"plain_tokens_per_s"`
	Rate     float64 `json:"tokens_per_s"`
	Gain     float64 `json:"gain"` // median of the rounds, each both ways
	Drafted  int     `json:"drafted_tokens"`
	Accepted int     `json:"accepted_tokens"`
}

// A reply that repeats most of its prompt, and one that repeats nothing.
var speculationTasks = []struct{ name, prompt string }{
	{"edit", `Rename the variable "total" to "sum" in this function. Answer with the whole function in one code block and nothing else.

` + "```go" + `
// Average returns the mean of the values that are not negative, and how many of them there were.
func Average(values []float64) (mean float64, count int) {
	total := 0.0
	for _, value := range values {
		if value < 0 {
			continue
		}
		total += value
		count++
	}
	if count == 0 {
		return 0, 0
	}
	return total / float64(count), count
}
` + "```"},
	{"prose", "Tell a story about a peregrine falcon that is afraid of heights and learns to fly from an old owl. Use many details."},
}

// benchSpeculation loads the model and prints what speculation gains.
func (s *settings) benchSpeculation(ctx context.Context, args []string, o benchOptions, io streams) (err error) {
	path, err := s.resolve(ctx, args, io)
	if err != nil {
		return err
	}
	m, err := s.loader(path, use{timing: true})(ctx, func(float64) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	r := speculationReport{Model: m.Info.Model, Backend: m.Info.Backend}
	if r.Tasks, err = s.speculation(ctx, m, o); err != nil {
		return err
	}
	if o.json {
		return json.NewEncoder(io.out).Encode(r)
	}
	r.print(io.out)
	return nil
}

// speculationReport is what `bench --replies --json` prints.
type speculationReport struct {
	Model   string       `json:"model"`
	Backend string       `json:"backend"`
	Tasks   []speculated `json:"tasks"`
}

// print writes a line a task.
func (r *speculationReport) print(out io.Writer) {
	fmt.Fprintf(out, "%s on %s, medians\n", r.Model, r.Backend)
	for _, t := range r.Tasks {
		fmt.Fprintf(out, "%-12s %8.1f tokens/s, %.1f without speculation: %.2f times (%d of %d drafted tokens accepted, reply of %d)\n",
			t.Task, t.Rate, t.Plain, t.Gain, t.Accepted, t.Drafted, t.Tokens)
	}
}

// speculationSeed makes both ways of a round choose the same tokens.
const speculationSeed = 7

// speculation times the tasks with speculation and without, in turn, with the model's own sampling values and a fixed seed. Each
// reply comes from an engine that knows nothing yet.
func (s *settings) speculation(ctx context.Context, m *engine.Model, o benchOptions) (all []speculated, err error) {
	keep := m.Close
	defer func() { m.Close = keep }()
	m.Close = nil // the engines come and go, the model stays
	for _, task := range speculationTasks {
		t := speculated{Task: task.name}
		var plain, rates, gains []float64
		for round := range o.repeat + 1 {
			both := map[bool]generate.Result{}
			for _, on := range []bool{round%2 == 0, round%2 != 0} {
				if both[on], err = answer(ctx, m, engine.Options{Speculate: on, Log: s.log}, task.prompt, o.decode); err != nil {
					return nil, err
				}
			}
			if !slices.Equal(both[true].TokenIDs, both[false].TokenIDs) {
				return nil, fmt.Errorf("%s: with speculation the reply has other tokens than without; please report this", task.name)
			}
			if round == 0 {
				continue // caches are cold
			}
			off, on := both[false].Timings, both[true].Timings
			plain, rates = append(plain, off.DecodePerSecond), append(rates, on.DecodePerSecond)
			gains = append(gains, on.DecodePerSecond/off.DecodePerSecond)
			t.Tokens, t.Drafted, t.Accepted = on.ReplyTokens, on.Drafted, on.Accepted
		}
		t.Plain, t.Rate, t.Gain = median(plain), median(rates), median(gains)
		all = append(all, t)
	}
	return all, nil
}

// answer makes one reply with an engine of its own.
func answer(ctx context.Context, m *engine.Model, opt engine.Options, prompt string, tokens int) (_ generate.Result, err error) {
	e := engine.New(func(context.Context, func(float64)) (*engine.Model, error) { return m, nil }, opt)
	defer func() { err = errors.Join(err, e.Close()) }()
	sampling, seed := m.Info.Defaults, uint64(speculationSeed)
	sampling.Seed = &seed
	stream, err := e.Start(ctx, generate.Request{
		Messages: []generate.Message{{Role: generate.User, Content: prompt}}, MaxTokens: tokens, Sampling: sampling,
	})
	if err != nil {
		return generate.Result{}, err
	}
	for {
		switch u, err := stream.Next(ctx); {
		case errors.Is(err, io.EOF):
			return generate.Result{}, errors.New("the reply had no end")
		case err != nil:
			return generate.Result{}, err
		case u.Result != nil:
			return *u.Result, u.Result.Err
		}
	}
}

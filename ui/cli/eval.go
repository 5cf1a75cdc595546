package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"peregrine/model/eval"
)

// evalOptions say what is judged, and against what.
type evalOptions struct {
	text, against string
	json          bool
	eval.Options
}

// evaluation is what `eval --json` prints.
type evaluation struct {
	Model     string `json:"model"`
	Backend   string `json:"backend"`
	Reference string `json:"reference,omitempty"` // model and backend that it is compared with
	eval.Result
}

func newEval(s *settings, io streams) *cobra.Command {
	var o evalOptions
	cmd := &cobra.Command{
		Use:   "eval MODEL --text FILE",
		Short: "Judge a model by a text: perplexity, and divergence from another model, backend or precision",
		Long: `Judge a model by how well it predicts a text: its perplexity, and with --against the KL divergence of its distributions
from those of a reference and how often both have the same first choice. The reference is another model with the same
tokenizer, or the same model on a backend (cpu, cuda, oracle) or without rounding (f32).

The text is read in windows of the context's length; --stride lets them overlap, so that tokens are judged with more before
them. The perplexity is that of the strided loop in transformers' documentation, as a mean over tokens; its older form, a mean
over windows, gives other values.`,
		Example: `  peregrine eval smollm2 --text book.txt --window 512
  peregrine eval ./smollm2-gptq --text book.txt --against smollm2 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Window < 0 || o.Stride < 0 {
				return usage("--window is %d and --stride %d; give numbers of tokens, or 0 for the context", o.Window, o.Stride)
			}
			e, err := s.evaluate(cmd, args, o, io)
			if err != nil {
				return err
			}
			if o.json {
				return json.NewEncoder(io.out).Encode(e)
			}
			e.print(io.out)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.text, "text", "", "file of UTF-8 text to judge by")
	f.StringVar(&o.against, "against", "", "reference: another MODEL; or cpu, cuda, oracle: this model on that backend; or f32: this model without rounding")
	f.IntVar(&o.Window, "window", 0, "tokens that the model sees at once; 0: the context")
	f.IntVar(&o.Stride, "stride", 0, "tokens from one window to the next; 0: the window, so that none overlap")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	must(cmd.MarkFlagRequired("text"))
	return cmd
}

// evaluate encodes the text, loads what is judged and the reference, and runs both.
func (s *settings) evaluate(cmd *cobra.Command, args []string, o evalOptions, io streams) (_ *evaluation, err error) {
	ids, err := s.encodeFile(cmd, args, o.text, io)
	if err != nil {
		return nil, err
	}
	s.file.Context = max(s.file.Context, o.Window)
	d, err := s.judged(cmd.Context(), args, io)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	e := &evaluation{Model: d.name, Backend: d.sequence.backend.Name()}
	var reference eval.Decoder
	if o.against != "" {
		other := *s
		switch o.against {
		case "cpu", "cuda", "oracle":
			other.file.Backend = o.against
		case "f32":
			other.file.Precision = o.against
		default:
			args = []string{o.against}
			theirs, err := other.encodeFile(cmd, args, o.text, io)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(ids, theirs) {
				return nil, fmt.Errorf("eval: %s and %s cut %s into different tokens; compare models that share a tokenizer", d.name, o.against, o.text)
			}
		}
		r, err := other.judged(cmd.Context(), args, io)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, r.close()) }()
		reference = r.sequence
		e.Reference = r.name + ", " + r.sequence.backend.Name()
		if o.against == "f32" {
			e.Reference += ", f32"
		}
	}
	e.Result, err = eval.Run(cmd.Context(), ids, d.sequence, reference, o.Options)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// encodeFile reads a text file as the ids of the model that args name, BOS included.
func (s *settings) encodeFile(cmd *cobra.Command, args []string, path string, in streams) (_ []int32, err error) {
	text, err := readText(path)
	if err != nil {
		return nil, fmt.Errorf("eval: %w", err)
	}
	t, bos, err := s.tokenizerOf(cmd, args, in)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	ids, err := t.Encode(text, false)
	if err == nil && bos != nil {
		ids = slices.Insert(ids, 0, *bos)
	}
	return ids, err
}

// readText reads the file that --text names.
func readText(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--text: %w", err)
	}
	if !utf8.Valid(text) {
		return "", fmt.Errorf("%s is not UTF-8 text", path)
	}
	return string(text), nil
}

// loaded is an open model and all that must be closed with it.
type loaded struct {
	sequence *sequence
	name     string
	closers  []io.Closer // in the order of closing
}

func (l *loaded) close() (err error) {
	for _, c := range l.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// judged opens a model on the backend of the settings.
func (s *settings) judged(ctx context.Context, args []string, out streams) (_ *loaded, err error) {
	path, err := s.resolve(ctx, args, out)
	if err != nil {
		return nil, err
	}
	l := &loaded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	c, err := openModel(path)
	if err != nil {
		return nil, err
	}
	l.name, l.closers = c.Name, []io.Closer{c}
	backend, _, err := s.device(c.Params)
	if err != nil {
		return nil, err
	}
	l.closers = slices.Insert(l.closers, 0, io.Closer(backend))
	if l.sequence, err = s.sequence(ctx, c, backend, false, func(float64) {}); err != nil {
		return nil, err
	}
	l.closers = slices.Insert(l.closers, 0, io.Closer(l.sequence))
	return l, nil
}

// print writes the judgement for people.
func (e *evaluation) print(w io.Writer) {
	fmt.Fprintf(w, "model        %s\nbackend      %s\n", e.Model, e.Backend)
	fmt.Fprintf(w, "tokens       %d, windows of %d, %d apart\n", e.Tokens, e.Window, e.Stride)
	fmt.Fprintf(w, "perplexity   %.4f (%.4f nats a token)\n", e.Perplexity, e.LogLoss)
	fmt.Fprintf(w, "speed        %.1f tokens/s\n", e.Rate)
	if a := e.Against; a != nil {
		fmt.Fprintf(w, "against      %s: perplexity %.4f\n", e.Reference, a.Perplexity)
		fmt.Fprintf(w, "divergence   %.6f nats, same first choice at %.2f %%\n", a.KL, 100*a.Top1)
	}
}

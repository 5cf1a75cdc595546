package cli

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// withDecoder opens a model without its tokenizer and hands its decoder to work. Without an explicit --precision the
// precise mode is used: these commands are for comparing.
func (s *settings) withDecoder(cmd *cobra.Command, args []string, io streams, work func(*model.Checkpoint, *sequence) error) (err error) {
	if !cmd.Flags().Changed("precision") {
		s.file.Precision = "f32"
	}
	path, err := s.resolve(cmd.Context(), args, io)
	if err != nil {
		return err
	}
	c, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	backend, _, err := s.device(c.Params)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, backend.Close()) }()
	d, err := s.sequence(cmd.Context(), c, backend, false, func(float64) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return work(c, d)
}

// parseIDs reads "1,2,3". The decoder checks them against the vocabulary.
func parseIDs(text string) ([]int32, error) {
	var ids []int32
	for field := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(field), 10, 32)
		if err != nil {
			return nil, usage("--ids: %q is no token id; give numbers with commas between them", field)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}

func newDebugLogits(s *settings, io streams) *cobra.Command {
	var list, out string
	cmd := &cobra.Command{
		Use:   "logits MODEL --ids 1,2,3 --out F.safetensors",
		Short: "Write the logits at every position as tensor `logits`, F32, [ids, vocab]",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(list)
			if err != nil {
				return err
			}
			return s.withDecoder(cmd, args, io, func(c *model.Checkpoint, d *sequence) error {
				if err := spare(c, out); err != nil {
					return err
				}
				logits := make([]float32, len(ids)*c.Config.Vocab)
				err := d.Forward(cmd.Context(), ids, 0, &model.Output{Rows: len(ids), Logits: logits})
				if err != nil {
					return err
				}
				return writeFloats(out, "logits", logits, len(ids), c.Config.Vocab)
			})
		},
	}
	cmd.Flags().StringVar(&list, "ids", "", "token ids with commas between them")
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	must(cmd.MarkFlagRequired("ids"), cmd.MarkFlagRequired("out"))
	return cmd
}

func newDebugGreedy(s *settings, io streams) *cobra.Command {
	var list string
	var n int
	cmd := &cobra.Command{
		Use:   "greedy MODEL --ids 1,2,3 -n 24",
		Short: "Print the ids that greedy decoding appends, as JSON; end-of-text does not stop it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, err := parseIDs(list)
			if err != nil {
				return err
			}
			return s.withDecoder(cmd, args, io, func(_ *model.Checkpoint, d *sequence) error {
				if total := len(ids) + n; n < 1 || total > d.Context() {
					return usage("-n is %d: with %d ids it must lie in 1…%d; raise --context", n, len(ids), d.Context()-len(ids))
				}
				made := make([]int32, 0, n)
				top := [][]model.Candidate{make([]model.Candidate, 1)}
				next, pos := ids, 0
				for range n {
					err := d.Forward(cmd.Context(), next, pos, &model.Output{Rows: 1, Top: top, LogSum: make([]float32, 1)})
					if err != nil {
						return err
					}
					pos += len(next)
					next = []int32{top[0][0].ID}
					made = append(made, next[0])
				}
				return json.NewEncoder(io.out).Encode(made)
			})
		},
	}
	cmd.Flags().StringVar(&list, "ids", "", "token ids with commas between them")
	cmd.Flags().IntVarP(&n, "number", "n", 24, "tokens to make")
	must(cmd.MarkFlagRequired("ids"))
	return cmd
}

func newDebugDequantize(s *settings, io streams) *cobra.Command {
	var prefix, out string
	cmd := &cobra.Command{
		Use:   "dequantize MODEL --tensor PREFIX --out F.safetensors",
		Short: "Write one weight as tensor `weight`, F32, [out, in]",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := s.resolve(cmd.Context(), args, io)
			if err != nil {
				return err
			}
			c, err := openModel(path)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			if err := spare(c, out); err != nil {
				return err
			}
			m, err := c.Matrix(prefix)
			if err != nil {
				return err
			}
			weight := make([]float32, m.Out*m.In)
			m.Dequantize(weight, 0, m.Out)
			return writeFloats(out, "weight", weight, m.Out, m.In)
		},
	}
	cmd.Flags().StringVar(&prefix, "tensor", "", "tensor name, with or without .weight or .qweight")
	cmd.Flags().StringVar(&out, "out", "", "file to write")
	must(cmd.MarkFlagRequired("tensor"), cmd.MarkFlagRequired("out"))
	return cmd
}

// spare refuses to replace the model's own weights, which --out may name by mistake.
func spare(c *model.Checkpoint, out string) error {
	if c.Holds(out) {
		return usage("--out: %s holds the model's own weights and is not replaced; name another file", out)
	}
	return nil
}

// writeFloats writes one F32 tensor into a safetensors file.
func writeFloats(path, name string, values []float32, shape ...int) error {
	raw := make([]byte, 0, 4*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	err := safetensors.Write(path, []tensor.View{{Name: name, DType: tensor.F32, Shape: shape, Data: raw}}, nil)
	if err != nil {
		return fmt.Errorf("%w; name a file in a writable folder with --out", err)
	}
	return nil
}

// must panics on an error that only a wrong program can cause: a flag that was not declared.
func must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

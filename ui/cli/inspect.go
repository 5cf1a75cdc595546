package cli

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/ui/escape"
)

func newInspect(s *settings, io streams) *cobra.Command {
	var tensors bool
	cmd := &cobra.Command{
		Use:   "inspect [MODEL]",
		Short: "Say what a model is: architecture, tensors, bits, memory",
		Args:  cobra.MaximumNArgs(1),
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
			if err := s.describe(c, io); err != nil {
				return err
			}
			if !tensors {
				return nil
			}
			w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "\ntensor\ttype\tshape\tbytes")
			for _, t := range c.Tensors() {
				fmt.Fprintf(w, "%s\t%s\t%v\t%d\n", escape.Visible(t.Name), t.Type, t.Shape, t.Bytes)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&tensors, "tensors", false, "list every tensor")
	return cmd
}

// describe prints the facts of a checkpoint, two columns.
func (s *settings) describe(c *model.Checkpoint, io streams) error {
	context, err := s.context(c.Config)
	if err != nil {
		return err
	}
	cfg := c.Config
	kv := c.KVBytes(context, s.precision())
	need := memoryNeed(c.WeightBytes(), kv)
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, escape.Visible(fmt.Sprintf(format, args...)))
	}
	row("model", "%s", c.Name)
	row("path", "%s (%s)", c.Path, size(c.FileBytes()))
	row("architecture", "%s, %d layers, hidden %d, ffn %d", cfg.Architecture, cfg.Layers, cfg.Hidden, cfg.FFN)
	row("attention", "%d heads, %d KV heads, head dim %d, %s", cfg.Heads, cfg.KVHeads, cfg.HeadDim, positions(cfg))
	row("block", "%s", block(cfg))
	row("vocabulary", "%d tokens, head %s", cfg.Vocab, map[bool]string{true: "tied", false: "separate"}[cfg.Tied])
	row("trained context", "%d tokens", cfg.MaxContext)
	row("quantisation", "%s", c.Quantization)
	row("tensors", "%d", len(c.Tensors()))
	row("weights", "%s read a token", size(c.WeightBytes()))
	row("KV cache", "%s for %d tokens", size(kv), context)
	fit := "unknown here"
	if have, ok := availableMemory(); ok {
		fit = "fits: " + size(have) + " are free"
		if need > have {
			fit = "does not fit: " + size(have) + " are free"
		}
	}
	row("memory", "about %s; %s", size(need), fit)
	for _, line := range s.devices(c.Params, context) {
		row("GPU", "%s", line)
	}
	row("chat template", "%s", templateKind(c.Tokenizer))
	for _, warning := range c.Warnings {
		row("warning", "%s", warning)
	}
	return w.Flush()
}

func positions(c model.Config) string {
	if c.Positions == model.ALiBi {
		return "ALiBi"
	}
	scaling := ""
	switch c.Rope.Scaling {
	case model.RopeLinear:
		scaling = fmt.Sprintf(", linear scaling %g", c.Rope.Factor)
	case model.RopeDynamic:
		scaling = fmt.Sprintf(", dynamic scaling %g", c.Rope.Factor)
	case model.RopeLlama3:
		scaling = fmt.Sprintf(", llama3 scaling %g", c.Rope.Factor)
	case model.RopeDefault:
	}
	return fmt.Sprintf("rotary base %s%s", strconv.FormatFloat(c.Rope.Base, 'f', -1, 64), scaling)
}

func block(c model.Config) string {
	parts := []string{"sequential"}
	if c.Parallel {
		parts[0] = "parallel"
	}
	if c.Norm == model.RMSNorm {
		parts = append(parts, "RMSNorm")
	} else {
		parts = append(parts, "LayerNorm")
	}
	if c.MLP == model.GatedSiLU {
		parts = append(parts, "gated SiLU")
	} else {
		parts = append(parts, "GELU (erf)")
	}
	return strings.Join(parts, ", ")
}

func templateKind(t model.TokenizerSource) string {
	if t.ChatTemplate != "" || len(t.NamedTemplates) > 0 {
		return "its own"
	}
	return "none; the instruction template is used"
}

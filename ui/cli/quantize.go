package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peregrine/model"
	"peregrine/model/quantize"
	words "peregrine/model/quantize/vocabulary"
)

// quantizeOptions say what is made of a model.
type quantizeOptions struct {
	quantize.Options
	method, text, out string
	samples, length   int
	force, headCopy   bool
}

func newQuantize(s *settings, io streams) *cobra.Command {
	var o quantizeOptions
	cmd := &cobra.Command{
		Use:   "quantize MODEL --out DIR",
		Short: "Make a GPTQ checkpoint of a model",
		Long: `Make a GPTQ checkpoint of a model: a folder as AutoGPTQ writes it, for this program and for others. MODEL is dense (F32, F16,
BF16 safetensors) or GGUF of any kind, which is dequantised first. The matrices of the layers are quantised; embedding,
head and norms become float16.

GPTQ reads a calibration text to learn which weights matter: --text, or a text of some 22 000 tokens that comes with the program
(English prose, dialogues and notes on programs). It is cut into --samples sequences of --length tokens, drawn with a fixed
seed. --method rtn rounds to the nearest code instead and needs no text: the baseline.

The work is done layer by layer in DIR.part. Stopped by whatever, the same call goes on with the layer that it was at,
and gives the same bytes. The loss of every matrix stands in DIR/quantize_log.csv.`,
		Example: `  peregrine quantize smollm2 --bits 4 --act-order --out smollm2-gptq
  peregrine quantize ./falcon-7b --bits 3 --group-size 64 --text wiki.txt --samples 128 --length 2048 --out falcon-7b-3bit`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if s.file.Threads > 0 {
				runtime.GOMAXPROCS(s.file.Threads)
			}
			err := s.quantize(cmd, args, o, io)
			if err == nil {
				fmt.Fprintln(io.out, o.out)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Bits, "bits", 4, "bits of a weight: 2, 3, 4 or 8")
	f.IntVar(&o.GroupSize, "group-size", -1, "input features that share a scale: 32, 64 or 128; -1: all of a row")
	f.BoolVar(&o.ActOrder, "act-order", false, "quantise the columns with the largest inputs first (desc_act)")
	f.BoolVar(&o.Symmetric, "sym", true, "one zero point for all, in the middle of the codes")
	f.Float64Var(&o.Damping, "damp", quantize.DefaultDamping, "share of the Hessian's mean diagonal that is added to it")
	f.StringVar(&o.method, "method", "gptq", "gptq, or rtn: round to the nearest code")
	f.StringVar(&o.text, "text", "", "calibration text, a UTF-8 file (default: the program's own)")
	f.IntVar(&o.samples, "samples", 64, "sequences of the calibration text")
	f.IntVar(&o.length, "length", 256, "tokens of a sequence")
	f.StringVar(&o.out, "out", "", "folder to make")
	f.BoolVar(&o.headCopy, "head-copy", true, "store a tied head once more, which AutoGPTQ needs and others do not")
	f.BoolVar(&o.force, "force", false, "replace DIR if it is a GPTQ checkpoint, and throw unfinished work of other options away")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

// check refuses what cannot be, before anything is opened.
func (o *quantizeOptions) check() error {
	o.Storable = true
	o.out = filepath.Clean(o.out)
	switch {
	case !slices.Contains([]int{2, 3, 4, 8}, o.Bits):
		return usage("--bits is %d; want 2, 3, 4 or 8", o.Bits)
	case !slices.Contains([]int{-1, 32, 64, 128}, o.GroupSize):
		return usage("--group-size is %d; want 32, 64 or 128, or -1 for none", o.GroupSize)
	case o.method != "gptq" && o.method != "rtn":
		return usage("--method is %q; want gptq or rtn", o.method)
	case o.method == "rtn" && (o.ActOrder || o.text != ""):
		return usage("--method rtn reads no text and knows no order; leave --act-order and --text out")
	case !(o.Damping > 0 && o.Damping <= 1):
		return usage("--damp is %v; want a share above 0, 1 at most", o.Damping)
	case o.samples < 1 || o.length < 2:
		return usage("--samples is %d and --length %d; want at least one sequence of two tokens", o.samples, o.length)
	case o.out == "." || o.out == "/":
		return usage("--out is %q; name a new folder", o.out)
	}
	return checkOut(o.out, o.force)
}

// quantize does the whole work.
func (s *settings) quantize(cmd *cobra.Command, args []string, o quantizeOptions, io streams) (err error) {
	ctx := cmd.Context()
	path, err := s.resolve(ctx, args, io)
	if err != nil {
		return err
	}
	c, err := openModel(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := o.apart(c); err != nil {
		return err
	}
	j := quantize.Job{Params: c.Params, Options: o.Options, Nearest: o.method == "rtn", Dir: o.out + ".part"}
	made, err := checkpointOf(c)
	if err != nil {
		return err
	}
	made.Replace, made.HeadCopy = o.force, o.headCopy
	if !j.Nearest {
		if j.Windows, err = s.calibration(cmd, args, o, io); err != nil {
			return err
		}
	}
	if err := j.Check(); err != nil {
		return err
	}
	if err := room(j, c.Name); err != nil {
		return err
	}
	if n := c.FileBytes(); n > 4e9 { // several seconds
		fmt.Fprintf(io.err, "reading %s once, to know the model again\n", size(n))
	}
	if j.Facts, err = sourceFacts(ctx, c); err != nil {
		return err
	}
	p := &quantizeProgress{out: io.err, person: isTerminal(io.err)}
	j.Observe = p.show
	begin := time.Now()
	err = runQuantize(ctx, j, o, made, p)
	p.end()
	switch {
	case err == nil: // however late an interrupt came
		fmt.Fprintf(io.err, "%s: %d matrices in %v\n", o.out, p.matrices, time.Since(begin).Round(time.Second))
	case ctx.Err() != nil:
		fmt.Fprintf(io.err, "stopped; the same call goes on from here (%s keeps what is done)\n", j.Dir)
		return ctx.Err()
	case errors.Is(err, quantize.ErrForeign):
		return fmt.Errorf("%w; finish it with its own options, or throw it away with --force", err)
	}
	return kept(err, j.Dir)
}

// runQuantize runs the job and writes what it gives.
func runQuantize(ctx context.Context, j quantize.Job, o quantizeOptions, made quantize.Checkpoint, p *quantizeProgress) (err error) {
	r, err := quantize.Run(ctx, j)
	if o.force && errors.Is(err, quantize.ErrForeign) {
		if err := os.RemoveAll(j.Dir); err != nil {
			return err
		}
		r, err = quantize.Run(ctx, j)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return r.Write(ctx, o.out, j, made, p.writing)
}

// calibration reads the text and cuts it.
func (s *settings) calibration(cmd *cobra.Command, args []string, o quantizeOptions, io streams) (_ [][]int32, err error) {
	text, name := quantize.CalibrationText, "the program's own calibration text"
	if o.text != "" {
		if text, err = readText(o.text); err != nil {
			return nil, err
		}
		name = o.text
	}
	t, bos, err := s.tokenizerOf(cmd, args, io)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	ids, err := t.Encode(text, false)
	if err != nil {
		return nil, err
	}
	windows, err := quantize.Windows(ids, bos, o.samples, o.length)
	if err != nil {
		return nil, fmt.Errorf("%w (%s); give a longer --text, or fewer --samples or a shorter --length", err, name)
	}
	return windows, nil
}

// checkpointOf gathers what the new folder holds besides weights.
func checkpointOf(c *model.Checkpoint) (quantize.Checkpoint, error) {
	made := quantize.Checkpoint{Params: c.Params}
	var err error
	if made.Config, err = c.ConfigJSON(); err != nil {
		return made, err
	}
	if dir := c.Folder(); dir != "" {
		made.Files, err = quantize.FolderFiles(dir)
		return made, err
	}
	if c.Tokenizer.GGUF == nil {
		return made, nil
	}
	made.Files, err = filesOfGGUF(c)
	return made, err
}

// filesOfGGUF says in transformers' files what a GGUF file says of its vocabulary and of generation.
func filesOfGGUF(c *model.Checkpoint) (map[string][]byte, error) {
	v, t := vocabulary(c.Tokenizer.GGUF), c.Tokenizer
	var begin *int32
	if t.AddBOS != nil && *t.AddBOS && v.BOS >= 0 {
		begin = &v.BOS
	}
	tokenizer, err := words.TokenizerJSON(v, begin)
	if err != nil {
		return nil, err
	}
	config, err := words.TokenizerConfigJSON(v, words.Config{
		ChatTemplate: t.ChatTemplate, Named: t.NamedTemplates, AddBOS: begin != nil, MaxLength: c.Config.MaxContext,
	})
	if err != nil {
		return nil, err
	}
	generation := map[string]any{}
	if c.Config.BOS >= 0 {
		generation["bos_token_id"] = c.Config.BOS
	}
	if len(c.Config.EOS) > 0 {
		generation["eos_token_id"] = c.Config.EOS
	}
	text, err := json.MarshalIndent(generation, "", "  ")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"tokenizer.json": tokenizer, "tokenizer_config.json": config, "generation_config.json": append(text, '\n'),
	}, nil
}

// sourceFacts identifies the weights by their hash, so that unfinished work is never gone on with for another model.
func sourceFacts(ctx context.Context, c *model.Checkpoint) (map[string]string, error) {
	h := sha256.New()
	for _, path := range c.Files() {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		_, err = stdio.Copy(h, &cancellable{ctx, f})
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	return map[string]string{"source": hex.EncodeToString(h.Sum(nil))}, nil
}

// cancellable is a reader that ends with a context.
type cancellable struct {
	ctx context.Context
	stdio.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// quantizeProgress shows how far the work is: on a terminal as one line that changes, elsewhere as a line for every matrix.
type quantizeProgress struct {
	out      stdio.Writer
	person   bool
	shown    bool
	matrices int
	tenth    int64
}

// show is the observer of a job.
func (p *quantizeProgress) show(now quantize.Progress) {
	if now.Module == "" {
		p.end()
		if now.Note != "" {
			fmt.Fprintln(p.out, "peregrine:", now.Note)
		}
		if now.Layer > 0 {
			fmt.Fprintf(p.out, "%d of %d layers are done already\n", now.Layer, now.Layers)
		}
		return
	}
	p.matrices++
	line := fmt.Sprintf("layer %d/%d  %s", now.Layer+1, now.Layers, now.Module)
	if now.Damp > 0 {
		line += fmt.Sprintf("  loss %.4g", now.Loss.Loss)
	}
	if now.Left > 0 {
		line += "  " + remaining(now.Left) + " left"
	}
	p.line(line)
}

// writing shows how much of the weight file is written.
func (p *quantizeProgress) writing(done, total int64) {
	if tenth := done * 10 / max(total, 1); p.person || tenth > p.tenth {
		p.tenth = tenth
		p.line(fmt.Sprintf("writing %s of %s", size(done), size(total)))
	}
}

func (p *quantizeProgress) line(text string) {
	if p.person {
		p.shown = true
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.out, strings.TrimSpace(text))
}

// end leaves the line.
func (p *quantizeProgress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"peregrine/model"
	"peregrine/model/synthetic"
)

// syntheticFlags describe a model that is made instead of opened.
type syntheticFlags struct {
	shape, format, embedding, write string
	bits, group, layers             int
	actOrder                        bool
}

func (o *syntheticFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.shape, "synthetic", "", "random weights of this shape instead of MODEL: "+strings.Join(synthetic.Names(), ", "))
	f.StringVar(&o.format, "format", "gptq", "with --synthetic: gptq, f16, bf16, f32, q4_0, q4_1, q5_0, q5_1, q8_0, or q2_k to q6_k")
	f.IntVar(&o.bits, "bits", 4, "with --synthetic: bits of GPTQ: 2, 3, 4 or 8")
	f.IntVar(&o.group, "group", -1, "with --synthetic: group size of GPTQ; -1: no groups")
	f.BoolVar(&o.actOrder, "act-order", true, "with --synthetic: act-order of GPTQ, which scatters the groups")
	f.StringVar(&o.embedding, "embedding", "", "with --synthetic: format of embedding and head, gptq excepted (default: f16, or --format where that is dense)")
	f.IntVar(&o.layers, "layers", 0, "with --synthetic: keep this many layers; 0: all")
	f.StringVar(&o.write, "write", "", "with --synthetic: write the model into this new folder instead of timing it")
}

// check refuses combinations that mean nothing.
func (o *syntheticFlags) check(f *pflag.FlagSet, args []string) error {
	if o.shape != "" {
		if len(args) > 0 {
			return usage("--synthetic makes a model; leave %q out", args[0])
		}
		if _, _, err := o.options(); err != nil {
			return usage("%v", err)
		}
		return nil
	}
	for _, name := range []string{"format", "bits", "group", "act-order", "embedding", "layers", "write"} {
		if f.Changed(name) {
			return usage("--%s needs --synthetic SHAPE", name)
		}
	}
	return nil
}

// options translates the flags.
func (o *syntheticFlags) options() (synthetic.Shape, synthetic.Options, error) {
	opt := synthetic.Options{Bits: o.bits, GroupSize: o.group, ActOrder: o.actOrder, Layers: o.layers}
	shape, err := synthetic.Find(o.shape)
	if err == nil {
		opt.Format, err = synthetic.ParseFormat(o.format)
	}
	if err == nil && o.embedding != "" {
		opt.Embedding, err = synthetic.ParseFormat(o.embedding)
	}
	if err == nil {
		err = opt.Validate(shape)
	}
	return shape, opt, err
}

// open makes the model.
func (o *syntheticFlags) open() (*model.Checkpoint, error) {
	shape, opt, err := o.options()
	if err != nil {
		return nil, err
	}
	return synthetic.Open(shape, opt)
}

// written is what `bench --synthetic SHAPE --write DIR --json` prints.
type written struct {
	Model  string  `json:"model"`
	Path   string  `json:"path"`
	Bytes  int64   `json:"bytes"` // of the weight file's tensors
	Time   float64 `json:"write_s"`
	PerSec float64 `json:"gb_per_s"` // until everything is on the disk
}

// save writes the model and says how long it took.
func (o *syntheticFlags) save(ctx context.Context, asJSON bool, io streams) error {
	shape, opt, err := o.options()
	if err != nil {
		return err
	}
	begin, announced := time.Now(), false
	n, err := synthetic.Write(ctx, o.write, shape, opt, func(_, total int64) {
		if !announced {
			announced = true
			fmt.Fprintf(io.err, "writing %s to %s\n", size(total), o.write)
		}
	})
	if err != nil {
		return err
	}
	w := written{Model: shape.Name, Path: o.write, Bytes: n, Time: time.Since(begin).Seconds()}
	w.PerSec = float64(n) / 1e9 / w.Time
	if asJSON {
		return json.NewEncoder(io.out).Encode(w)
	}
	_, err = fmt.Fprintf(io.out, "wrote %s of %s to %s in %.1f s, %.2f GB/s\n", size(n), w.Model, w.Path, w.Time, w.PerSec)
	return err
}

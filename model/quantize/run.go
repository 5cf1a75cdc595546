package quantize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"peregrine/model"
	"peregrine/model/quant"
	"peregrine/model/safetensors"
	"peregrine/model/tensor"
)

// Job is a model to quantise.
type Job struct {
	Params  *model.Params
	Options Options
	Nearest bool // plain rounding, which needs no Windows
	// Windows are the calibration text, token ids in pieces of one length. Each is a sequence of its own.
	Windows [][]int32
	// Dir is the working folder, which Run makes or goes on with. Facts are what the result depends on besides Options and
	// Windows, for people: work of other facts is not taken over.
	Dir   string
	Facts map[string]string
	// Observe is called from Run's goroutine after every module and, with an empty Module, when layers were taken over. It may
	// be nil.
	Observe func(Progress)
}

// Progress says how far Run has come.
type Progress struct {
	Loss
	Layers int
	Left   time.Duration // about; 0 until there is something to go by
	Note   string        // what was found in the working folder; "" when there is nothing to say
}

// Result is a quantised model: everything that its weight file holds but the vocabulary's matrices. Its memory is that of
// mapped files in Job.Dir, until Close.
type Result struct {
	Layers []tensor.View
	Losses []Loss
	Facts  map[string]string
	files  []*safetensors.File
	state  *state
}

// Close unmaps the files and gives the working folder free. The folder stays.
func (r *Result) Close() error {
	var err error
	for _, f := range r.files {
		err = errors.Join(err, f.Close())
	}
	return errors.Join(err, r.state.close())
}

// Run quantises every matrix of the model's layers. After an error, a cancelled ctx among them, and after a kill, the same Job
// goes on with the layer that was not finished, and its result has the same bits. It refuses models whose shapes the format
// cannot hold or that are quantised by GPTQ already, and a working folder of other work ([ErrForeign]).
func Run(ctx context.Context, j Job) (_ *Result, err error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	facts := j.facts()
	s, err := openState(j.Dir, facts)
	if err != nil {
		return nil, err
	}
	r := &Result{Facts: facts, state: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for _, m := range []*quant.Matrix{j.Params.Embed, j.Params.Head} {
		if err := checkHalf(m); err != nil {
			return nil, err
		}
	}
	if err := j.layers(ctx, s); err != nil {
		return nil, err
	}
	for i := range j.Params.Layers {
		f, tensors, losses, err := s.load(s.layerPath(i))
		if err != nil {
			return nil, fmt.Errorf("%w; call again to make this layer anew", err)
		}
		r.files, r.Layers, r.Losses = append(r.files, f), append(r.Layers, tensors...), append(r.Losses, losses...)
	}
	return r, nil
}

// Check refuses what Run would refuse but for the values of matrices, before anything is made.
func (j Job) Check() error {
	if err := j.Options.checkCodes(); err != nil {
		return err
	}
	c := j.Params.Config
	for i, names := range j.Params.StoredNames().Layers {
		l := &j.Params.Layers[i]
		for _, x := range []struct {
			linear  model.Linear
			modules []model.Stored
		}{{l.QKV, names.QKV}, {l.AttnOut, names.AttnOut}, {l.Up, names.Up}, {l.Down, names.Down}} {
			for _, w := range x.linear.W {
				if w.Format == quant.GPTQFormat {
					return fmt.Errorf("quantize: %s is quantised by GPTQ already; start from the model that it was made of", w.Name)
				}
			}
			for _, m := range x.modules {
				if in, out := x.linear.In(), m.Hi-m.Lo; in%packed != 0 || out%packed != 0 {
					return fmt.Errorf("quantize: %s has %d outputs and %d inputs; GPTQ's format holds multiples of %d alone", m.Module, out, in, packed)
				}
			}
		}
	}
	if err := j.checkVectors(); err != nil {
		return err
	}
	if j.Nearest {
		return nil
	}
	if len(j.Windows) == 0 || len(j.Windows[0]) == 0 {
		return errors.New("quantize: no calibration text; give at least one sequence of tokens")
	}
	if n := len(j.Windows[0]); n > c.MaxContext {
		return fmt.Errorf("quantize: sequences of %d tokens, but the model was trained for %d", n, c.MaxContext)
	}
	for i, window := range j.Windows {
		if len(window) != len(j.Windows[0]) {
			return fmt.Errorf("quantize: sequence %d has %d tokens, the first %d", i, len(window), len(j.Windows[0]))
		}
		for _, id := range window {
			if id < 0 || int(id) >= c.Vocab {
				return fmt.Errorf("quantize: sequence %d has token %d, outside the vocabulary of %d", i, id, c.Vocab)
			}
		}
	}
	return nil
}

// checkVectors refuses norms and biases that float16 does not hold.
func (j Job) checkVectors() error {
	names := j.Params.StoredNames()
	if _, err := halfNorms(names.FinalNorm, j.Params.FinalNorm); err != nil {
		return err
	}
	for i, at := range names.Layers {
		l := &j.Params.Layers[i]
		for module, n := range map[string]model.Norm{at.AttnNorm: l.AttnNorm, at.MLPNorm: l.MLPNorm} {
			if _, err := halfNorms(module, n); err != nil {
				return err
			}
		}
		for module, bias := range map[string][]float32{
			at.QKV[0].Module: l.QKV.Bias, at.AttnOut[0].Module: l.AttnOut.Bias, at.Up[0].Module: l.Up.Bias, at.Down[0].Module: l.Down.Bias,
		} {
			if _, err := half(module+".bias", []int{len(bias)}, bias); err != nil {
				return err
			}
		}
	}
	return nil
}

// layers makes every layer that is not there yet.
func (j Job) layers(ctx context.Context, s *state) error {
	var r *calibration
	if !j.Nearest {
		r = newCalibration(j.Params.Config, len(j.Windows), len(j.Windows[0]))
	}
	next, err := j.resume(s, r)
	if err != nil {
		return err
	}
	names := j.Params.StoredNames()
	watch := newStopwatch(j, next)
	for i := next; i < len(j.Params.Layers); i++ {
		if j.Nearest {
			if f, _, _, err := s.load(s.layerPath(i)); err == nil {
				if err := f.Close(); err != nil {
					return err
				}
				continue
			}
		}
		w := &work{
			options: j.Options, layer: i, from: &j.Params.Layers[i], names: names.Layers[i], samples: len(j.Windows), observe: watch.module,
		}
		if r != nil {
			err = w.solve(ctx, r)
		} else {
			err = w.round(ctx)
		}
		if err != nil {
			return err
		}
		for module, n := range map[string]model.Norm{names.Layers[i].AttnNorm: w.from.AttnNorm, names.Layers[i].MLPNorm: w.from.MLPNorm} {
			views, err := halfNorms(module, n)
			if err != nil {
				return err
			}
			w.tensors = append(w.tensors, views...)
		}
		if err := s.save(ctx, s.layerPath(i), w.tensors, w.losses); err != nil {
			return err
		}
		if r != nil && i+1 < len(j.Params.Layers) {
			if err := s.saveHidden(ctx, i+1, r.x, j.Params.Config.Hidden); err != nil {
				return err
			}
		}
	}
	return nil
}

// resume returns the layer with which the work goes on, and fills r with what that layer reads.
func (j Job) resume(s *state, r *calibration) (next int, err error) {
	note := ""
	for next < len(j.Params.Layers) {
		f, _, _, err := s.load(s.layerPath(next))
		if err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				note = fmt.Sprintf("%v; the layer is made anew", err)
			}
			break
		}
		if err := f.Close(); err != nil {
			return 0, err
		}
		next++
	}
	if r != nil && next < len(j.Params.Layers) {
		there := next
		for next > 0 && s.loadHidden(next, r.x) != nil {
			next-- // damaged, or not written before the kill
		}
		if next < there-1 {
			note = "the activations between two layers are damaged; the work begins anew"
		}
		if next == 0 {
			r.embed(j.Params.Embed, j.Windows)
		}
	}
	if j.Observe != nil && (next > 0 || note != "") {
		j.Observe(Progress{Loss: Loss{Layer: next}, Layers: len(j.Params.Layers), Note: note})
	}
	return next, nil
}

// stopwatch tells how far the work is. A module's share of the work is taken to be its weights.
type stopwatch struct {
	job         Job
	begin       time.Time
	done, total int64
	weights     map[string]int64
}

func newStopwatch(j Job, next int) *stopwatch {
	w := &stopwatch{job: j, begin: time.Now(), weights: map[string]int64{}}
	for i, names := range j.Params.StoredNames().Layers {
		l := &j.Params.Layers[i]
		add := func(linear model.Linear, modules []model.Stored) {
			for _, m := range modules {
				n := int64(m.Hi-m.Lo) * int64(linear.In())
				w.weights[m.Module] = n
				if i >= next {
					w.total += n
				}
			}
		}
		add(l.QKV, names.QKV)
		add(l.AttnOut, names.AttnOut)
		add(l.Up, names.Up)
		add(l.Down, names.Down)
	}
	return w
}

func (w *stopwatch) module(l Loss) {
	w.done += w.weights[l.Module]
	if w.job.Observe == nil {
		return
	}
	spent := time.Since(w.begin)
	left := time.Duration(float64(spent) / float64(w.done) * float64(w.total-w.done))
	w.job.Observe(Progress{Loss: l, Layers: len(w.job.Params.Layers), Left: left})
}

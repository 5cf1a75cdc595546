package oracle

import (
	"context"
	"fmt"

	"peregrine/model"
)

// Backend returns the oracle as a device, so that it can stand in for one on the command line and in tests.
func Backend() model.Backend { return backend{} }

type backend struct{}

// Load makes an executor that reads p's memory where it is: p must outlive it. Nothing is repacked, the precision is
// float64 whatever opt says.
func (backend) Load(ctx context.Context, p *model.Params, opt model.LoadOptions) (model.Executor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	o := New(p)
	if opt.Context > 0 {
		o.limit = opt.Context
	}
	if opt.Progress != nil {
		opt.Progress(1, 1)
	}
	return o, nil
}

func (backend) Name() string { return "oracle (float64)" }

func (backend) Close() error { return nil }

package cli

import (
	"fmt"
	"text/tabwriter"

	"peregrine/cuda"
)

// phased is an executor that can say what the parts of a pass take.
type phased interface {
	Phases(tokens, pos int) ([]cuda.Phase, error)
}

// phases prints what the kernels of one decoded token, and of a prompt, take. read is the memory's bandwidth in GB/s.
func (b *stopwatch) phases(o benchOptions, read float64, io streams) error {
	e, ok := b.d.exec.(phased)
	if !ok {
		return usage("--phases is for the GPU; this backend has no kernels to time")
	}
	for _, n := range []int{1, min(o.prefill, 512)} {
		pos := 0
		if n == 1 {
			pos = o.depth
		}
		list, err := e.Phases(n, pos)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "\n%d tokens at %d\tlaunches\tms in all\tµs each\tGB/s\tof %.0f\t\n", n, pos, read)
		var all float64
		for _, p := range list {
			ms := p.Time.Seconds() * 1e3
			rate := float64(p.Bytes) / 1e9 / p.Time.Seconds()
			all += ms
			fmt.Fprintf(w, "%s\t%d\t%.3f\t%.1f\t%.0f\t%.0f %%\t\n", p.Name, p.Launches, ms, 1e3*ms/float64(p.Launches), rate, 100*rate/read)
		}
		fmt.Fprintf(w, "all\t\t%.3f\t\t\t\t\n", all)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

package cuda

import (
	"context"
	"testing"
	"time"

	"peregrine/model"
	"peregrine/model/synthetic"
)

// BenchmarkHostWork times what the host does for a token of Falcon-40B before it waits: rotary angles, ids and one graph
// launch. Sampling is not part of it.
func BenchmarkHostWork(b *testing.B) {
	backend, err := Open(Options{})
	if err != nil {
		b.Skipf("NOT RUN on a card: %v", err)
	}
	defer backend.Close()
	shape, err := synthetic.Find("falcon-40b")
	if err != nil {
		b.Fatal(err)
	}
	c, err := synthetic.Open(shape, synthetic.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	x, err := backend.Load(context.Background(), c.Params, model.LoadOptions{Context: 2048})
	if err != nil {
		b.Fatal(err)
	}
	e := x.(*executor)
	e.rope(1)
	var total time.Duration
	for i := range b.N {
		begin := time.Now()
		e.fill([]int32{7}, i%2048)
		if err := e.run(pass{1, 1}); err != nil {
			b.Fatal(err)
		}
		total += time.Since(begin)
		if err := e.stream.Synchronize(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/token")
}

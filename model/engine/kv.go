package engine

import (
	"context"
	"errors"

	"peregrine/model/sample"
)

// kv knows which ids the decoder's KV cache holds.
type kv struct {
	decoder Decoder
	ids     []int32 // those forwarded, by position
}

// common returns how many of ids, from the first, the cache holds. At least the last one is left to forward: its logits
// are wanted and are not kept.
func (c *kv) common(ids []int32) int {
	n := 0
	for n < len(c.ids) && n < len(ids)-1 && c.ids[n] == ids[n] {
		n++
	}
	return n
}

// forward runs tokens at pos, at most the number of ids held, and forgets what was held behind pos.
func (c *kv) forward(ctx context.Context, tokens []int32, pos int, out *sample.Output) error {
	c.ids = c.ids[:pos]
	err := c.decoder.Forward(ctx, tokens, pos, out)
	switch {
	case err == nil:
		c.ids = append(c.ids, tokens...)
	case !cancelled(err):
		c.ids = c.ids[:0]
	}
	return err
}

// cancelled says whether err comes from the end of a context.
func cancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

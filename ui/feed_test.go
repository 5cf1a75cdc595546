package ui

import (
	"context"
	"testing"

	"peregrine/model/generate"
)

// A turn that is left is read to its end by settle, beside the command that still waits for its next piece. That the two do not
// disturb each other is what the race detector sees here (make race).
func TestALeftTurnIsReadBesideItsWaitingCommand(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, w := generate.NewStream(cancel, generate.Sampling{})
	left := turn{feed: &feed{stream: stream}}
	waiting := left.feed.wait("r")
	read := make(chan struct{})
	go func() {
		defer close(read)
		waiting()
		waiting()
	}()
	w.Update(generate.Update{Text: "one ", TokensPerSecond: 1000})
	go func() {
		<-ctx.Done() // settle cancels
		w.Update(generate.Update{Text: "two", TokensPerSecond: 1000, Result: &generate.Result{Finish: generate.FinishCancelled}})
	}()
	reply, said := left.settle()
	<-read
	if !said || reply.Content != "one two" || reply.Finish != generate.FinishCancelled {
		t.Errorf("got %q (%v), %v, want both pieces", reply.Content, reply.Finish, said)
	}
}

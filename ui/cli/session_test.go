package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"peregrine/model/backendtest"
	"peregrine/model/generate"
)

// reply asks for eight greedy tokens.
func reply(t *testing.T, x *session) []int32 {
	t.Helper()
	stream, err := x.Start(context.Background(), generate.Request{
		Messages: []generate.Message{{Role: generate.User, Content: "a falcon"}}, Raw: true, MaxTokens: 8,
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		u, err := stream.Next(context.Background())
		if u.Result != nil {
			if u.Result.Err != nil {
				t.Fatal(u.Result.Err)
			}
			return u.Result.TokenIDs
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

func TestAConversationGoesOnWithAnotherBackend(t *testing.T) {
	s := &settings{log: slog.New(slog.DiscardHandler)}
	s.file.Backend, s.file.Precision = "cpu", "f32"
	x := newSession(s, backendtest.Path(t, "falcon-40b"))
	defer func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}()
	before := reply(t, x)
	if err := x.UseBackend("tpu"); err == nil || !strings.Contains(err.Error(), "auto, cuda, cpu") {
		t.Errorf("got %v, want an error with the backends there are", err)
	}
	first := x.current()
	if err := x.UseBackend("cpu"); err != nil {
		t.Fatal(err)
	}
	if x.current() == first {
		t.Error("the engine is the same as before")
	}
	if after := reply(t, x); !slices.Equal(after, before) || len(after) == 0 {
		t.Errorf("got %v on the other backend, want %v", after, before)
	}
}

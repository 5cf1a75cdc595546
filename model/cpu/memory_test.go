package cpu

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"peregrine/model"
	"peregrine/model/backendtest"
)

// memoryChild names the environment variable that holds a model's path and makes this test binary load and use it, then print
// its peak of resident memory: in a process of its own, since a peak never goes down.
const memoryChild = "PEREGRINE_TEST_MEMORY_OF"

const memoryContext = 1024

func TestPeakMemoryIsFilePlusCachePlus150MB(t *testing.T) {
	c := backendtest.OpenDefault(t)
	for mode, precision := range map[string]model.Precision{"fast": model.Fast, "precise": model.Precise} {
		t.Run(mode, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), memoryChild+"="+c.Path, "PEREGRINE_TEST_PRECISION="+strconv.Itoa(int(precision)))
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, os.Stderr
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			peak, err := strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			limit := c.FileBytes() + c.KVBytes(memoryContext, precision) + 150e6
			t.Logf("peak %d MB; file %d MB, KV cache %d MB, limit %d MB",
				peak/1e6, c.FileBytes()/1e6, c.KVBytes(memoryContext, precision)/1e6, limit/1e6)
			if peak > limit {
				t.Errorf("peak memory is %d bytes, the limit %d", peak, limit)
			}
		})
	}
}

// memoryMain is the child's main function.
func memoryMain() int {
	peak, err := measureMemory(os.Getenv(memoryChild), os.Getenv("PEREGRINE_TEST_PRECISION") == strconv.Itoa(int(model.Precise)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(peak)
	return 0
}

func measureMemory(path string, precise bool) (int64, error) {
	c, err := model.Open(path)
	if err != nil {
		return 0, err
	}
	b, err := Open(Options{})
	if err != nil {
		return 0, err
	}
	opt := model.LoadOptions{Context: memoryContext}
	if precise {
		opt.Precision = model.Precise
	}
	e, err := b.Load(context.Background(), c.Params, opt)
	if err != nil {
		return 0, err
	}
	tokens := backendtest.RandomTokens(1, 700, c.Config.Vocab)
	out := &model.Output{Rows: 1, Logits: make([]float32, c.Config.Vocab)}
	for at := 0; at < len(tokens); at += 512 {
		if err := e.Forward(context.Background(), tokens[at:min(at+512, len(tokens))], at, out); err != nil {
			return 0, err
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	return kb * 1024, err
}

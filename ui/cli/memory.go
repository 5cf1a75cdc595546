package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"

	"peregrine/model"
)

// workspace is what a run needs beside weights and KV cache: tokenizer, activations, the screen.
const workspace = 150 << 20

// checkMemory refuses a model that the machine cannot hold, before anything is loaded.
func checkMemory(c *model.Checkpoint, context int, p model.Precision) error {
	have, ok := availableMemory()
	if !ok {
		return nil // not Linux: the load itself will say
	}
	return fits(c.Name, c.WeightBytes(), c.KVBytes(context, p), have, context)
}

func fits(name string, weights, kv, have int64, context int) error {
	if need := weights + kv + workspace; need > have {
		return fmt.Errorf("%s: needs %s of memory (weights %s, KV cache for %d tokens %s, %s beside), %s are free; close programs, lower --context, or take a smaller model",
			name, size(need), size(weights), context, size(kv), size(workspace), size(have))
	}
	return nil
}

// availableMemory returns the bytes that can be had without swapping: MemAvailable, or what the control group leaves of its
// limit when that is less.
func availableMemory() (int64, bool) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) >= 2 && string(fields[0]) == "MemAvailable:" {
			kib, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				return 0, false
			}
			return min(kib<<10, groupMemory()), true
		}
	}
	return 0, false
}

// groupMemory returns what the process's control group still allows, or a number larger than any memory.
func groupMemory() int64 {
	read := func(name string) (int64, bool) {
		raw, err := os.ReadFile("/sys/fs/cgroup/" + name)
		if err != nil {
			return 0, false
		}
		v, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
		return v, err == nil
	}
	limit, ok := read("memory.max")
	used, okUsed := read("memory.current")
	if !ok || !okUsed {
		return 1 << 62
	}
	return limit - used
}

// size writes bytes for people, in decimal units as disks and memory bandwidths use them.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%d B", n)
	}
}

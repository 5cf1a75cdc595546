package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

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
	need := memoryNeed(weights, kv)
	if need > have {
		return fmt.Errorf("%s: needs %s of memory (weights %s, KV cache for %d tokens %s, %s beside), %s are free; close programs, lower --context, or take a smaller model",
			name, size(need), size(weights), context, size(kv), size(workspace), size(have))
	}
	return nil
}

// memoryNeed is the sum of weights, KV cache and workspace, or the largest number where that is none: kv is as large as the
// user asks.
func memoryNeed(weights, kv int64) int64 {
	if kv > math.MaxInt64-weights-workspace {
		return math.MaxInt64
	}
	return weights + kv + workspace
}

// openModel opens the checkpoint at path. Where the process may not map it, the error says so.
func openModel(path string) (*model.Checkpoint, error) {
	c, err := model.Open(path)
	if errors.Is(err, unix.ENOMEM) {
		return nil, fmt.Errorf("%w: mapping needs %s of address space, %s of the limit are left; raise it with ulimit -v",
			err, size(modelBytes(path)), size(addressSpace()))
	}
	return c, err
}

// modelBytes returns the size of the files that are mapped for the checkpoint at path.
func modelBytes(path string) int64 {
	files := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		files = nil
		for _, pattern := range []string{"*.safetensors", "*.gguf"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			if err == nil {
				files = append(files, found...)
			}
		}
	}
	var sum int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// availableMemory returns the bytes that can be had without swapping: MemAvailable, or what the control group or the limit of
// the process (ulimit -v) leave when that is less.
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
			return min(kib<<10, groupMemory(), addressSpace()), true
		}
	}
	return 0, false
}

// unlimited is more than any memory.
const unlimited = 1 << 62

// addressSpace returns what the limit of the process's address space leaves, or unlimited.
func addressSpace() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &limit); err != nil {
		return unlimited
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		statm = nil // what is taken already is not known: the whole limit is the best guess
	}
	return addressSpaceOf(uint64(limit.Cur), string(statm), int64(os.Getpagesize()))
}

// addressSpaceOf takes what a process has, the first number of its statm in pages, from its limit in bytes.
func addressSpaceOf(limit uint64, statm string, page int64) int64 {
	if limit >= unlimited {
		return unlimited
	}
	var pages int64
	if _, err := fmt.Sscan(statm, &pages); err != nil {
		pages = 0
	}
	return max(int64(limit)-pages*page, 0)
}

// groupMemory returns what the process's control group still allows, or unlimited.
func groupMemory() int64 { return groupMemoryIn("/sys/fs/cgroup") }

// groupMemoryIn reads a control group's folder. Of what the group uses, files that were read and not since are no obstacle:
// the kernel drops them, a model's own pages above all.
func groupMemoryIn(dir string) int64 {
	read := func(name string) (int64, bool) {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0, false
		}
		v, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
		return v, err == nil
	}
	limit, ok := read("memory.max")
	used, okUsed := read("memory.current")
	if !ok || !okUsed {
		return unlimited
	}
	var idle int64
	if raw, err := os.ReadFile(filepath.Join(dir, "memory.stat")); err == nil {
		for line := range bytes.Lines(raw) {
			if rest, ok := bytes.CutPrefix(line, []byte("inactive_file ")); ok {
				if v, err := strconv.ParseInt(string(bytes.TrimSpace(rest)), 10, 64); err == nil {
					idle = v
				}
			}
		}
	}
	return max(limit-used+min(idle, used), 0)
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

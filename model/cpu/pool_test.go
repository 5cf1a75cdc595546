package cpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"peregrine/model"
	"peregrine/model/backendtest"
	"peregrine/model/quant"
)

func TestBarriersLetAllThreadsThrough(t *testing.T) {
	for _, threads := range []int{1, 2, 5, 16} {
		b, err := open(Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if got := barriers(b, 50); got < 1 || got > threads {
				t.Errorf("%d of %d threads came through", got, threads)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Threads of an idle pool must sleep: a closed lid, an open chat.
func TestIdlePoolUsesNoProcessorTime(t *testing.T) {
	b, err := open(Options{Threads: 8})
	if err != nil {
		t.Fatal(err)
	}
	barriers(b, 10)
	time.Sleep(20 * time.Millisecond) // the bounded spin ends
	before := processorTime(t)
	time.Sleep(300 * time.Millisecond)
	used := processorTime(t) - before
	t.Logf("%v in 300 ms", used)
	if used > 100*time.Millisecond {
		t.Errorf("an idle pool of 8 threads used %v in 300 ms", used)
	}
	if err := b.Close(); err != nil { // while its threads sleep
		t.Error(err)
	}
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// See slack.c: Go's monitor and whatever the runtime starts must have it too, so it is there before any of them.
func TestTimersHaveSlack(t *testing.T) {
	for range 3 {
		got := make(chan int)
		go func() {
			runtime.LockOSThread() // and never again for others: a thread of its own, which ends with the goroutine
			slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			if err != nil {
				t.Error(err)
			}
			got <- slack
		}()
		if slack := <-got; slack != 1e6 {
			t.Errorf("a timer slack of %d ns, want a millisecond", slack)
		}
	}
}

func TestCloseEndsTheThreads(t *testing.T) {
	before := threadCount(t)
	for range 5 {
		b, err := open(Options{Threads: 16})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := threadCount(t); after > before+8 { // Go may have started some of its own
		t.Errorf("%d threads before, %d after", before, after)
	}
}

// A thread for every core: each of the pool's own is bound to one that is not the caller's. The caller is not the pool's: it is free
// again when its job has ended.
func TestThreadsAreBoundToCoresOfTheirOwn(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	of, cores := coresHere()
	if cores < 2 {
		t.Skipf("NOT RUN: %d cores, threads are bound from 2 on", cores)
	}
	everywhere := affinity(t, 0)
	defer func() {
		if err := unix.SchedSetaffinity(0, &everywhere); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct{ threads, bound int }{{cores, cores - 1}, {cores + 1, 0}, {1, 0}} {
		b, err := open(Options{Threads: c.threads})
		if err != nil {
			t.Fatal(err)
		}
		for cpu := range of { // from each processor, so that the caller comes to cores that others are bound to
			if of[cpu] < 0 {
				continue
			}
			var here unix.CPUSet
			here.Set(cpu)
			if err := unix.SchedSetaffinity(0, &here); err != nil {
				t.Fatal(err)
			}
			barriers(b, 10)
			if active(b) < c.threads {
				t.Logf("%d threads on processor %d: only %d were used, on a busy machine", c.threads, cpu, active(b))
				continue
			}
			if c.bound > 0 && affinity(t, 0) != everywhere {
				t.Errorf("%d threads: the caller is still bound", c.threads)
			}
			checkBound(t, of, everywhere, cpu, c.bound)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := unix.SchedSetaffinity(0, &everywhere); err != nil {
			t.Fatal(err)
		}
	}
}

// checkBound wants that so many threads are bound to one core each, none to that of processor caller.
func checkBound(t *testing.T, of []int16, everywhere unix.CPUSet, caller, bound int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skipf("NOT RUN: cannot list threads here: %v", err)
	}
	taken := map[int16]bool{}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil || id == unix.Gettid() {
			continue
		}
		set := affinity(t, id)
		if set == everywhere {
			continue
		}
		for cpu := range of {
			if set.IsSet(cpu) != (of[cpu] >= 0 && set.IsSet(slices.Index(of, of[cpu]))) {
				t.Errorf("thread %d is bound to a part of core %d", id, of[cpu])
			}
		}
		core := of[slices.IndexFunc(of, func(c int16) bool { return c >= 0 && set.IsSet(slices.Index(of, c)) })]
		if taken[core] || core == of[caller] {
			t.Errorf("called on core %d: two threads are bound to core %d", of[caller], core)
		}
		taken[core] = true
	}
	if len(taken) != bound {
		t.Errorf("called on processor %d: %d threads are bound, want %d", caller, len(taken), bound)
	}
}

func affinity(t *testing.T, thread int) unix.CPUSet {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(thread, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func threadCount(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Skipf("cannot count threads here: %v", err)
	}
	return len(entries)
}

// busyLoop names the environment variable that turns this test binary into a process that only burns time.
const busyLoop = "PEREGRINE_TEST_BUSY_LOOP"

func TestMain(m *testing.M) {
	if os.Getenv(busyLoop) != "" {
		for start := time.Now(); time.Since(start) < 30*time.Second; {
		}
		return
	}
	if os.Getenv(memoryChild) != "" {
		os.Exit(memoryMain())
	}
	os.Exit(m.Run())
}

// Beside a busy loop on every core, all threads must not be slower than one: without adapting they were 10 to 20 times slower,
// since each of a token's hundred barriers waited for a thread that had lost its core.
func TestAllThreadsAreNotSlowerThanOneOnABusyMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	cores := runtime.NumCPU()
	if cores > 16 {
		t.Skipf("NOT RUN: %d busy loops on a machine of %d cores disturb too much else", cores, cores)
	}
	// 12 layers of 0.6 MB: a token takes about a millisecond.
	p := backendtest.Random(5, model.Config{
		Architecture: "llama", Hidden: 512, Layers: 12, Heads: 8, KVHeads: 2, HeadDim: 64, FFN: 1024, Vocab: 1000, MaxContext: 64,
		Norm: model.RMSNorm, NormEps: 1e-5, MLP: model.GatedSiLU, Rope: model.Rope{Base: 10000}, BOS: -1,
	}, backendtest.Weights{Format: quant.Q4_1}, false, false)
	one, _ := load(t, p, Options{Threads: 1}, model.Fast, 0)
	all, pool := load(t, p, Options{Threads: cores}, model.Fast, 0)
	for range cores {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), busyLoop+"=1")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		}()
	}
	time.Sleep(100 * time.Millisecond)
	var single, many []float64
	for range 15 { // in turns, so that whatever happens to the machine happens to both
		single = append(single, decodeTime(t, one, 40))
		many = append(many, decodeTime(t, all, 40))
	}
	a, b := median(single), median(many)
	t.Logf("beside %d busy loops: one thread %.2f ms a token, %d threads %.2f ms (%d used last)", cores, a*1e3, cores, b*1e3, active(pool))
	// A third for the tries with more threads, and for what the machine does besides.
	if b > 1.33*a {
		t.Errorf("beside %d busy loops %d threads need %.2f ms a token, one thread %.2f ms", cores, cores, b*1e3, a*1e3)
	}
}

// decodeTime returns the seconds that one of n tokens takes.
func decodeTime(t *testing.T, e *executor, n int) float64 {
	t.Helper()
	start := time.Now()
	for i := range n {
		if err := e.Forward(t.Context(), []int32{int32(i)}, i, &model.Output{}); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start).Seconds() / float64(n)
}

func TestCoresOfProcessors(t *testing.T) {
	root := t.TempDir()
	siblings := map[int]string{0: "0,2\n", 1: "1,3\n", 2: "0,2\n", 3: "1,3\n"} // two cores of two threads each
	for cpu, list := range siblings {
		dir := filepath.Join(root, "cpu"+strconv.Itoa(cpu), "topology")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "thread_siblings_list"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		cpus []int
		want []int16 // the core of each of them
	}{
		{"all", []int{0, 1, 2, 3}, []int16{0, 1, 0, 1}},
		{"both threads of one core", []int{1, 3}, []int16{0, 0}},
		{"one thread of each", []int{0, 3}, []int16{0, 1}},
		{"processors that the system does not describe", []int{0, 8, 9}, []int16{0, 1, 2}},
	} {
		var set unix.CPUSet
		for _, cpu := range c.cpus {
			set.Set(cpu)
		}
		of, cores := coresOf(root, &set)
		if want := int(slices.Max(c.want)) + 1; cores != want {
			t.Errorf("%s: %d cores, want %d", c.name, cores, want)
		}
		for cpu, core := range of {
			want := int16(-1)
			if i := slices.Index(c.cpus, cpu); i >= 0 {
				want = c.want[i]
			}
			if core != want {
				t.Errorf("%s: processor %d is of core %d, want %d", c.name, cpu, core, want)
			}
		}
	}
	if n := physicalCores(); n < 1 || n > runtime.NumCPU() {
		t.Errorf("physical cores: %d of %d processors", n, runtime.NumCPU())
	}
}

func TestReadBandwidthIsPlausible(t *testing.T) {
	v := ReadBandwidth(1, 64<<20)
	t.Logf("%.1f GB/s with one thread", v)
	if v < 0.1 || v > 10000 {
		t.Errorf("read bandwidth %v GB/s", v)
	}
	if v := ReadBandwidth(-1, 1<<20); v != 0 {
		t.Errorf("−1 threads: %v, want 0", v)
	}
	if v := ReadBandwidth(1, 0); v != 0 {
		t.Errorf("0 bytes: %v, want 0", v)
	}
}

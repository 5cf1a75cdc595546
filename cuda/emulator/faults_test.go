package emulator_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"peregrine/cuda/driver"
	"peregrine/cuda/emulator"
)

// fault is a kernel that must fail, and how.
type fault struct {
	what   string
	kernel string
	grid   uint32
	shared int
	n      uint64
	at     int64
	want   string // regular expression for what follows "emulator: "; A is an address
}

var faults = []fault{
	{
		what: "read behind the end", kernel: "reads", n: 17, at: 25,
		want: `reads: block \(0, 0, 0\), thread 17: out of bounds: 4 bytes at offset 100 of the allocation A of 100 bytes, alignment 4`,
	},
	{
		what: "read before the start", kernel: "reads", n: 0, at: -1,
		want: `reads: block \(0, 0, 0\), thread 0: out of bounds: 4 bytes at offset -4 of the allocation A of 100 bytes, alignment 4`,
	},
	{
		what: "write behind the end", kernel: "writes", n: 63, at: 1 << 33,
		want: `writes: block \(0, 0, 0\), thread 63: out of bounds: 4 bytes at offset 34359738368 of the allocation A of 100 bytes, alignment 4`,
	},
	{
		what: "vector across the end", kernel: "vectors", n: 1, at: 24,
		want: `vectors: block \(0, 0, 0\), thread 1: out of bounds: 16 bytes at offset 96 of the allocation A of 100 bytes, alignment 16`,
	},
	{
		what: "misaligned vector", kernel: "vectors", n: 1, at: 2,
		want: `vectors: block \(0, 0, 0\), thread 1: misaligned: 16 bytes at offset 8 of the allocation A of 100 bytes, alignment 16`,
	},
	{
		what: "atomic behind the end", kernel: "counts", n: 3, at: 25,
		want: `counts: block \(0, 0, 0\), thread 3: out of bounds: 4 bytes at offset 100 of the allocation A of 100 bytes, alignment 4`,
	},
	{
		what: "wait for a count that nobody reaches", kernel: "awaits", n: 1,
		want: `awaits: block \(0, 0, 0\), thread 0: waits for a count that no kernel ahead has reached`,
	},
	{
		what: "copy in the background from behind the end", kernel: "fetches", n: 2, at: 6,
		want: `fetches: block \(0, 0, 0\), thread 2: out of bounds: 16 bytes at offset 96 of the allocation A of 100 bytes, alignment 16`,
	},
	{
		what: "index of a shared array", kernel: "shared_index", at: 8,
		want: `shared_index: block \(0, 0, 0\), thread 0: out of bounds: 4 bytes at offset 32 of shared array "small" of 32 bytes, alignment 4`,
	},
	{
		what: "index before a shared array", kernel: "shared_index", at: -1,
		want: `shared_index: block \(0, 0, 0\), thread 0: out of bounds: 4 bytes at offset -4 of shared array "small" of 32 bytes, alignment 4`,
	},
	{
		what: "vector in a shared array of words", kernel: "shared_vector",
		want: `shared_vector: block \(0, 0, 0\), thread 0: misaligned: 16 bytes at offset 0 of shared array "words" of 32 bytes, alignment 16`,
	},
	{
		what: "dynamic shared memory", kernel: "shared_dynamic", shared: 64, at: 16,
		want: `shared_dynamic: block \(0, 0, 0\), thread 0: out of bounds: 4 bytes at offset 64 of shared array "dynamic" of 64 bytes, alignment 4`,
	},
	{
		what: "too much static shared memory", kernel: "shared_large", n: 1,
		want: `shared_large: block \(0, 0, 0\), thread 0: shared array "second" of 32768 bytes: the kernel's SHARED arrays would be 65536 bytes, the limit is 49152`,
	},
	{
		what: "too much shared memory", kernel: "shared_large", shared: 20 << 10,
		want: `shared_large: block \(0, 0, 0\), thread 0: shared array "first" of 32768 bytes: with 0 of other SHARED arrays and 20480 dynamic ones the block would have more than the 49152 it may`,
	},
	{
		what: "barrier after a thread has ended", kernel: "barrier_ended", n: 5,
		want: `barrier_ended: block \(0, 0, 0\), thread 0: divergence: waits at sync_block \(faults.hpp:\d+\), but thread 5 has ended`,
	},
	{
		what: "two barriers", kernel: "barrier_sites",
		want: `barrier_sites: block \(0, 0, 0\), thread 32: divergence: waits at sync_block \(faults.hpp:\d+\), but thread 0 waits at sync_block \(faults.hpp:\d+\)`,
	},
	{
		what: "a barrier and a shuffle", kernel: "barrier_shuffle",
		want: `barrier_shuffle: block \(0, 0, 0\), thread 33: divergence: waits at shuffle \(faults.hpp:\d+\), but thread 32 waits at sync_block \(faults.hpp:\d+\)`,
	},
	{
		what: "two shuffles", kernel: "lanes_sites",
		want: `lanes_sites: block \(0, 0, 0\), thread 16: divergence: waits at shuffle \(faults.hpp:\d+\), but thread 0 waits at shuffle \(faults.hpp:\d+\)`,
	},
	{
		what: "a ballot and a barrier of the warp", kernel: "lanes_ops",
		want: `lanes_ops: block \(0, 0, 0\), thread 16: divergence: waits at sync_warp \(faults.hpp:\d+\), but thread 0 waits at ballot \(faults.hpp:\d+\)`,
	},
	{
		what: "a ballot without a lane", kernel: "lanes_ended", n: 7,
		want: `lanes_ended: block \(0, 0, 0\), thread 0: divergence: waits at ballot \(faults.hpp:\d+\), but thread 7 has ended`,
	},
	{
		what: "race between warps", kernel: "race_barrier",
		want: `race_barrier: block \(0, 0, 0\), thread \d+: race: thread \d+ (reads|writes) byte \d+ of shared array "held" \(256 bytes\), which thread \d+ (wrote|read) since the last barrier of both`,
	},
	{
		what: "race between lanes", kernel: "race_lane",
		want: `race_lane: block \(0, 0, 0\), thread \d+: race: thread \d+ (reads|writes) byte \d+ of shared array "held" \(128 bytes\), which thread \d+ (wrote|read) since the last barrier of both`,
	},
	{
		what: "race of writes", kernel: "race_writes",
		want: `race_writes: block \(0, 0, 0\), thread \d+: race: thread 1 writes byte 0 of shared array "held" \(4 bytes\), which thread 0 wrote since the last barrier of both`,
	},
	{
		what: "race of a write with an earlier read", kernel: "race_ahead",
		want: `race_ahead: block \(0, 0, 0\), thread \d+: race: thread \d+ (writes|reads) byte \d+ of shared array "held" \(256 bytes\), which thread \d+ (read|wrote) since the last barrier of both`,
	},
	{
		what: "the first block that fails", kernel: "late", grid: 50, n: 7,
		want: `late: block \(7, 0, 0\), thread 0: out of bounds: 4 bytes at offset 100 of the allocation A of 100 bytes, alignment 4`,
	},
}

func TestFaultsAreReported(t *testing.T) {
	for _, f := range faults {
		t.Run(f.what, func(t *testing.T) {
			b := open(t, emulator.Options{Races: true})
			in, out := upload(b, make([]byte, 100)), b.alloc(1000)
			b.must(b.launch(f.kernel, max(f.grid, 1), 64, f.shared, in, out, f.n, f.at))
			err := b.stream.Synchronize()
			want := "^cuda: the device is lost: emulator: " + strings.ReplaceAll(f.want, " A ", " 0x[0-9a-f]+ ") + "$"
			if err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			b.lost()
		})
	}
}

// lost proves that a device that is lost stays so, for every call, and can be closed.
func (b *rig) lost() {
	b.Helper()
	_, allocated := b.device.Alloc(1)
	_, free := b.device.Free()
	_, host := b.device.AllocHost(1)
	_, function := b.device.Function("test", "twice")
	_, stream := b.device.Stream()
	_, event := b.device.Event()
	_, captured := b.stream.Capture(func() error { return nil })
	calls := map[string]error{
		"Alloc": allocated, "Free": free, "AllocHost": host, "Function": function, "Stream": stream, "Event": event, "Capture": captured,
		"Fill": b.stream.Fill(0, 0, 0), "Copy": b.stream.Copy(0, 0, 0), "Synchronize": b.stream.Synchronize(),
	}
	for name, err := range calls {
		if !errors.Is(err, driver.ErrLost) {
			b.Errorf("%s on a lost device: %v", name, err)
		}
	}
	b.must(b.device.Close())
}

// What the race detector must not report: the same kernels with their barriers.
func TestBarriersPreventRaces(t *testing.T) {
	for _, kernel := range []string{"race_barrier", "race_lane", "race_ahead"} {
		b := open(t, emulator.Options{Races: true})
		out := b.alloc(1000)
		b.must(b.launch(kernel, 5, 64, 0, out, out, 1, 0))
		if err := b.stream.Synchronize(); err != nil {
			t.Errorf("%s: %v", kernel, err)
		}
		b.release(out)
		b.close()
	}
}

func TestMemoryThatIsGone(t *testing.T) {
	for what, p := range map[string]func(b *rig) driver.Ptr{
		"null":                func(*rig) driver.Ptr { return 0 },
		"not an allocation's": func(*rig) driver.Ptr { return 1 << 60 },
		"released": func(b *rig) driver.Ptr {
			p := b.alloc(100)
			b.release(p)
			return p
		},
	} {
		t.Run(what, func(t *testing.T) {
			b := open(t, emulator.Options{})
			in := p(b)
			b.must(b.launch("reads", 1, 64, 0, in, in, 4, 3))
			want := "reads: block (0, 0, 0), thread 4: out of bounds: 4 bytes at address 0x"
			if err := b.stream.Synchronize(); err == nil || !strings.Contains(err.Error(), want) || !strings.HasSuffix(err.Error(), "which is "+what) {
				t.Errorf("kernel: got %v, want %s…, which is %s", err, want, what)
			}
			b.must(b.device.Close())

			b = open(t, emulator.Options{})
			in = p(b)
			b.must(b.stream.Fill(in, 0, 4))
			if err := b.stream.Synchronize(); err == nil || !strings.HasSuffix(err.Error(), "which is "+what) {
				t.Errorf("fill: got %v", err)
			}
			b.must(b.device.Close())
		})
	}
}

func TestLaunchesThatCannotBe(t *testing.T) {
	b := open(t, emulator.Options{})
	f, err := b.device.Function("test", "reads")
	b.must(err)
	var args [1024]byte
	one := driver.Dim{X: 1, Y: 1, Z: 1}
	for _, c := range []struct {
		want        string
		grid, block driver.Dim
		shared      int
		size        uintptr
	}{
		{"arguments of 24 bytes, it takes 32", one, one, 0, 24},
		{"blocks of 65×1×1 threads; it takes 1 to 64 in a row", one, driver.Dim{X: 65, Y: 1, Z: 1}, 0, 32},
		{"blocks of 0×1×1 threads", one, driver.Dim{X: 0, Y: 1, Z: 1}, 0, 32},
		{"blocks of 8×8×1 threads", one, driver.Dim{X: 8, Y: 8, Z: 1}, 0, 32},
		{"a grid of 1×0×1 blocks", driver.Dim{X: 1, Y: 0, Z: 1}, one, 0, 32},
		{"a grid of 1×65536×1 blocks", driver.Dim{X: 1, Y: 65536, Z: 1}, one, 0, 32},
		{"49153 bytes of shared memory; it may have 49152 (SetShared raises that up to 232448)", one, one, 49153, 32},
	} {
		err := b.stream.Launch(f, c.grid, c.block, c.shared, at(&args), c.size)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
		if _, err := b.stream.Capture(func() error {
			b.stream.Launch(f, c.grid, c.block, c.shared, at(&args), c.size) //nolint:errcheck // the capture must notice by itself
			return nil
		}); err == nil {
			t.Errorf("%s: captured", c.want)
		}
	}
	if err := f.SetShared(227<<10 + 1); err == nil {
		t.Error("more shared memory than there is")
	}
	b.must(f.SetShared(227 << 10))
	for _, name := range []string{"test", "nothing"} {
		if _, err := b.device.Function(name, "nothing"); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
			t.Errorf("got %v for a kernel that is not there", err)
		}
	}
	b.must(b.stream.Launch(f, one, one, 227<<10, at(&args), 32))
	if err := b.stream.Synchronize(); err == nil { // null was read by thread 0
		t.Error("a launch with all of the shared memory did not run")
	}
	b.must(b.device.Close())
}

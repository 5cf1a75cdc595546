package cli

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMemoryThatIsNotThereIsRefusedWithNeedAndHave(t *testing.T) {
	err := fits("falcon-180b", 90e9, 2e9, 16e9, 2048)
	if err == nil {
		t.Fatal("92 GB fit into 16 GB")
	}
	for _, want := range []string{"falcon-180b", "92.16 GB", "16.00 GB", "--context"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if err := fits("small", 1e9, 1e8, 16e9, 2048); err != nil {
		t.Error(err)
	}
	if err := fits("any", 1e9, math.MaxInt64, 16e9, math.MaxInt); err == nil {
		t.Error("a cache of every byte there is fits into 16 GB")
	}
}

func TestAddressSpaceIsWhatTheLimitLeaves(t *testing.T) {
	cases := []struct {
		limit uint64
		statm string
		want  int64
	}{
		{math.MaxUint64, "100 20 3", unlimited},
		{1 << 30, "1000 20 3", 1<<30 - 1000*4096},
		{1 << 20, "1000 20 3", 0},
		{1 << 30, "", 1 << 30},
	}
	for _, c := range cases {
		if got := addressSpaceOf(c.limit, c.statm, 4096); got != c.want {
			t.Errorf("limit %d, statm %q: got %d, want %d", c.limit, c.statm, got, c.want)
		}
	}
}

func TestControlGroupLeavesItsLimitWithoutIdleFiles(t *testing.T) {
	cases := []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no group", nil, unlimited},
		{"no limit", map[string]string{"memory.max": "max\n", "memory.current": "5\n"}, unlimited},
		{"limit", map[string]string{"memory.max": "1000\n", "memory.current": "700\n"}, 300},
		{"files that were read", map[string]string{
			"memory.max": "1000\n", "memory.current": "900\n", "memory.stat": "anon 100\ninactive_file 500\nactive_file 300\n",
		}, 600},
		{"over the limit", map[string]string{"memory.max": "1000\n", "memory.current": "1200\n"}, 0},
	}
	for _, c := range cases {
		dir := t.TempDir()
		for name, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := groupMemoryIn(dir); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestModelBytesCountsWhatIsMapped(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]int{"a.safetensors": 3, "b.safetensors": 4, "config.json": 100} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := modelBytes(dir); got != 7 {
		t.Errorf("folder: got %d, want 7", got)
	}
	if got := modelBytes(filepath.Join(dir, "a.safetensors")); got != 3 {
		t.Errorf("file: got %d, want 3", got)
	}
}

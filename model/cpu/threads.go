package cpu

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Threads returns how many threads Options.Threads n means: one for each physical core when n is 0.
func Threads(n int) int {
	if n == 0 {
		return physicalCores()
	}
	return n
}

// physicalCores counts the cores behind the processors that this process may run on: two processors of one core share its
// arithmetic and its path to memory, so a second thread there gains nothing. GOMAXPROCS caps it, as Go derives that from a
// container's CPU limit. Where the system does not tell, every processor counts.
func physicalCores() int {
	limit := runtime.GOMAXPROCS(0)
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return limit
	}
	return max(1, min(limit, countCores("/sys/devices/system/cpu", &set)))
}

// countCores counts distinct sets of siblings among the processors in set; root is where the kernel describes them.
func countCores(root string, set *unix.CPUSet) int {
	cores := map[string]bool{}
	for cpu := range len(set) * strconv.IntSize {
		if !set.IsSet(cpu) {
			continue
		}
		name := strconv.Itoa(cpu)
		siblings, err := os.ReadFile(root + "/cpu" + name + "/topology/thread_siblings_list")
		key := strings.TrimSpace(string(siblings))
		if err != nil || key == "" {
			key = name
		}
		cores[key] = true
	}
	return len(cores)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

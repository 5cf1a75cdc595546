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
	_, cores := coresHere()
	if cores == 0 {
		return min(limit, maxThreads)
	}
	return max(1, min(limit, cores, maxThreads))
}

// coresHere is coresOf for the processors that this process may run on; without a core where the system does not tell.
func coresHere() (of []int16, cores int) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, 0
	}
	return coresOf("/sys/devices/system/cpu", &set)
}

// coresOf numbers distinct sets of siblings among the processors in set, and returns the number of each processor's, −1 for those
// that are not in set; root is where the kernel describes them.
func coresOf(root string, set *unix.CPUSet) (of []int16, cores int) {
	of = make([]int16, len(set)*strconv.IntSize)
	known := map[string]int16{}
	for cpu := range of {
		if !set.IsSet(cpu) {
			of[cpu] = -1
			continue
		}
		name := strconv.Itoa(cpu)
		siblings, err := os.ReadFile(root + "/cpu" + name + "/topology/thread_siblings_list")
		key := strings.TrimSpace(string(siblings))
		if err != nil || key == "" {
			key = name
		}
		core, ok := known[key]
		if !ok {
			core = int16(len(known))
			known[key] = core
		}
		of[cpu] = core
	}
	return of, len(known)
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

package cli

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of times in /proc, USER_HZ.
const clockTick = time.Second / 100

// sinceStart returns how long ago the system made this process, to within a hundredth of a second: what is imported works for
// 20 ms before the program's own first line. Source: proc_pid_stat(5), starttime.
func sinceStart() time.Duration {
	least := time.Since(started)
	var now unix.Timespec
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return least
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before it may hold anything
	if len(fields) < 20 {
		return least
	}
	ticks, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil {
		return least
	}
	return max(time.Duration(now.Nano())-time.Duration(ticks)*clockTick, least)
}

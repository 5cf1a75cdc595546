//go:build !linux

package cli

import "time"

// sinceStart returns how long the program's own code has been running.
func sinceStart() time.Duration { return time.Since(started) }

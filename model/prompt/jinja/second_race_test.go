//go:build race

package jinja

import "time"

// second is how long a hostile template may take: the race detector slows it down 10 to 20 times.
const second = 20 * time.Second

//go:build !race

package jinja

import "time"

// second is how long a hostile template may take.
const second = time.Second

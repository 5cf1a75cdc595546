//go:build !race

package backendtest

// Raced says that the race detector is on.
const Raced = false

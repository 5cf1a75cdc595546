//go:build race

package backendtest

// Raced says that the race detector is on. It sees Go alone, which is the same for every model and format, and slows
// the oracle down tenfold: one of each kind is enough then.
const Raced = true

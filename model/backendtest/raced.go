//go:build race

package backendtest

// raced says that the race detector is on. It sees Go alone, which is the same for every model, and slows the oracle down tenfold.
const raced = true

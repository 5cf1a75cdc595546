package sample

// Candidate is one token with its logit, unmodified.
type Candidate struct {
	ID    int32
	Logit float32
}

// Output says what is wanted of the last Rows tokens of a forward pass (none while prefilling, one when generating, a few
// when verifying a guess), and takes the result. The caller owns all slices.
type Output struct {
	Rows   int
	Logits []float32     // [Rows, vocab]; nil: not wanted, so that a device need not copy them
	Top    [][]Candidate // [Rows], per row the K highest logits, highest first, lowest id among equals; K is len of the slice given
	LogSum []float32     // [Rows] log Σ exp(logits): with Top it gives probabilities
}

// Package cpu is the backend for the processor: kernels in C behind one cgo call for each forward pass, whatever its length.
//
// The one idea: weights are repacked once, eight output rows side by side, at their own bit width, and every product reads
// them in that order. Generating a token then costs one pass over memory, shared among the threads in contiguous stripes;
// a prompt is multiplied in chunks, whose tiles the threads take as they become free. Every output element is summed in an
// order that depends on its length alone, so the bits of a result depend neither on the number of threads nor on how a
// prompt was cut (with AMX: into passes of 32 tokens and more, which are computed in bfloat16, or of fewer).
//
// In the fast mode the inputs of quantised matrices are rounded to int8, one scale for 32 features (some twice, outliers not
// at all: README.md, "Modes"), and the KV cache holds float16; dense matrices take float32 inputs (with AMX: bfloat16 in both cases, in
// such passes). In the precise mode everything but the weights is float32.
//
// Layout, kernels, threads and measurements: README.md beside this file. What a model means is package model's matter, and
// what a weight means package quant's.
package cpu

// Package quantize makes GPTQ checkpoints: it chooses the codes, scales and zero points of a model's matrices so that their
// products with the inputs of a calibration text stay close, which plain rounding of each weight does not.
//
// The one idea: the error of a column that is rounded is made up for by the columns that are not rounded yet, weighted by the
// inverse Hessian of the layer's squared error (Frantar et al., "GPTQ", 2022). [Solve] is that algorithm as AutoGPTQ 0.7.1 runs
// it, in float64; [Nearest] is the plain rounding to compare with. Both are pure functions of their arguments.
//
// [Run] takes a whole model through it, one layer at a time: it gathers what each matrix reads, with all matrices before it
// quantised already, and keeps each finished layer on the disk, so that it can be stopped by whatever and goes on from there.
// Its own forward pass in float32 holds one layer's weights; package oracle is what it is checked against. What a checkpoint's
// tensors mean is left to packages quant and gptq, what they are called to package model, text to the caller.
package quantize

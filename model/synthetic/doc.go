// Package synthetic makes models of a published shape without a checkpoint: for timing a backend on weights that nobody has
// at hand, and for writing checkpoint folders that exercise the whole way from disk to device.
//
// The weights are random, of the size at which every step keeps values near one, so that logits are finite and differ from
// token to token; the model knows nothing. No weight is computed on its own: the big tensors are views, each from another
// place, of one pool of random content that is mapped many times behind itself (see pool). A 40B model is there in a fraction
// of a second and takes some hundred megabytes.
//
// What a checkpoint of that shape looks like (names, types, config.json) is written down here once and read by package model
// as if from files, so that a model in memory and its copy on disk are the same model.
package synthetic

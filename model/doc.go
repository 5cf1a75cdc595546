// Package model says what a decoder is: a shape ([Config]), weights as plain host data ([Params]), a device ([Backend]) and
// a sequence on it ([Executor], and [Decoder] around it). [Open] reads all of that from a checkpoint's files.
//
// The boundary between a model and a device is a whole forward pass, not an operation: a device may fuse, repack and
// schedule as it likes, and the price, some wiring written twice, is guarded by package oracle and package backendtest. One
// file per architecture (falcon.go, llama.go) turns a checkpoint's names into Params; everything behind Params is the same
// for all of them. A new architecture is one file plus fixtures.
//
// What a file says is checked before it is used: a configuration against bounds, every tensor against the configuration.
// Containers and weight formats are left to packages safetensors, gguf, gptq and quant, text to tokenizer and prompt.
package model

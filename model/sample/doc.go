// Package sample turns logits into a token id, with the semantics and the order of Hugging Face transformers, and lists the
// most probable candidates.
//
// The order is: repetition penalty; then, unless the temperature is 0 (greedy), temperature, top-k, top-p, min-p, typical-p,
// softmax and one draw. Every filter keeps at least one token. Source: transformers generation/logits_process.py.
//
// Exactly one random number is drawn for each token, greedy ones included, so that a change of values between two tokens
// never shifts the sequence: same seed, same values, same logits, same ids.
package sample

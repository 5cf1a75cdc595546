// Package tokenizer turns text into token ids and ids into text, for byte-level BPE vocabularies: those of Falcon, Llama 3,
// SmolLM2, GPT-2 and Qwen2, read from a tokenizer.json or rebuilt from the vocabulary inside a GGUF file.
//
// The one idea: the Rust library behind github.com/daulet/tokenizers does what is hard (Unicode pre-tokenizer patterns and
// BPE merges), and this package does the rest around it. A vocabulary is read and checked here, then handed over as a
// tokenizer.json of our own writing, so that nothing a file says can make the library abort the process. Added tokens
// (control tokens among them) are matched here too: text that a user typed never becomes a control token, text of a template
// does, and a template may hold user text ([Tokenizer.EncodeGuarded]). The way back from ids to bytes is an own table, because
// the library cannot give half a character or a NUL.
//
// Building needs cgo and lib/libtokenizers.a, which the Makefile makes. Without cgo the package compiles and its functions
// return [ErrUnavailable].
//
// Which ids begin or end a text (BOS, EOS), chat templates and stop strings are left to others: nothing is ever added here.
package tokenizer

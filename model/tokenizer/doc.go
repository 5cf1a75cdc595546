// Package tokenizer turns text into token ids and ids into text, for BPE vocabularies: byte-level ones, those of Falcon, Llama
// 3, SmolLM2, GPT-2 and Qwen2, and SentencePiece ones, those of Llama 2, Mistral and Gemma. They are read from a tokenizer.json or
// rebuilt from the vocabulary inside a GGUF file.
//
// The one idea: the Rust library behind github.com/daulet/tokenizers does what is hard (Unicode pre-tokenizer patterns and
// BPE merges), and this package does the rest around it. A vocabulary is read and checked here, then handed over as a
// tokenizer.json of our own writing, so that nothing a file says can make the library abort the process. Added tokens
// (control tokens among them) are matched here too: text that a user typed never becomes a control token, text of a template
// does, and a template may hold user text ([Tokenizer.EncodeGuarded]). The way back from ids to bytes is an own table, because
// the library cannot give half a character or a NUL.
//
// A SentencePiece vocabulary (pieces.go) writes ▁ for a space, puts one in front of a text, and spells rare characters in
// bytes. The one in front is put there and taken away here, once for a text, however the text is cut and streamed; of several
// bytes that are no character each is U+FFFD, as sentencepiece has it. In a GGUF file it has scores instead of merges, which
// follow from them (scores.go).
//
// Building needs cgo and lib/libtokenizers.a, which the Makefile makes. Without cgo the package compiles and its functions
// return [ErrUnavailable].
//
// Which ids begin or end a text (BOS, EOS), chat templates and stop strings are left to others: nothing is ever added here.
// [Tokenizer.Begin] says what a tokenizer.json would add.
package tokenizer

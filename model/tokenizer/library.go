//go:build cgo

package tokenizer

// #include <stdlib.h>
// #ifdef __GLIBC__
// #include <malloc.h>
// static void giveBack(void) { malloc_trim(0); }
// #else
// static void giveBack(void) {}
// #endif
import "C"

import "github.com/daulet/tokenizers"

// library is the tokenizer in Rust.
type library struct {
	rust *tokenizers.Tokenizer
}

// giveBack gives the system what the library has freed: it copies a tokenizer.json several times over while reading.
func giveBack() { C.giveBack() }

// newLibrary loads a tokenizer.json.
func newLibrary(json []byte) (*library, error) {
	rust, err := tokenizers.FromBytes(json, tokenizers.WithEncodeSpecialTokens())
	if err != nil {
		return nil, err
	}
	return &library{rust: rust}, nil
}

// encode appends the ids of text, which must be valid UTF-8 without NUL. Several goroutines may encode at once.
func (l *library) encode(dst []int32, text string) []int32 {
	for _, id := range l.rust.EncodeWithOptions(text, false).IDs {
		dst = append(dst, int32(id))
	}
	return dst
}

func (l *library) close() error { return l.rust.Close() }

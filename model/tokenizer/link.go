//go:build cgo

package tokenizer

// #cgo LDFLAGS: -L${SRCDIR}/lib
import "C"

package history

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a new random id of 16 hexadecimal digits, for a conversation or a message.
func NewID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails; it ends the program instead
	return hex.EncodeToString(b[:])
}

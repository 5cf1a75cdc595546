//go:build !cuda

package driver

import (
	"errors"
	"strings"
	"testing"
)

func TestWithoutCUDA(t *testing.T) {
	_, err := Open(0)
	_, err2 := List()
	for _, err := range []error{err, err2} {
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "built without CUDA") {
			t.Errorf("got %v", err)
		}
	}
}

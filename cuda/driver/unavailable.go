//go:build !cuda

package driver

import "fmt"

// Open fails: this program was built without CUDA.
func Open(int) (Device, error) { return nil, without() }

// List fails: this program was built without CUDA.
func List() ([]Info, error) { return nil, without() }

func without() error {
	return fmt.Errorf("%w: this program was built without CUDA; build it with make, or use --backend cpu", ErrUnavailable)
}

//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"fmt"
	"reflect"
)

// code is a CUresult. gorgonia.org/cu keeps its own type of it private.
type code int

// codeOf returns the code of an error of gorgonia.org/cu.
func codeOf(err error) code {
	if err == nil {
		return C.CUDA_SUCCESS
	}
	if v := reflect.ValueOf(err); v.CanInt() {
		return code(v.Int())
	}
	return C.CUDA_ERROR_UNKNOWN
}

// String is CUDA's name of the error, its number and meaning.
func (c code) String() string {
	var name, meaning *C.char
	C.native_name(C.CUresult(c), &name, &meaning)
	switch {
	case name == nil:
		return fmt.Sprintf("CUDA error %d", int(c))
	case meaning == nil:
		return fmt.Sprintf("%s (%d)", C.GoString(name), int(c))
	}
	return fmt.Sprintf("%s (%d): %s", C.GoString(name), int(c), C.GoString(meaning))
}

// fatal tells whether a context or its device is dead after such an error. Source: the remarks on CUresult in the driver API's
// reference ("leaves the process in an inconsistent state").
func (c code) fatal() bool {
	switch c {
	case C.CUDA_ERROR_DEINITIALIZED, C.CUDA_ERROR_DEVICE_UNAVAILABLE, C.CUDA_ERROR_NO_DEVICE, C.CUDA_ERROR_INVALID_CONTEXT,
		C.CUDA_ERROR_ECC_UNCORRECTABLE, C.CUDA_ERROR_NVLINK_UNCORRECTABLE, C.CUDA_ERROR_ILLEGAL_ADDRESS,
		C.CUDA_ERROR_LAUNCH_TIMEOUT, C.CUDA_ERROR_CONTEXT_IS_DESTROYED, C.CUDA_ERROR_ASSERT,
		C.CUDA_ERROR_HARDWARE_STACK_ERROR, C.CUDA_ERROR_ILLEGAL_INSTRUCTION, C.CUDA_ERROR_MISALIGNED_ADDRESS,
		C.CUDA_ERROR_INVALID_ADDRESS_SPACE, C.CUDA_ERROR_INVALID_PC, C.CUDA_ERROR_LAUNCH_FAILED,
		C.CUDA_ERROR_MPS_RPC_FAILURE, C.CUDA_ERROR_MPS_CLIENT_TERMINATED, C.CUDA_ERROR_EXTERNAL_DEVICE, C.CUDA_ERROR_UNKNOWN:
		return true
	}
	return false
}

// wrap makes an error of what a call on a living context returned.
func (c code) wrap(call string) error {
	switch {
	case c == C.CUDA_ERROR_OUT_OF_MEMORY:
		return fmt.Errorf("%w: %s: %s", ErrOutOfMemory, call, c.String())
	case c == C.CUDA_ERROR_UNSUPPORTED_PTX_VERSION, c == C.CUDA_ERROR_JIT_COMPILER_NOT_FOUND,
		c == C.CUDA_ERROR_NO_BINARY_FOR_GPU, c == C.CUDA_ERROR_JIT_COMPILATION_DISABLED:
		return unavailable(call, c)
	case c.fatal():
		return fmt.Errorf("%w: %s: %s; use --backend cpu, or start again", ErrLost, call, c.String())
	}
	return fmt.Errorf("cuda: %s: %s", call, c.String())
}

// unavailable makes an error of what stands in the way of using a device at all.
func unavailable(call string, c code) error {
	remedy := "use --backend cpu"
	switch c {
	case C.CUDA_ERROR_NO_DEVICE:
		remedy = "no NVIDIA GPU is visible: check CUDA_VISIBLE_DEVICES and nvidia-smi, or use --backend cpu"
	case C.CUDA_ERROR_DEVICE_UNAVAILABLE:
		remedy = "another process has the device for itself: end it, or choose another one with --device"
	case C.CUDA_ERROR_UNSUPPORTED_PTX_VERSION, C.CUDA_ERROR_NOT_FOUND, C.CUDA_ERROR_NO_BINARY_FOR_GPU:
		remedy = "the driver is too old: update it to 525 or newer, or use --backend cpu"
	case C.CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
		remedy = "the driver's package lacks its compiler, libnvidia-ptxjitcompiler: install it, or use --backend cpu"
	case C.CUDA_ERROR_JIT_COMPILATION_DISABLED:
		remedy = "unset CUDA_DISABLE_PTX_JIT, or use --backend cpu"
	case C.CUDA_ERROR_STUB_LIBRARY:
		remedy = "the library found is a toolkit's stub: take its folder out of LD_LIBRARY_PATH, or use --backend cpu"
	case C.CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, C.CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
		remedy = "the driver's library and kernel module do not fit together: restart the machine, or use --backend cpu"
	case C.CUDA_ERROR_SYSTEM_NOT_READY:
		remedy = "start the fabric manager (nvidia-fabricmanager), or use --backend cpu"
	case C.CUDA_ERROR_OPERATING_SYSTEM, C.CUDA_ERROR_UNKNOWN, C.CUDA_ERROR_NOT_INITIALIZED:
		remedy = "load the driver's kernel modules (nvidia-smi, modprobe nvidia_uvm), or use --backend cpu"
	}
	return fmt.Errorf("%w: %s: %s; %s", ErrUnavailable, call, c.String(), remedy)
}

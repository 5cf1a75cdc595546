//go:build cuda

package driver

// #include "native.h"
import "C"

import (
	"cmp"
	"fmt"
	"runtime"

	"gorgonia.org/cu"
)

// List describes the devices that the driver offers, usable or not, without making a context on any. It returns
// ErrUnavailable if there is no driver, no device, or the driver is too old.
func List() ([]Info, error) {
	version, count, err := start()
	if err != nil {
		return nil, err
	}
	list := make([]Info, count)
	for i := range list {
		if list[i], err = describe(i, version); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Open makes a context on a device. It returns ErrUnavailable if the device does not exist or cannot run the kernels, and
// ErrOutOfMemory if other processes left no room for a context.
func Open(index int) (Device, error) {
	version, count, err := start()
	if err != nil {
		return nil, err
	}
	if index < 0 || index >= count {
		return nil, fmt.Errorf("%w: device %d does not exist, the last one is %d; choose another with --device", ErrUnavailable, index, count-1)
	}
	info, err := describe(index, version)
	if err != nil {
		return nil, err
	}
	if err := info.Usable(); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	native, err := cu.GetDevice(index)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("cuDeviceGet(%d)", index), codeOf(err))
	}
	context, err := native.MakeContext(cu.SchedAuto)
	if c := codeOf(err); c == C.CUDA_ERROR_OUT_OF_MEMORY {
		return nil, c.wrap(fmt.Sprintf("context on device %d (%s)", index, info.Name))
	} else if c != C.CUDA_SUCCESS {
		return nil, unavailable(fmt.Sprintf("context on device %d (%s)", index, info.Name), c)
	}
	d := newDevice(info, context)
	if _, err := cu.PopCurrentCtx(); err != nil { // it stays current on no thread between calls of ours
		return nil, cmp.Or(codeOf(err).wrap("cuCtxPopCurrent"), d.Close())
	}
	return d, nil
}

// start opens the driver. It returns its version and how many devices it has, at least one.
func start() (version, count int, err error) {
	var reason *C.char
	if c := code(C.stand_in_status(&reason)); reason != nil {
		return 0, 0, fmt.Errorf("%w: %s; install it, or use --backend cpu", ErrUnavailable, C.GoString(reason))
	} else if c != C.CUDA_SUCCESS {
		return 0, 0, unavailable("cuInit", c)
	}
	if version = cu.Version(); version < minDriver {
		return 0, 0, Info{Driver: max(version, 0)}.Usable()
	}
	count, err = cu.NumDevices()
	if c := codeOf(err); c != C.CUDA_SUCCESS {
		return 0, 0, unavailable("cuDeviceGetCount", c)
	}
	if count == 0 {
		return 0, 0, unavailable("cuDeviceGetCount", C.CUDA_ERROR_NO_DEVICE)
	}
	return version, count, nil
}

// describe asks the driver about a device, which needs no context.
func describe(index, version int) (Info, error) {
	info := Info{Index: index, Driver: version}
	device, err := cu.GetDevice(index)
	if err != nil {
		return info, unavailable(fmt.Sprintf("cuDeviceGet(%d)", index), codeOf(err))
	}
	if info.Name, err = device.Name(); err != nil {
		return info, unavailable(fmt.Sprintf("cuDeviceGetName(%d)", index), codeOf(err))
	}
	if info.Memory, err = device.TotalMem(); err != nil {
		return info, unavailable(fmt.Sprintf("cuDeviceTotalMem(%d)", index), codeOf(err))
	}
	for attribute, to := range map[cu.DeviceAttribute]*int{
		C.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:          &info.Major,
		C.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:          &info.Minor,
		C.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:              &info.Multiprocessor,
		C.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: &info.BlockShared,
	} {
		if *to, err = device.Attribute(attribute); err != nil {
			return info, unavailable(fmt.Sprintf("cuDeviceGetAttribute(%d, device %d)", attribute, index), codeOf(err))
		}
	}
	return info, nil
}

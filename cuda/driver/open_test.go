//go:build cuda

package driver

import (
	"testing"

	"peregrine/cuda/driver/fake"
)

func TestListMakesNoContext(t *testing.T) {
	old := fake.Device{Name: "Fake GTX", Major: 6, Minor: 1, Multiprocessors: 10, BlockShared: 49152, Memory: 8 << 30}
	fake.Install(t, fake.Driver{Version: 12040, Devices: []fake.Device{fake.H100, old}})
	list := must[[]Info](t)(List())
	want := []Info{
		{Index: 0, Name: "Fake H100", Major: 9, Multiprocessor: 132, Memory: 64 << 20, Driver: 12040, BlockShared: 232448},
		{Index: 1, Name: "Fake GTX", Major: 6, Minor: 1, Multiprocessor: 10, Memory: 8 << 30, Driver: 12040, BlockShared: 49152},
	}
	if len(list) != 2 || list[0] != want[0] || list[1] != want[1] {
		t.Errorf("got %+v, want %+v", list, want)
	}
	if fake.Live() != 0 || fake.Calls("cuCtxCreate_v2") != 0 {
		t.Error("List made a context")
	}
	check(t, list[0].Usable())
	failed(t, list[1].Usable(), ErrUnavailable, "device 1 (Fake GTX)", "6.1", "8.0", "--backend cpu")
}

func TestUnusableDrivers(t *testing.T) {
	cases := map[string]struct {
		driver   fake.Driver
		function string
		code     int
		index    int
		parts    []string
	}{
		"too old":              {fake.Driver{Version: 11040, Devices: played.Devices}, "", 0, 0, []string{"11.4", "525", "--backend cpu"}},
		"no device":            {fake.Driver{}, "", 0, 0, []string{"CUDA_VISIBLE_DEVICES"}},
		"initialisation fails": {played, "cuInit", driverMismatch, 0, []string{"cuInit", "803", "restart"}},
		"all devices hidden":   {played, "cuInit", noDevice, 0, []string{"CUDA_VISIBLE_DEVICES"}},
		"no such device":       {played, "", 0, 3, []string{"device 3", "--device"}},
		"negative device":      {played, "", 0, -1, []string{"device -1", "--device"}},
		"device taken":         {played, "cuCtxCreate_v2", deviceUnavailable, 0, []string{"Fake H100", "another process"}},
		"missing symbol":       {played, "cuDeviceGetName", notFound, 0, []string{"cuDeviceGetName", "too old"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fake.Install(t, c.driver)
			if c.function != "" {
				fake.Fail(t, c.function, c.code, 0, fake.Forever)
			}
			device, err := Open(c.index)
			if device != nil {
				t.Error("got a device")
			}
			failed(t, err, ErrUnavailable, c.parts...)
			if fake.Live() != 0 {
				t.Errorf("%d objects are left", fake.Live())
			}
		})
	}
}

func TestOpenWithoutRoom(t *testing.T) {
	fake.Install(t, played)
	fake.Fail(t, "cuCtxCreate_v2", outOfMemory, 0, 1)
	_, err := Open(0)
	failed(t, err, ErrOutOfMemory, "device 0 (Fake H100)", "CUDA_ERROR_OUT_OF_MEMORY (2)")
}

// A context that cannot be made ready is destroyed; that this fails too is not said.
func TestOpenThatFailsHalfWay(t *testing.T) {
	fake.Install(t, played)
	for _, times := range []int{0, 1} {
		before := fake.Calls("cuCtxDestroy_v2")
		fake.Fail(t, "cuCtxPopCurrent_v2", outOfMemory, 0, 1)
		fake.Fail(t, "cuCtxDestroy_v2", captureInvalidated, 0, times)
		_, err := Open(0)
		failed(t, err, ErrOutOfMemory, "cuCtxPopCurrent")
		if fake.Calls("cuCtxDestroy_v2") != before+1 {
			t.Error("the context is left")
		}
	}
}

func TestListOfThisMachine(t *testing.T) {
	if list, err := List(); err != nil {
		failed(t, err, ErrUnavailable, "--backend cpu")
	} else if len(list) == 0 {
		t.Error("no error and no device")
	}
}

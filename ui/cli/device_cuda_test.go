//go:build cuda

package cli

import (
	"log/slog"
	"strings"
	"testing"

	"peregrine/cuda/driver/fake"
	"peregrine/model"
	"peregrine/model/backendtest"
)

var oldGPU = fake.Device{Name: "Fake GTX", Major: 6, Minor: 1, Multiprocessors: 10, BlockShared: 49152, Memory: 8e9}

func TestCompletionOffersTheDevices(t *testing.T) {
	home(t)
	fake.Install(t, fake.Driver{Devices: []fake.Device{fake.H100, oldGPU}})
	if out := succeed(t, "", "__complete", "--device", ""); !strings.HasPrefix(out, "0\tFake H100\n1\tFake GTX\n") {
		t.Errorf("got %q", out)
	}
}

func TestInspectListsTheDevices(t *testing.T) {
	home(t)
	large, small := fake.H100, fake.H100
	large.Memory, small.Memory = 1<<30, 100<<20 // loading leaves 201 MB free, so that the small one is refused
	fake.Install(t, fake.Driver{Devices: []fake.Device{large, oldGPU, small}})
	out := succeed(t, "", "inspect", backendtest.Path(t, "llama-smollm2"))
	for _, part := range []string{
		"0: Fake H100, compute capability 9.0", "1.07 GB; fits: loading needs", "1: Fake GTX", "not usable: device 1",
		"104.9 MB; does not fit: loading needs", "104.9 MB are free",
	} {
		if !strings.Contains(out, part) {
			t.Errorf("%q lacks %q", out, part)
		}
	}
	if fake.Live() != 0 {
		t.Errorf("inspect left %d objects on the device", fake.Live())
	}
}

// A device that cannot be used: auto takes the CPU and says why, cuda fails with the remedy.
func TestBackendFallsBackOnlyWhenItMay(t *testing.T) {
	home(t)
	fake.Install(t, fake.Driver{Devices: []fake.Device{oldGPU}})
	s := &settings{log: slog.New(slog.DiscardHandler)}
	backend, why, err := s.device(nil)
	if err != nil || !strings.HasPrefix(backend.Name(), "cpu") || !strings.Contains(why, "6.1") {
		t.Errorf("got %v, %q, %v", backend, why, err)
	}
	s.file.Backend = "cuda"
	if _, _, err := s.device(nil); err == nil || !strings.Contains(err.Error(), "--backend cpu") {
		t.Errorf("got %v", err)
	}
}

// Weights that only the CPU multiplies: auto takes it and says why, cuda fails with the remedy.
func TestBackendFallsBackForModelsThatTheGPUCannotRun(t *testing.T) {
	home(t)
	fake.Install(t, fake.Driver{Devices: []fake.Device{fake.H100}})
	c, err := model.Open(backendtest.Path(t, "llama-smollm2"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &settings{log: slog.New(slog.DiscardHandler)}
	for _, headDim := range []int{c.Params.Config.HeadDim, 512} {
		p := *c.Params
		p.Config.HeadDim = headDim
		backend, why, err := s.device(&p)
		if err != nil {
			t.Fatal(err)
		}
		if want := headDim == 512; strings.HasPrefix(backend.Name(), "cpu") != want || strings.Contains(why, "heads of 512 features") != want {
			t.Errorf("heads of %d: got %v, because %q", headDim, backend.Name(), why)
		}
		if err := backend.Close(); err != nil {
			t.Error(err)
		}
	}
	if fake.Live() != 0 {
		t.Errorf("%d objects are left on the device", fake.Live())
	}
}

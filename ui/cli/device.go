package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"peregrine/cuda"
	"peregrine/cuda/driver"
	"peregrine/model"
	"peregrine/model/cpu"
	"peregrine/model/oracle"
)

// chatBackends lists the backends that a chat may use.
func chatBackends() []string {
	list := []string{"auto", "cuda", "cpu"}
	if hasEmulator { // make build-emulator
		list = append(list, "emulator")
	}
	return list
}

// backends lists what --backend takes.
func backends() []string { return append(chatBackends(), "oracle") }

// backendHelp says what the backends are.
func backendHelp() string {
	others := "cuda, cpu"
	if hasEmulator {
		others += ", emulator (the GPU's kernels on the CPU, very slow: for checking)"
	}
	return "auto (a GPU where there is one), " + others + ", or oracle (float64, slow: for checking)"
}

// device opens the backend that the settings ask for to run a model, and says in a few words why it is this one.
func (s *settings) device(p *model.Params) (model.Backend, string, error) {
	const asked = "asked for"
	switch s.file.Backend {
	case "oracle":
		return oracle.Backend(), asked, nil
	case "emulator":
		return emulated(), asked, nil
	case "cpu":
		b, err := s.cpu()
		return b, asked, err
	}
	gpu, err := cuda.Open(cuda.Options{Device: s.file.Device})
	if err == nil && s.file.Backend != "cuda" {
		if _, cannot := gpu.Need(p, model.LoadOptions{Context: 1, Precision: s.precision()}); cannot != nil { // Load says what has no room
			err = errors.Join(cannot, gpu.Close())
		}
	}
	switch {
	case err == nil && s.file.Backend == "cuda":
		return gpu, asked, nil
	case err == nil:
		return gpu, "the first choice", nil
	case s.file.Backend == "cuda":
		return nil, "", &gpuError{err}
	}
	s.log.Info("the GPU is not used", "error", err)
	b, cpuErr := s.cpu()
	return b, reason(err), cpuErr
}

func (s *settings) cpu() (model.Backend, error) {
	return cpu.Open(cpu.Options{Threads: s.file.Threads, ISA: s.file.ISA})
}

// reason cuts an error of the GPU to what the status line has room for: the prefix and the remedy go.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), driver.ErrUnavailable.Error()+": ")
	text, _, _ = strings.Cut(text, ";")
	return strings.TrimSpace(strings.TrimPrefix(text, "cuda: "))
}

// gpuError marks an error of a GPU: another backend would do without it.
type gpuError struct{ err error }

func (e *gpuError) Error() string { return e.err.Error() }

func (e *gpuError) Unwrap() error { return e.err }

// errorOf marks err if b is a GPU.
func errorOf(b model.Backend, err error) error {
	if _, ok := b.(*cuda.Backend); ok && err != nil {
		return &gpuError{err}
	}
	return err
}

// onDevice reports whether a backend has memory of its own, so that the host's need not hold the model.
func onDevice(b model.Backend) bool {
	gpu, ok := b.(*cuda.Backend)
	return ok && !gpu.Info().Emulated
}

// devices describes the GPUs, one line each, for inspect, and says whether the model p fits.
func (s *settings) devices(p *model.Params, context int) []string {
	list, err := driver.List()
	if err != nil {
		return []string{"none: " + reason(err)}
	}
	var lines []string
	for _, info := range list {
		line := fmt.Sprintf("%d: %s, compute capability %d.%d, %s", info.Index, info.Name, info.Major, info.Minor, size(info.Memory))
		if err := info.Usable(); err != nil {
			lines = append(lines, line+"; not usable: "+reason(err))
			continue
		}
		lines = append(lines, line+"; "+s.fitsOn(info.Index, p, context))
	}
	return lines
}

// completeDevices offers the GPUs of this machine, by number and name; none where there is no driver.
func completeDevices() []cobra.Completion {
	list, err := driver.List()
	if err != nil {
		return nil
	}
	var values []cobra.Completion
	for _, info := range list {
		values = append(values, cobra.CompletionWithDesc(strconv.Itoa(info.Index), info.Name))
	}
	return values
}

// fitsOn compares a model's need with what is free on a GPU now.
func (s *settings) fitsOn(index int, p *model.Params, context int) string {
	b, err := cuda.Open(cuda.Options{Device: index})
	if err != nil {
		return err.Error()
	}
	need, needErr := b.Need(p, model.LoadOptions{Context: context, Precision: s.precision()})
	free, freeErr := b.Free()
	if err := errors.Join(needErr, freeErr, b.Close()); err != nil {
		return err.Error()
	}
	verdict := "fits"
	if need.Total() > free {
		verdict = "does not fit"
	}
	return fmt.Sprintf("%s: loading needs %s, %s are free", verdict, size(need.Total()), size(free))
}

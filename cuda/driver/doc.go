// Package driver talks to the GPU: memory, streams, kernels, graphs, behind the small interfaces of device.go, which the
// emulator fulfils too. It is the only room that imports gorgonia.org/cu.
//
// # The choice
//
// cu binds the CUDA driver API: device, context, memory, streams, events, modules, functions. What it lacks, this package
// calls through cgo of its own: stream capture and graphs, page-locked memory, function attributes, and a launch that takes
// one packed struct (cu's own launch reads eight bytes at every argument and copies them one by one).
//
// cu links libcuda, which belongs to the driver, is absent on most machines, and cannot be shipped. So the Makefile
// links a stand-in for it (stub/), which exports the same functions and opens the real library when one of them is first
// called. One program runs everywhere; where there is no driver, List and Open say so. The stand-in brings a cuda.h of its
// own, so no toolkit is needed either. Three things follow:
//
//   - cu exists only behind the build tag cuda, which the Makefile sets together with CGO_CFLAGS and CGO_LDFLAGS. A plain
//     go build works too and gives a program without CUDA.
//   - cu calls cuInit when the program starts and ends the process if that fails. The stand-in's cuInit does nothing, so
//     that neither happens and `peregrine --help` does not wait 0.3 s for the driver.
//   - a changed archive is invisible to Go's build cache. The Makefile puts it into a folder named after a hash of its
//     sources, which is part of CGO_LDFLAGS.
//
// # Contexts, threads, errors
//
// cu's own way to reach a context from any goroutine, Ctx, hands every call to another thread (46 µs a launch), panics on
// errors and destroys a forgotten context in a finalizer. It is not used. A device here owns one context, made by Device.MakeContext
// and destroyed by Close alone, and every call makes it current on its OS thread first. Launch and Replay do both in one
// crossing into C; BenchmarkLaunch has what that costs.
//
// How a wait waits is left to the driver, which spins where there are more cores than contexts: a thread that sleeps would
// add its wake-up to every token.
//
// Errors name the call, its values and CUDA's name of the error. Those after which the context is dead (a kernel's fault, a
// card that fell off the bus) are ErrLost, and from then on every call returns the first of them without asking the driver;
// only Close still gives back what it can.
package driver

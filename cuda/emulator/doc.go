// Package emulator is a GPU made of the host: it fulfils driver.Device with the kernel sources of cuda/kernels, compiled for
// the CPU, so that everything but speed is tested where there is no card.
//
// # How a kernel runs
//
// A kernel source uses the names of kernels/device.cuh alone. emulated.hpp gives them on the host: every .cu is a module here,
// one .cc file each, which includes it. A thread of a block is a fiber with a stack of its own (fiber.cc); a block's threads
// take turns, in a fixed order, and give way only at collectives and barriers (runner.cc), so that what they compute does not
// depend on luck. Blocks may run on several threads of the host (launch.cc). Tensor cores are loops over the fragments that
// the PTX ISA describes (tensor.cc). A cp.async arrives when it is waited for and not earlier.
//
// # What is checked
//
// Each of these ends the launch; Synchronize returns it in one line with kernel, block and thread, and from then on the device is lost,
// as a real context is:
//
//   - access to global memory outside an allocation, after its release, or at null; to shared memory outside its array
//   - an access that is not aligned to its type (16 bytes for load16 and its kin). SHARED arrays get no more alignment
//     than their type asks for.
//   - divergence: threads of a block at different barriers, lanes of a warp at different collectives or call sites,
//     some waiting for others that have ended
//   - SHARED arrays that are too large, alone or with the dynamic memory
//   - with Options.Races: two threads that touch the same byte of shared memory, one of them writing, without a barrier between.
//     A write that changes nothing counts as a read.
//
// A launch whose grid, block, shared memory or arguments do not fit the kernel fails at once and harms nothing. Fresh device
// and shared memory holds bytes 0xff, which are NaNs. What a kernel leaves to luck beyond that, such as races in global memory,
// is for compute-sanitizer on a card. A kernel that spins until another thread writes something never gives way, and hangs; one
// that needs more stack than a fiber has (128 KiB) ends the process with SIGSEGV.
//
// # Streams
//
// A stream is a goroutine. Copies from and to the host take place when the stream gets there; host memory must come from
// AllocHost. With Options.Lazy a stream does nothing until someone waits for it, so that a synchronisation that is missing shows
// every time. Memory that is released while queued work names it makes that work fail; a card would wait. Close reports
// what was never released.
package emulator

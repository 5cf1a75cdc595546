// Package cuda decodes on an NVIDIA GPU: a model.Backend whose weights, KV cache and activations live in device memory.
//
// The one idea: a token is one graph launch. Everything that changes between two tokens (ids, position, rotary angles) is
// copied into device memory by the graph itself, kernels read it there, so the same graph serves every token, and what comes
// back is a few hundred bytes: the best candidates and their normaliser. Prompts run the same plan with other kernels.
//
//	backend.go    opening a device, names, what a model needs
//	errors.go     one line for what went wrong
//	pack.go       how a matrix is repacked: formats, groups, order of features and rows
//	resident.go   Params → matrices and vectors with their places in one allocation
//	arena.go      that allocation, measured before it is made
//	load.go       files → page-locked staging buffers → device, repacked there, all overlapped
//	staging.go    the readers that fill and send those buffers
//	repack.go     the launches that repack
//	form.go       how activations are stored, and for which kernels
//	plan.go       a pass as a list of launches: 4 kernels a parallel block, 7 a sequential one
//	segments.go   its matrix products
//	expand.go     formats of which prompts multiply f16 made of the weights
//	executor.go   Forward: upload, graph or launches, results
//	args.go       the kernels' arguments (args.h) as Go types
//	modules.go    the kernels to compile while loading
//	phases.go     what each launch of a pass takes
//	bandwidth.go  what memory gives a kernel that only reads
//
// Package driver holds the device interface and the real driver, package kernels the sources and their PTX, package
// emulator the device that runs the same sources on the CPU. What the kernels compute is in kernels/README.md.
//
// Precise mode keeps activations and the KV cache in float32 and multiplies with plain FMA; fast mode keeps both in float16
// and multiplies on tensor cores with float32 sums. Both are the same from run to run, bit for bit: no atomic additions of
// floats, fixed orders everywhere.
package cuda

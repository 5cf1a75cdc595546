// The calls that gorgonia.org/cu lacks. Those that need a context make it current first, so that a Go caller crosses into C
// once and cannot change threads in between.
#ifndef PEREGRINE_CUDA_NATIVE_H
#define PEREGRINE_CUDA_NATIVE_H

#include "stub/stand_in.h"

// native_launch runs a kernel whose one parameter is the struct of size bytes at args; early: the kernel may begin before those
// ahead of it in the stream have finished (programmatic dependent launch).
CUresult native_launch(CUcontext context, CUfunction f, const unsigned grid[3], const unsigned block[3], unsigned shared, int early,
                       CUstream stream, void *args, size_t size);

CUresult native_replay(CUcontext context, CUgraphExec graph, CUstream stream);

// native_instantiate turns a captured graph into one that can be replayed, counts its kernels and uploads it in stream.
// The captured graph is destroyed in any case.
CUresult native_instantiate(CUgraph captured, CUstream stream, CUgraphExec *graph, size_t *kernels);

// native_name returns CUDA's name of an error and what it means; NULL where the driver does not know or there is none.
void native_name(CUresult code, const char **name, const char **meaning);

#endif

//go:build cuda

#include "native.h"

#include <stdlib.h>

CUresult native_launch(CUcontext context, CUfunction f, const unsigned grid[3], const unsigned block[3], unsigned shared, int early,
                       CUstream stream, void *args, size_t size) {
  void *packed[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, args, CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  CUresult r = cuCtxSetCurrent(context);
  if (r) return r;
  if (early) {
    CUlaunchAttribute overlap = {.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION};
    overlap.value.programmaticStreamSerializationAllowed = 1;
    CUlaunchConfig config = {grid[0], grid[1], grid[2], block[0], block[1], block[2], shared, stream, &overlap, 1};
    return cuLaunchKernelEx(&config, f, NULL, packed);
  }
  return cuLaunchKernel(f, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared, stream, NULL, packed);
}

CUresult native_replay(CUcontext context, CUgraphExec graph, CUstream stream) {
  CUresult r = cuCtxSetCurrent(context);
  return r ? r : cuGraphLaunch(graph, stream);
}

static CUresult count_kernels(CUgraph graph, size_t *kernels) {
  size_t count = 0;
  *kernels = 0;
  CUresult r = cuGraphGetNodes(graph, NULL, &count);
  if (r || !count) return r;
  CUgraphNode *nodes = malloc(count * sizeof *nodes);
  if (!nodes) return CUDA_ERROR_OUT_OF_MEMORY;
  r = cuGraphGetNodes(graph, nodes, &count);
  for (size_t i = 0; i < count && !r; i++) {
    CUgraphNodeType type;
    r = cuGraphNodeGetType(nodes[i], &type);
    if (!r && type == CU_GRAPH_NODE_TYPE_KERNEL) ++*kernels;
  }
  free(nodes);
  return r;
}

CUresult native_instantiate(CUgraph captured, CUstream stream, CUgraphExec *graph, size_t *kernels) {
  *graph = NULL;
  CUresult r = count_kernels(captured, kernels);
  if (!r) r = cuGraphInstantiate(graph, captured, 0);
  if (!r) r = cuGraphUpload(*graph, stream);
  if (r && *graph) {
    cuGraphExecDestroy(*graph);
    *graph = NULL;
  }
  CUresult destroyed = cuGraphDestroy(captured);
  return r ? r : destroyed;
}

void native_name(CUresult code, const char **name, const char **meaning) {
  if (cuGetErrorName(code, name)) *name = NULL;
  if (cuGetErrorString(code, meaning)) *meaning = NULL;
}

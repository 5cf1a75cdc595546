//go:build cuda

// The driver that is played: memory is the host's, streams do what they are given at once, kernels are written down but not
// run. What it checks is what the tests are about: that the context is current on the calling thread, that handles are alive,
// that a launch has its arguments.
#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { CONTEXT, MEMORY, HOST, STREAM, EVENT, MODULE, FUNCTION, GRAPH, EXEC } kind;

// A step of a captured graph.
typedef struct {
  CUgraphNodeType type;
  fake_launch launch;
  void *to;
  const void *from; // NULL: set to value
  int value;
  size_t bytes;
} step;

// Everything that a handle can mean. Objects of one context end with it.
typedef struct object {
  kind kind;
  struct object *next, *context;
  void *memory;
  size_t bytes;
  char name[64];
  int device, capturing;
  struct object *captured;
  step *steps;
  size_t count;
} object;

static struct {
  pthread_mutex_t lock;
  int version, devices, launches;
  fake_device device[FAKE_DEVICES];
  object *objects;
  fake_launch last;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local object *current;

static object *alive(const void *handle, kind k) {
  object *o = state.objects;
  while (o && (o != handle || o->kind != k)) o = o->next;
  return o;
}

static void discard(object *o) {
  object **at = &state.objects;
  while (*at != o) at = &(*at)->next;
  *at = o->next;
  free(o->memory);
  free(o->steps);
  free(o);
}

static object *make(kind k, object *context) {
  object *o = calloc(1, sizeof *o);
  if (!o) abort();
  o->kind = k;
  o->context = context;
  o->next = state.objects;
  return state.objects = o;
}

static size_t used(int device) {
  size_t sum = 0;
  for (object *o = state.objects; o; o = o->next)
    if (o->kind == MEMORY && o->context->device == device) sum += o->bytes;
  return sum;
}

// PLAY defines a function of the driver; its body runs under the lock and sets r.
#define PLAY(name, params, ...)                                                                                           \
  static CUresult play_##name params {                                                                                    \
    CUresult r = CUDA_SUCCESS;                                                                                            \
    pthread_mutex_lock(&state.lock);                                                                                      \
    __VA_ARGS__ pthread_mutex_unlock(&state.lock);                                                                        \
    return r;                                                                                                             \
  }
// IN is PLAY for functions that need a current context.
#define IN(name, params, ...)                                                                                             \
  PLAY(name, params, { if (!alive(current, CONTEXT)) r = CUDA_ERROR_INVALID_CONTEXT; else __VA_ARGS__ })

PLAY(Init, (unsigned flags), { (void)flags; })
PLAY(DriverGetVersion, (int *v), { *v = state.version; })
PLAY(DeviceGetCount, (int *n), { *n = state.devices; })
PLAY(DeviceGet, (CUdevice * d, int i), { if (i < 0 || i >= state.devices) r = CUDA_ERROR_INVALID_DEVICE; else *d = i; })
PLAY(DeviceGetName, (char *to, int n, CUdevice d), { snprintf(to, (size_t)n, "%s", state.device[d].name); })
PLAY(DeviceTotalMem, (size_t * to, CUdevice d), { *to = state.device[d].memory; })
PLAY(DeviceGetAttribute, (int *to, CUdevice_attribute a, CUdevice d), {
  const fake_device *device = &state.device[d];
  switch ((int)a) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *to = device->major; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *to = device->minor; break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *to = device->multiprocessors; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *to = device->block_shared; break;
  default: r = CUDA_ERROR_INVALID_VALUE;
  }
})

PLAY(CtxCreate, (CUcontext * to, unsigned flags, CUdevice d), {
  (void)flags;
  current = make(CONTEXT, NULL);
  current->device = d;
  *to = (CUcontext)current;
})
PLAY(CtxPopCurrent, (CUcontext * to), { *to = (CUcontext)current; current = NULL; })
PLAY(CtxSetCurrent, (CUcontext c), { if (!alive(c, CONTEXT)) r = CUDA_ERROR_CONTEXT_IS_DESTROYED; else current = (object *)c; })
PLAY(CtxDestroy, (CUcontext c), {
  object *context = alive(c, CONTEXT);
  if (!context) r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  for (object *o = state.objects, *next; context && o; o = next) {
    next = o->next;
    if (o->context == context) discard(o);
  }
  if (context) discard(context);
})

IN(MemGetInfo, (size_t * unused, size_t *total), {
  *total = state.device[current->device].memory;
  *unused = *total - used(current->device);
})
IN(MemAlloc, (CUdeviceptr * to, size_t bytes), {
  object *o = NULL;
  if (bytes > state.device[current->device].memory - used(current->device)) r = CUDA_ERROR_OUT_OF_MEMORY;
  else {
    o = make(MEMORY, current);
    o->bytes = bytes;
    o->memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    *to = (CUdeviceptr)(uintptr_t)o->memory;
  }
})
static object *with_memory(kind k, const void *p) {
  object *o = state.objects;
  while (o && (o->kind != k || o->memory != p)) o = o->next;
  return o;
}
IN(MemFree, (CUdeviceptr p), {
  object *o = with_memory(MEMORY, (void *)(uintptr_t)p);
  if (o) discard(o);
  else r = CUDA_ERROR_INVALID_VALUE;
})
IN(MemHostAlloc, (void **to, size_t bytes, unsigned flags), {
  (void)flags;
  object *o = make(HOST, current);
  *to = o->memory = malloc(bytes);
})
IN(MemFreeHost, (void *p), {
  object *o = with_memory(HOST, p);
  if (o) discard(o);
  else r = CUDA_ERROR_INVALID_VALUE;
})

// perform does a step, or appends it to the graph that the stream captures.
static CUresult perform(CUstream stream, const step *s) {
  object *o = alive(stream, STREAM);
  if (!o) return CUDA_ERROR_INVALID_HANDLE;
  if (o->capturing) {
    object *g = o->captured;
    g->steps = realloc(g->steps, (g->count + 1) * sizeof *s);
    g->steps[g->count++] = *s;
  } else if (s->type == CU_GRAPH_NODE_TYPE_KERNEL) {
    state.last = s->launch;
    state.launches++;
  } else if (s->from) memmove(s->to, s->from, s->bytes);
  else memset(s->to, s->value, s->bytes);
  return CUDA_SUCCESS;
}

#define ADDRESS(p) ((void *)(uintptr_t)(p))
IN(MemcpyHtoDAsync, (CUdeviceptr to, const void *from, size_t n, CUstream s),
   { r = perform(s, &(step){.type = CU_GRAPH_NODE_TYPE_MEMCPY, .to = ADDRESS(to), .from = from, .bytes = n}); })
IN(MemcpyDtoHAsync, (void *to, CUdeviceptr from, size_t n, CUstream s),
   { r = perform(s, &(step){.type = CU_GRAPH_NODE_TYPE_MEMCPY, .to = to, .from = ADDRESS(from), .bytes = n}); })
IN(MemcpyDtoDAsync, (CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s),
   { r = perform(s, &(step){.type = CU_GRAPH_NODE_TYPE_MEMCPY, .to = ADDRESS(to), .from = ADDRESS(from), .bytes = n}); })
IN(MemsetD8Async, (CUdeviceptr to, unsigned char value, size_t n, CUstream s),
   { r = perform(s, &(step){.type = CU_GRAPH_NODE_TYPE_MEMSET, .to = ADDRESS(to), .value = value, .bytes = n}); })

IN(ModuleLoadDataEx, (CUmodule * to, const void *ptx, unsigned n, CUjit_option *options, void **values), {
  if (!strstr(ptx, ".version")) {
    for (unsigned i = 0; i < n; i++)
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER) strcpy(values[i], "ptxas: no\n  version");
    r = CUDA_ERROR_INVALID_PTX;
  } else *to = (CUmodule)make(MODULE, current);
})
IN(ModuleGetFunction, (CUfunction * to, CUmodule m, const char *name), {
  if (!alive(m, MODULE)) r = CUDA_ERROR_INVALID_HANDLE;
  else if (!strncmp(name, "no_", 3)) r = CUDA_ERROR_NOT_FOUND;
  else {
    object *f = make(FUNCTION, current);
    snprintf(f->name, sizeof f->name, "%s", name);
    *to = (CUfunction)f;
  }
})
IN(FuncSetAttribute, (CUfunction f, CUfunction_attribute a, int value), {
  if (!alive(f, FUNCTION) || value > state.device[current->device].block_shared) r = CUDA_ERROR_INVALID_VALUE;
  (void)a;
})
IN(LaunchKernel,
   (CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream s,
    void **params, void **extra),
   {
     object *o = alive(f, FUNCTION);
     size_t size = extra && extra[2] == CU_LAUNCH_PARAM_BUFFER_SIZE ? *(size_t *)extra[3] : 0;
     if (!o || params || !size || size > FAKE_ARGS || extra[0] != CU_LAUNCH_PARAM_BUFFER_POINTER ||
         extra[4] != CU_LAUNCH_PARAM_END || !gx || !gy || !gz || !bx || !by || !bz)
       r = CUDA_ERROR_INVALID_VALUE;
     else {
       step launch = {.type = CU_GRAPH_NODE_TYPE_KERNEL, .launch = {.grid = {gx, gy, gz}, .block = {bx, by, bz}}};
       launch.launch.shared = shared;
       launch.launch.size = size;
       snprintf(launch.launch.name, sizeof launch.launch.name, "%s", o->name);
       memcpy(launch.launch.args, extra[1], size);
       r = perform(s, &launch);
     }
   })

IN(StreamCreate, (CUstream * to, unsigned flags), { (void)flags; *to = (CUstream)make(STREAM, current); })
IN(StreamDestroy, (CUstream s), { if (alive(s, STREAM)) discard((object *)s); else r = CUDA_ERROR_INVALID_HANDLE; })
IN(StreamSynchronize, (CUstream s), { if (!alive(s, STREAM)) r = CUDA_ERROR_INVALID_HANDLE; })
IN(StreamWaitEvent, (CUstream s, CUevent e, unsigned flags),
   { if (!alive(s, STREAM) || !alive(e, EVENT) || flags) r = CUDA_ERROR_INVALID_HANDLE; })
IN(StreamBeginCapture, (CUstream s, CUstreamCaptureMode mode), {
  object *o = alive(s, STREAM);
  if (!o || o->capturing || mode != CU_STREAM_CAPTURE_MODE_RELAXED) r = CUDA_ERROR_ILLEGAL_STATE;
  else o->capturing = 1, o->captured = make(GRAPH, current);
})
IN(StreamEndCapture, (CUstream s, CUgraph *to), {
  object *o = alive(s, STREAM);
  if (!o || !o->capturing) r = CUDA_ERROR_ILLEGAL_STATE;
  else *to = (CUgraph)o->captured, o->capturing = 0;
})
IN(EventCreate, (CUevent * to, unsigned flags), { (void)flags; *to = (CUevent)make(EVENT, current); })
IN(EventDestroy, (CUevent e), { if (alive(e, EVENT)) discard((object *)e); else r = CUDA_ERROR_INVALID_HANDLE; })
IN(EventRecord, (CUevent e, CUstream s), { if (!alive(e, EVENT) || !alive(s, STREAM)) r = CUDA_ERROR_INVALID_HANDLE; })
IN(EventSynchronize, (CUevent e), { if (!alive(e, EVENT)) r = CUDA_ERROR_INVALID_HANDLE; })
IN(EventElapsedTime, (float *ms, CUevent a, CUevent b),
   { if (!alive(a, EVENT) || !alive(b, EVENT)) r = CUDA_ERROR_INVALID_HANDLE; else *ms = 1.5f; })

IN(GraphGetNodes, (CUgraph g, CUgraphNode *nodes, size_t *count), {
  object *o = alive(g, GRAPH);
  if (!o) r = CUDA_ERROR_INVALID_HANDLE;
  for (size_t i = 0; o && nodes && i < *count && i < o->count; i++) nodes[i] = (CUgraphNode)&o->steps[i];
  if (o) *count = o->count;
})
IN(GraphNodeGetType, (CUgraphNode n, CUgraphNodeType *type), { *type = ((step *)n)->type; })
IN(GraphInstantiate, (CUgraphExec * to, CUgraph g, unsigned long long flags), {
  (void)flags;
  object *from = alive(g, GRAPH), *o = make(EXEC, current);
  o->count = from->count;
  o->steps = malloc(o->count * sizeof *o->steps + 1);
  memcpy(o->steps, from->steps, o->count * sizeof *o->steps);
  *to = (CUgraphExec)o;
})
IN(GraphUpload, (CUgraphExec g, CUstream s), { if (!alive(g, EXEC) || !alive(s, STREAM)) r = CUDA_ERROR_INVALID_HANDLE; })
IN(GraphLaunch, (CUgraphExec g, CUstream s), {
  object *o = alive(g, EXEC);
  if (!o) r = CUDA_ERROR_INVALID_HANDLE;
  for (size_t i = 0; o && i < o->count && !r; i++) r = perform(s, &o->steps[i]);
})
IN(GraphDestroy, (CUgraph g), { if (alive(g, GRAPH)) discard((object *)g); else r = CUDA_ERROR_INVALID_HANDLE; })
IN(GraphExecDestroy, (CUgraphExec g), { if (alive(g, EXEC)) discard((object *)g); else r = CUDA_ERROR_INVALID_HANDLE; })

PLAY(GetErrorName, (CUresult code, const char **name), {
  switch ((int)code) {
  case CUDA_ERROR_INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
  case CUDA_ERROR_OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
  case CUDA_ERROR_ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
  default: r = CUDA_ERROR_INVALID_VALUE;
  }
})
PLAY(GetErrorString, (CUresult code, const char **text), {
  if (code == CUDA_ERROR_ILLEGAL_ADDRESS) *text = "an illegal memory access was encountered";
  else r = CUDA_ERROR_INVALID_VALUE;
})

#define ROW(name, played) {"cu" #name, (void *)play_##played}
static const struct {
  const char *name;
  void *function;
} table[] = {
    ROW(Init, Init), ROW(DriverGetVersion, DriverGetVersion), ROW(DeviceGetCount, DeviceGetCount),
    ROW(DeviceGet, DeviceGet), ROW(DeviceGetName, DeviceGetName), ROW(DeviceTotalMem_v2, DeviceTotalMem),
    ROW(DeviceGetAttribute, DeviceGetAttribute), ROW(CtxCreate_v2, CtxCreate), ROW(CtxPopCurrent_v2, CtxPopCurrent),
    ROW(CtxSetCurrent, CtxSetCurrent), ROW(CtxDestroy_v2, CtxDestroy), ROW(MemGetInfo_v2, MemGetInfo),
    ROW(MemAlloc_v2, MemAlloc), ROW(MemFree_v2, MemFree), ROW(MemHostAlloc, MemHostAlloc), ROW(MemFreeHost, MemFreeHost),
    ROW(MemcpyHtoDAsync_v2, MemcpyHtoDAsync), ROW(MemcpyDtoHAsync_v2, MemcpyDtoHAsync),
    ROW(MemcpyDtoDAsync_v2, MemcpyDtoDAsync), ROW(MemsetD8Async, MemsetD8Async), ROW(ModuleLoadDataEx, ModuleLoadDataEx),
    ROW(ModuleGetFunction, ModuleGetFunction), ROW(FuncSetAttribute, FuncSetAttribute), ROW(LaunchKernel, LaunchKernel),
    ROW(StreamCreate, StreamCreate), ROW(StreamDestroy_v2, StreamDestroy), ROW(StreamSynchronize, StreamSynchronize),
    ROW(StreamWaitEvent, StreamWaitEvent), ROW(StreamBeginCapture_v2, StreamBeginCapture),
    ROW(StreamEndCapture, StreamEndCapture), ROW(EventCreate, EventCreate), ROW(EventDestroy_v2, EventDestroy),
    ROW(EventRecord, EventRecord), ROW(EventSynchronize, EventSynchronize), ROW(EventElapsedTime, EventElapsedTime),
    ROW(GraphGetNodes, GraphGetNodes), ROW(GraphNodeGetType, GraphNodeGetType),
    ROW(GraphInstantiateWithFlags, GraphInstantiate), ROW(GraphUpload, GraphUpload), ROW(GraphLaunch, GraphLaunch),
    ROW(GraphDestroy, GraphDestroy), ROW(GraphExecDestroy, GraphExecDestroy), ROW(GetErrorName, GetErrorName),
    ROW(GetErrorString, GetErrorString),
};

void *fake_function(const char *name) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!strcmp(table[i].name, name)) return table[i].function;
  return NULL;
}

void fake_reset(int version, const fake_device *devices, int count) {
  pthread_mutex_lock(&state.lock);
  while (state.objects) discard(state.objects);
  state.version = version;
  state.devices = count;
  state.launches = 0;
  memset(&state.last, 0, sizeof state.last);
  if (count > 0) memcpy(state.device, devices, (size_t)count * sizeof *devices);
  pthread_mutex_unlock(&state.lock);
}

int fake_live(void) {
  int count = 0;
  pthread_mutex_lock(&state.lock);
  for (object *o = state.objects; o; o = o->next) count++;
  pthread_mutex_unlock(&state.lock);
  return count;
}

int fake_launched(fake_launch *last) {
  pthread_mutex_lock(&state.lock);
  *last = state.last;
  int launches = state.launches;
  pthread_mutex_unlock(&state.lock);
  return launches;
}

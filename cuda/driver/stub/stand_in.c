// A stand-in for libcuda: it exports the functions of functions.h and forwards them to the driver of the machine, which it
// opens when it is first needed. So a program linked to it starts where there is no driver, and costs nothing
// (0.1–0.3 s in the real cuInit) where the driver is not used.
#include "stand_in.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct {
  pthread_once_t once;
  void *library;
  CUresult status;
  char reason[256]; // empty: status says it all
} driver = {.once = PTHREAD_ONCE_INIT};

static _Atomic(stand_in_resolver) replacement;

// Where the driver's library lies: on the loader's path, in WSL, in NixOS.
static const char *const places[] = {
    "libcuda.so.1",
    "/usr/lib/wsl/lib/libcuda.so.1",
    "/run/opengl-driver/lib/libcuda.so.1",
};

static void open_driver(void) {
  for (size_t i = 0; i < sizeof places / sizeof *places && !driver.library; i++) {
    driver.library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    const char *error = driver.library ? NULL : dlerror();
    if (error && !strstr(error, "No such file") && !driver.reason[0]) // there, but it does not load
      snprintf(driver.reason, sizeof driver.reason, "the NVIDIA driver does not load: %s", error);
  }
  if (!driver.library) {
    driver.status = CUDA_ERROR_NO_DEVICE;
    if (!driver.reason[0]) snprintf(driver.reason, sizeof driver.reason, "no NVIDIA driver: %s not found", places[0]);
    return;
  }
  driver.reason[0] = 0;
  CUresult (*init)(unsigned) = (CUresult(*)(unsigned))dlsym(driver.library, "cuInit");
  driver.status = init ? init(0) : CUDA_ERROR_NOT_FOUND;
}

CUresult stand_in_resolve(const char *name, void **function) {
  pthread_once(&driver.once, open_driver);
  if (driver.status != CUDA_SUCCESS) return driver.status;
  *function = dlsym(driver.library, name);
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult stand_in_status(const char **reason) {
  *reason = NULL;
  stand_in_resolver resolve = atomic_load(&replacement);
  if (resolve) {
    void *init;
    CUresult r = resolve("cuInit", &init);
    return r ? r : ((CUresult(*)(unsigned))init)(0);
  }
  pthread_once(&driver.once, open_driver);
  if (driver.reason[0]) *reason = driver.reason;
  return driver.status;
}

void stand_in_replace(stand_in_resolver resolver) { atomic_store(&replacement, resolver); }

// find returns the function behind a name, remembering the real driver's in *slot.
static inline CUresult find(const char *name, _Atomic(void *) *slot, void **function) {
  stand_in_resolver resolve = atomic_load_explicit(&replacement, memory_order_acquire);
  if (resolve) return resolve(name, function);
  *function = atomic_load_explicit(slot, memory_order_acquire);
  if (*function) return CUDA_SUCCESS;
  CUresult r = stand_in_resolve(name, function);
  if (r == CUDA_SUCCESS) atomic_store_explicit(slot, *function, memory_order_release);
  return r;
}

// cu calls cuInit when the program starts, and ends the process on an error: the driver's own cuInit waits for open_driver.
CUresult cuInit(unsigned flags) {
  (void)flags;
  return CUDA_SUCCESS;
}

#define FORWARD(name, types, values)                                                                                      \
  {                                                                                                                       \
    static _Atomic(void *) slot;                                                                                          \
    void *function;                                                                                                       \
    CUresult r = find("cu" #name, &slot, &function);                                                                      \
    return r ? r : ((CUresult(*) types)function)values;                                                                   \
  }
#define CU0(n) CUresult cu##n(void) FORWARD(n, (void), ())
#define CU1(n, A) CUresult cu##n(A a) FORWARD(n, (A), (a))
#define CU2(n, A, B) CUresult cu##n(A a, B b) FORWARD(n, (A, B), (a, b))
#define CU3(n, A, B, C) CUresult cu##n(A a, B b, C c) FORWARD(n, (A, B, C), (a, b, c))
#define CU4(n, A, B, C, D) CUresult cu##n(A a, B b, C c, D d) FORWARD(n, (A, B, C, D), (a, b, c, d))
#define CU5(n, A, B, C, D, E) CUresult cu##n(A a, B b, C c, D d, E e) FORWARD(n, (A, B, C, D, E), (a, b, c, d, e))
#define CU6(n, A, B, C, D, E, F)                                                                                          \
  CUresult cu##n(A a, B b, C c, D d, E e, F f) FORWARD(n, (A, B, C, D, E, F), (a, b, c, d, e, f))
#define CU8(n, A, B, C, D, E, F, G, H)                                                                                    \
  CUresult cu##n(A a, B b, C c, D d, E e, F f, G g, H h)                                                                  \
      FORWARD(n, (A, B, C, D, E, F, G, H), (a, b, c, d, e, f, g, h))
#define CU11(n, A, B, C, D, E, F, G, H, I, J, K)                                                                          \
  CUresult cu##n(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k)                                                   \
      FORWARD(n, (A, B, C, D, E, F, G, H, I, J, K), (a, b, c, d, e, f, g, h, i, j, k))
#include "functions.h"

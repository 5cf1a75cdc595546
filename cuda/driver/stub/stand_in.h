// What the stand-in for libcuda has beside the driver's functions.
#ifndef PEREGRINE_STAND_IN_H
#define PEREGRINE_STAND_IN_H

#include "cuda.h"

// stand_in_status opens the driver if that has not been done yet. It returns CUDA_SUCCESS if the driver can be used, else an
// error and, if the driver itself is missing, a text in *reason (otherwise NULL), which stays valid.
CUresult stand_in_status(const char **reason);

// A resolver finds the driver's function of that name ("cuMemAlloc_v2"), or returns the error that the call shall end with.
typedef CUresult (*stand_in_resolver)(const char *name, void **function);

// stand_in_resolve is the resolver in use from the start: the real driver.
CUresult stand_in_resolve(const char *name, void **function);

// stand_in_replace makes every later call ask this resolver; NULL: the real driver again. It exists for tests, which play
// a driver or inject faults with it. No call may be under way.
void stand_in_replace(stand_in_resolver resolver);

#endif

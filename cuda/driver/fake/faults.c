//go:build cuda

#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { NAMES = 128 };

static struct {
  pthread_mutex_t lock;
  int played; // a driver is played; otherwise the real one answers
  struct {
    char function[64];
    CUresult code;
    int skip, times;
  } fault[FAKE_FAULTS];
  int faults;
  struct {
    char function[64];
    int calls;
  } count[NAMES];
  int names;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void count_call(const char *name) {
  int i = 0;
  while (i < state.names && strcmp(state.count[i].function, name)) i++;
  if (i == NAMES) return;
  if (i == state.names) snprintf(state.count[state.names++].function, sizeof state.count[i].function, "%s", name);
  state.count[i].calls++;
}

static CUresult due(const char *name) {
  for (int i = 0; i < state.faults; i++) {
    if (strcmp(state.fault[i].function, name)) continue;
    if (state.fault[i].skip-- > 0) continue;
    state.fault[i].skip = 0;
    if (state.fault[i].times-- > 0) return state.fault[i].code;
    state.fault[i].times = 0;
  }
  return CUDA_SUCCESS;
}

static CUresult resolve(const char *name, void **function) {
  pthread_mutex_lock(&state.lock);
  count_call(name);
  CUresult r = due(name);
  int played = state.played;
  pthread_mutex_unlock(&state.lock);
  if (r) return r;
  if (!played) return stand_in_resolve(name, function);
  *function = fake_function(name);
  return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

void fake_install(int version, const fake_device *devices, int count) {
  pthread_mutex_lock(&state.lock);
  state.played = count > 0 || version > 0;
  state.faults = state.names = 0;
  memset(state.count, 0, sizeof state.count);
  fake_reset(version, devices, count);
  pthread_mutex_unlock(&state.lock);
  stand_in_replace(resolve);
}

void fake_remove(void) { stand_in_replace(NULL); }

CUresult fake_fail(const char *function, CUresult code, int skip, int times) {
  CUresult r = CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&state.lock);
  if (state.faults < FAKE_FAULTS) {
    int i = state.faults++;
    snprintf(state.fault[i].function, sizeof state.fault[i].function, "%s", function);
    state.fault[i].code = code;
    state.fault[i].skip = skip;
    state.fault[i].times = times;
    r = CUDA_SUCCESS;
  }
  pthread_mutex_unlock(&state.lock);
  return r;
}

int fake_calls(const char *function) {
  int calls = 0;
  pthread_mutex_lock(&state.lock);
  for (int i = 0; i < state.names; i++)
    if (!strcmp(state.count[i].function, function)) calls = state.count[i].calls;
  pthread_mutex_unlock(&state.lock);
  return calls;
}

#ifndef PEREGRINE_TEST_ARGS_H
#define PEREGRINE_TEST_ARGS_H

#include <stdint.h>

typedef struct {
  uint64_t in, out;
  uint64_t n; // elements, or which case
  int64_t at; // index
} pg_test_args;

#endif

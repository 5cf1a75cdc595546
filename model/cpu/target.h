// How a file is compiled for more than the compiler's default: all between PG_TARGET_BEGIN and PG_TARGET_END may use the named
// instructions, and run only where isa.c has found them.
#ifndef PEREGRINE_TARGET_H
#define PEREGRINE_TARGET_H

#define PG_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define PG_TARGET_BEGIN(names) PG_PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define PG_TARGET_END _Pragma("clang attribute pop")
#else
#define PG_TARGET_BEGIN(names) _Pragma("GCC push_options") PG_PRAGMA(GCC target(names))
#define PG_TARGET_END _Pragma("GCC pop_options")
#endif

#define PG_INLINE static inline __attribute__((always_inline))

#endif

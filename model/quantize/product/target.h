// The kernels of a file between PG_TARGET_BEGIN and PG_TARGET_END may use instructions that not every machine has.
#define PG_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define PG_TARGET_BEGIN(names) PG_PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define PG_TARGET_END _Pragma("clang attribute pop")
#else
#define PG_TARGET_BEGIN(names) _Pragma("GCC push_options") PG_PRAGMA(GCC target(names))
#define PG_TARGET_END _Pragma("GCC pop_options")
#endif

// Functions that nvcc compiles for both sides, and every C++ compiler for its own.
#pragma once

#ifdef __CUDACC__
#define ENDOGS_HD __host__ __device__ __forceinline__
#else
#define ENDOGS_HD inline __attribute__((always_inline))
#endif

// Where the shared mathematics lives: each instruction set has its own copy, so that the linker never mixes them.
#ifdef ENDOGS_ISA
#define ENDOGS_MATH endogs::ENDOGS_ISA
#else
#define ENDOGS_MATH endogs
#endif

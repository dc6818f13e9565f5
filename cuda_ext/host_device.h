// Functions that nvcc compiles for both sides, and every C++ compiler for its own.
#pragma once

#ifdef __CUDACC__
#define ENDOGS_HD __host__ __device__ __forceinline__
#else
#define ENDOGS_HD inline __attribute__((always_inline))
#endif

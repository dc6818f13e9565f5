// What simd.h offers for vectors, for one float: the shared mathematics is written against these names. CUDA uses them,
// and so do the host programs that check CUDA's logic where there is no GPU.
#pragma once
#include <cmath>

#include "host_device.h"

namespace endogs {

ENDOGS_HD float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
ENDOGS_HD float fnma(float a, float b, float c) { return ::fmaf(-a, b, c); }
ENDOGS_HD float min(float a, float b) { return a < b ? a : b; }  // b when a is not a number, as in simd.h
ENDOGS_HD float max(float a, float b) { return a > b ? a : b; }
ENDOGS_HD float abs(float a) { return ::fabsf(a); }
ENDOGS_HD float sqrt(float a) { return ::sqrtf(a); }
ENDOGS_HD float floor(float a) { return ::floorf(a); }
ENDOGS_HD float exp(float a) { return ::expf(a); }
ENDOGS_HD float log2(float a) { return ::log2f(a); }
ENDOGS_HD float select(bool m, float a, float b) { return m ? a : b; }
ENDOGS_HD float keep(bool m, float a) { return m ? a : 0.0f; }

// The two of the inner loop, as single instructions: 2 ulp for exp2, 1 ulp for the reciprocal.
ENDOGS_HD float exp2(float a) {
#ifdef __CUDA_ARCH__
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
#else
    return ::exp2f(a);
#endif
}

ENDOGS_HD float reciprocal(float a) {
#ifdef __CUDA_ARCH__
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
    return r;
#else
    return 1.0f / a;
#endif
}

}  // namespace endogs

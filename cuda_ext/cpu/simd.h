// One vector type, three widths: AVX-512 (16 lanes), AVX2 (8), and portable 4-lane vectors that GCC and Clang lower to
// SSE2, NEON or whatever the machine has. Everything lives in a namespace named after the instruction set, so that no
// function compiled for a wide machine is ever linked into the path of a narrow one.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define ENDOGS_INLINE inline __attribute__((always_inline))

namespace endogs::ENDOGS_ISA {

#if defined(__AVX512F__)

constexpr int kLanes = 16;
struct Mask {
    __mmask16 m;
};
struct vf {
    __m512 v;
    vf() = default;
    ENDOGS_INLINE vf(__m512 x) : v(x) {}
    ENDOGS_INLINE vf(float x) : v(_mm512_set1_ps(x)) {}
};
ENDOGS_INLINE vf load(const float* p) { return _mm512_load_ps(p); }
ENDOGS_INLINE vf loadu(const float* p) { return _mm512_loadu_ps(p); }
ENDOGS_INLINE void store(float* p, vf a) { _mm512_store_ps(p, a.v); }
ENDOGS_INLINE void storeu(float* p, vf a) { _mm512_storeu_ps(p, a.v); }
ENDOGS_INLINE vf operator+(vf a, vf b) { return _mm512_add_ps(a.v, b.v); }
ENDOGS_INLINE vf operator-(vf a, vf b) { return _mm512_sub_ps(a.v, b.v); }
ENDOGS_INLINE vf operator*(vf a, vf b) { return _mm512_mul_ps(a.v, b.v); }
ENDOGS_INLINE vf operator/(vf a, vf b) { return _mm512_div_ps(a.v, b.v); }
ENDOGS_INLINE vf operator-(vf a) { return _mm512_xor_ps(a.v, _mm512_set1_ps(-0.0f)); }
ENDOGS_INLINE vf fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
ENDOGS_INLINE vf fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
ENDOGS_INLINE vf min(vf a, vf b) { return _mm512_min_ps(a.v, b.v); }
ENDOGS_INLINE vf max(vf a, vf b) { return _mm512_max_ps(a.v, b.v); }
ENDOGS_INLINE vf abs(vf a) { return _mm512_abs_ps(a.v); }
ENDOGS_INLINE vf sqrt(vf a) { return _mm512_sqrt_ps(a.v); }
ENDOGS_INLINE vf floor(vf a) { return _mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
ENDOGS_INLINE Mask operator>=(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
ENDOGS_INLINE Mask operator>(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
ENDOGS_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.m & b.m)}; }
ENDOGS_INLINE vf select(Mask m, vf a, vf b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
ENDOGS_INLINE vf keep(Mask m, vf a) { return _mm512_maskz_mov_ps(m.m, a.v); }
ENDOGS_INLINE unsigned bits(Mask m) { return m.m; }
ENDOGS_INLINE vf reciprocal(vf a) {  // one Newton step on the 14-bit estimate: 2^-27
    const __m512 r = _mm512_rcp14_ps(a.v);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.0f)));
}
ENDOGS_INLINE float sum(vf a) { return _mm512_reduce_add_ps(a.v); }
ENDOGS_INLINE float max_lane(vf a) { return _mm512_reduce_max_ps(a.v); }

#elif defined(__AVX2__)

constexpr int kLanes = 8;
struct Mask {
    __m256 m;
};
struct vf {
    __m256 v;
    vf() = default;
    ENDOGS_INLINE vf(__m256 x) : v(x) {}
    ENDOGS_INLINE vf(float x) : v(_mm256_set1_ps(x)) {}
};
ENDOGS_INLINE vf load(const float* p) { return _mm256_load_ps(p); }
ENDOGS_INLINE vf loadu(const float* p) { return _mm256_loadu_ps(p); }
ENDOGS_INLINE void store(float* p, vf a) { _mm256_store_ps(p, a.v); }
ENDOGS_INLINE void storeu(float* p, vf a) { _mm256_storeu_ps(p, a.v); }
ENDOGS_INLINE vf operator+(vf a, vf b) { return _mm256_add_ps(a.v, b.v); }
ENDOGS_INLINE vf operator-(vf a, vf b) { return _mm256_sub_ps(a.v, b.v); }
ENDOGS_INLINE vf operator*(vf a, vf b) { return _mm256_mul_ps(a.v, b.v); }
ENDOGS_INLINE vf operator/(vf a, vf b) { return _mm256_div_ps(a.v, b.v); }
ENDOGS_INLINE vf operator-(vf a) { return _mm256_xor_ps(a.v, _mm256_set1_ps(-0.0f)); }
ENDOGS_INLINE vf fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
ENDOGS_INLINE vf fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a.v, b.v, c.v); }
ENDOGS_INLINE vf min(vf a, vf b) { return _mm256_min_ps(a.v, b.v); }
ENDOGS_INLINE vf max(vf a, vf b) { return _mm256_max_ps(a.v, b.v); }
ENDOGS_INLINE vf abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v); }
ENDOGS_INLINE vf sqrt(vf a) { return _mm256_sqrt_ps(a.v); }
ENDOGS_INLINE vf floor(vf a) { return _mm256_floor_ps(a.v); }
ENDOGS_INLINE Mask operator>=(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
ENDOGS_INLINE Mask operator>(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
ENDOGS_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
ENDOGS_INLINE vf select(Mask m, vf a, vf b) { return _mm256_blendv_ps(b.v, a.v, m.m); }
ENDOGS_INLINE vf keep(Mask m, vf a) { return _mm256_and_ps(m.m, a.v); }
ENDOGS_INLINE unsigned bits(Mask m) { return static_cast<unsigned>(_mm256_movemask_ps(m.m)); }
ENDOGS_INLINE vf reciprocal(vf a) {  // one Newton step on the 12-bit estimate: 2^-23
    const __m256 r = _mm256_rcp_ps(a.v);
    return _mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.0f)));
}
ENDOGS_INLINE float sum(vf a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
ENDOGS_INLINE float max_lane(vf a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

#else

constexpr int kLanes = 4;
typedef float float4 __attribute__((vector_size(16)));
typedef int int4 __attribute__((vector_size(16)));
struct Mask {
    int4 m;
};
struct vf {
    float4 v;
    vf() = default;
    ENDOGS_INLINE vf(float4 x) : v(x) {}
    ENDOGS_INLINE vf(float x) : v(float4{x, x, x, x}) {}
};
ENDOGS_INLINE vf loadu(const float* p) {
    float4 v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
ENDOGS_INLINE vf load(const float* p) { return loadu(p); }
ENDOGS_INLINE void storeu(float* p, vf a) { std::memcpy(p, &a.v, sizeof a.v); }
ENDOGS_INLINE void store(float* p, vf a) { storeu(p, a); }
ENDOGS_INLINE vf operator+(vf a, vf b) { return a.v + b.v; }
ENDOGS_INLINE vf operator-(vf a, vf b) { return a.v - b.v; }
ENDOGS_INLINE vf operator*(vf a, vf b) { return a.v * b.v; }
ENDOGS_INLINE vf operator/(vf a, vf b) { return a.v / b.v; }
ENDOGS_INLINE vf operator-(vf a) { return -a.v; }
ENDOGS_INLINE vf fma(vf a, vf b, vf c) { return a.v * b.v + c.v; }
ENDOGS_INLINE vf fnma(vf a, vf b, vf c) { return c.v - a.v * b.v; }
ENDOGS_INLINE vf min(vf a, vf b) { return a.v < b.v ? a.v : b.v; }
ENDOGS_INLINE vf max(vf a, vf b) { return a.v > b.v ? a.v : b.v; }
ENDOGS_INLINE vf abs(vf a) { return (float4)((int4)a.v & 0x7fffffff); }
ENDOGS_INLINE vf sqrt(vf a) {
    return float4{__builtin_sqrtf(a.v[0]), __builtin_sqrtf(a.v[1]), __builtin_sqrtf(a.v[2]), __builtin_sqrtf(a.v[3])};
}
ENDOGS_INLINE vf floor(vf a) {  // for |a| < 2^31; callers clamp
    const float4 t = __builtin_convertvector(__builtin_convertvector(a.v, int4), float4);
    return t - (t > a.v ? float4{1, 1, 1, 1} : float4{0, 0, 0, 0});
}
ENDOGS_INLINE Mask operator>=(vf a, vf b) { return {a.v >= b.v}; }
ENDOGS_INLINE Mask operator>(vf a, vf b) { return {a.v > b.v}; }
ENDOGS_INLINE Mask operator&(Mask a, Mask b) { return {a.m & b.m}; }
ENDOGS_INLINE vf select(Mask m, vf a, vf b) { return m.m ? a.v : b.v; }
ENDOGS_INLINE vf keep(Mask m, vf a) { return (float4)((int4)a.v & m.m); }
ENDOGS_INLINE unsigned bits(Mask m) {
    return (m.m[0] & 1u) | (m.m[1] & 2u) | (m.m[2] & 4u) | (m.m[3] & 8u);
}
ENDOGS_INLINE vf reciprocal(vf a) { return float4{1, 1, 1, 1} / a.v; }
ENDOGS_INLINE float sum(vf a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
ENDOGS_INLINE float max_lane(vf a) {
    const float x = a.v[0] > a.v[1] ? a.v[0] : a.v[1], y = a.v[2] > a.v[3] ? a.v[2] : a.v[3];
    return x > y ? x : y;
}

#endif

ENDOGS_INLINE vf& operator+=(vf& a, vf b) { return a = a + b; }
ENDOGS_INLINE vf& operator-=(vf& a, vf b) { return a = a - b; }

// 2^x for x <= 128, 0 below -126. Degree-5 minimax polynomial on [0, 1), relative error 7.5e-8.
ENDOGS_INLINE vf exp2(vf x) {
#if defined(__AVX512F__)
    const vf f = _mm512_reduce_ps(x.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#else
    const Mask representable = x >= vf(-126.0f);
    x = min(max(x, vf(-126.0f)), vf(127.999f));
    const vf whole = floor(x);
    const vf f = x - whole;
#endif
    vf p = fma(f, vf(1.8775699427351356e-3f), vf(8.989356458187103e-3f));
    p = fma(p, f, vf(5.5826302617788315e-2f));
    p = fma(p, f, vf(2.4015362560749054e-1f));
    p = fma(p, f, vf(6.931530833244324e-1f));
    p = fma(p, f, vf(9.999999403953552e-1f));
#if defined(__AVX512F__)
    return _mm512_scalef_ps(p.v, x.v);
#elif defined(__AVX2__)
    const __m256i shifted = _mm256_slli_epi32(_mm256_cvtps_epi32(whole.v), 23);
    return keep(representable, vf(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p.v), shifted))));
#else
    const int4 shifted = __builtin_convertvector(whole.v, int4) << 23;
    return keep(representable, vf((float4)((int4)p.v + shifted)));
#endif
}

// Natural exponential, relative error about 1e-7 (1 + |x|).
ENDOGS_INLINE vf exp(vf x) { return exp2(x * vf(1.4426950408889634f)); }

// log2 of a positive normal number: x = m 2^e with m in [1/sqrt 2, sqrt 2), then the series of atanh. Error 1e-7.
ENDOGS_INLINE vf log2(vf x) {
    vf e, m;
#if defined(__AVX512F__)
    e = _mm512_getexp_ps(x.v);
    m = _mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
#elif defined(__AVX2__)
    const __m256i raw = _mm256_castps_si256(x.v);
    e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(raw, 23), _mm256_set1_epi32(127)));
    m = _mm256_castsi256_ps(
        _mm256_or_si256(_mm256_and_si256(raw, _mm256_set1_epi32(0x7fffff)), _mm256_set1_epi32(0x3f800000)));
#else
    const int4 raw = (int4)x.v;
    e = __builtin_convertvector((raw >> 23) - 127, float4);
    m = (float4)((raw & 0x7fffff) | 0x3f800000);
#endif
    const Mask high = m > vf(1.41421356f);
    m = select(high, m * vf(0.5f), m);
    e = e + keep(high, vf(1.0f));
    const vf s = (m - vf(1.0f)) / (m + vf(1.0f)), s2 = s * s;
    vf p = fma(s2, vf(0.32059889f), vf(0.41219858f));
    p = fma(p, s2, vf(0.57707802f));
    p = fma(p, s2, vf(0.96179669f));
    p = fma(p, s2, vf(2.88539008f));
    return fma(p, s, e);
}

}  // namespace endogs::ENDOGS_ISA

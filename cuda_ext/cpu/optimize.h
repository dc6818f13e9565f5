// The parameter side of an iteration: cubic-spline evaluation and Adam, streaming through memory once.
#pragma once
#include "buffer_pool.h"
#include "cpu/simd.h"
#include "kernels.h"
#include "parallel.h"

namespace endogs::ENDOGS_ISA {

// Rows are 14 wide, which no vector length divides; eight rows are.
constexpr int kRowGroup = 8;
constexpr int kGroupFloats = kRowGroup * kChannels;
constexpr int kGroupsPerChunk = 128;

template <class Body>
void for_each_row_group(int64_t count, Body& body) {
    const int64_t groups = (count + kRowGroup - 1) / kRowGroup;
    auto run = [&](int chunk) {
        const int64_t begin = static_cast<int64_t>(chunk) * kGroupsPerChunk;
        const int64_t end = begin + kGroupsPerChunk < groups ? begin + kGroupsPerChunk : groups;
        for (int64_t group = begin; group < end; ++group) body(group);
    };
    parallel_for(static_cast<int>((groups + kGroupsPerChunk - 1) / kGroupsPerChunk), run);
}

inline void spline_forward(const float* base, const float* control, const float* weights, int64_t count, float* out) {
    const int64_t total = count * kChannels;
    const vf w0(weights[0]), w1(weights[1]), w2(weights[2]), w3(weights[3]);
    const float *c0 = control, *c1 = c0 + total, *c2 = c1 + total, *c3 = c2 + total;
    auto evaluate = [&](int64_t group) {
        const int64_t begin = group * kGroupFloats, end = begin + kGroupFloats < total ? begin + kGroupFloats : total;
        int64_t i = begin;
        for (; i + kLanes <= end; i += kLanes) {
            vf value = fma(w0, loadu(c0 + i), loadu(base + i));
            value = fma(w1, loadu(c1 + i), value);
            value = fma(w2, loadu(c2 + i), value);
            storeu(out + i, fma(w3, loadu(c3 + i), value));
        }
        for (; i < end; ++i)
            out[i] = base[i] + weights[0] * c0[i] + weights[1] * c1[i] + weights[2] * c2[i] + weights[3] * c3[i];
    };
    for_each_row_group(count, evaluate);
}

inline void adam(float* const* parameters, float* const* first, float* const* second, const float* gradient,
                 const float* gradient_scale, const float* rates, const float* first_correction,
                 const float* second_correction, int slices, int64_t count, const AdamCoefficients& adam) {
    const int64_t total = count * kChannels;
    constexpr int kMaxSlices = 8;
    alignas(64) float rate_rows[kMaxSlices][kGroupFloats];
    float second_scale[kMaxSlices];
    for (int slice = 0; slice < slices; ++slice) {
        second_scale[slice] = 1.0f / __builtin_sqrtf(second_correction[slice]);
        for (int k = 0; k < kGroupFloats; ++k)
            rate_rows[slice][k] = rates[slice * kChannels + k % kChannels] / first_correction[slice];
    }
    auto step = [&](int64_t group) {
        const int64_t begin = group * kGroupFloats, end = begin + kGroupFloats < total ? begin + kGroupFloats : total;
        for (int slice = 0; slice < slices; ++slice) {
            float *p = parameters[slice], *m = first[slice], *v = second[slice];
            const vf scale(gradient_scale[slice]), root(second_scale[slice]);
            int64_t i = begin;
            for (; i + kLanes <= end; i += kLanes) {
                const vf g = loadu(gradient + i) * scale;
                vf mi = loadu(m + i), vi = loadu(v + i);
                const vf rate = load(rate_rows[slice] + (i - begin));
                storeu(p + i, adam_update(g, mi, vi, loadu(p + i), rate, root, adam));
                storeu(m + i, mi);
                storeu(v + i, vi);
            }
            for (; i < end; ++i) {
                const float g = gradient[i] * gradient_scale[slice];
                m[i] = adam.beta1 * m[i] + (1.0f - adam.beta1) * g;
                v[i] = adam.beta2 * v[i] + (1.0f - adam.beta2) * g * g;
                p[i] -= rate_rows[slice][i - begin] * m[i] / (__builtin_sqrtf(v[i]) * second_scale[slice] + adam.eps);
            }
        }
    };
    for_each_row_group(count, step);
}

// Multiply-adds on 12 independent registers (named, because an array would live in memory): what this machine's cores
// can do at best. Returns the flops done.
inline double peak_fma(int64_t iterations) {
    const int chunks = thread_count();
    auto spin = [&](int) {
        vf a(1.0f), b(2.0f), c(3.0f), d(4.0f), e(5.0f), f(6.0f), g(7.0f), h(8.0f), i(9.0f), j(10.0f), k(11.0f), l(12.0f);
        const vf m(0.999f), n(0.001f);
        for (int64_t round = 0; round < iterations; ++round) {
            a = fma(a, m, n), b = fma(b, m, n), c = fma(c, m, n), d = fma(d, m, n);
            e = fma(e, m, n), f = fma(f, m, n), g = fma(g, m, n), h = fma(h, m, n);
            i = fma(i, m, n), j = fma(j, m, n), k = fma(k, m, n), l = fma(l, m, n);
        }
        volatile float kept = sum(a + b + c + d + e + f + g + h + i + j + k + l);
        (void)kept;
    };
    parallel_for(chunks, spin);
    return static_cast<double>(chunks) * static_cast<double>(iterations) * 12 * kLanes * 2;
}

}  // namespace endogs::ENDOGS_ISA

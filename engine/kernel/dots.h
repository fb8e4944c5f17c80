/* The int8 dot products, one for each instruction set; all give the same integers.
 *
 * Each DOTS(name) multiplies one tile with `count` vectors (1 or TOGETHER, known when compiling):
 * for row r of the tile, out[t][r] = sum over groups of (exact integer dot) * (scale * scale).
 * Integers add up in any order; the floats are added group by group, the same everywhere. So the
 * result does not depend on the processor, nor on how many tokens are fed at once.
 */
#ifndef SEGUE_DOTS_H
#define SEGUE_DOTS_H

#include "kernel.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE int32_t four_of(const int8_t *q) {
    int32_t quad;
    memcpy(&quad, q, 4);
    return quad;
}

INLINE void dots_plain(const Block *block, const Quantised *x, int first, const int count,
                       float (*out)[ROWS]) {
    const int groups = x->columns / GROUP;
    for (int t = 0; t < count; t++) {
        const int8_t *q = x->q + (size_t)(first + t) * x->columns;
        const float *scale = x->scale + (size_t)(first + t) * groups;
        float sum[ROWS] = {0};
        for (int g = 0; g < groups; g++) {
            int32_t dot[ROWS] = {0};
            for (int k = 0; k < QUADS; k++)
                for (int r = 0; r < ROWS; r++)
                    for (int i = 0; i < 4; i++)
                        dot[r] += block[g].w[k][r][i] * q[g * GROUP + 4 * k + i];
            for (int r = 0; r < ROWS; r++)
                sum[r] += (float)dot[r] * (block[g].scale[r] * scale[g]);
        }
        memcpy(out[t], sum, sizeof sum);
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_AVX2 __attribute__((target("avx2")))
#define TARGET_VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

/* maddubs takes unsigned times signed: |x| times w with the sign of x. 2 * 127 * 127 fits. */
TARGET_AVX2 INLINE void dots_avx2(const Block *block, const Quantised *x, int first,
                                  const int count, float (*out)[ROWS]) {
    const int groups = x->columns / GROUP;
    const __m256i ones = _mm256_set1_epi16(1);
    __m256 sum[TOGETHER][2];
    for (int t = 0; t < count; t++) sum[t][0] = sum[t][1] = _mm256_setzero_ps();
    for (int g = 0; g < groups; g++, block++) {
        __m256i dot[TOGETHER][2];
        for (int t = 0; t < count; t++) dot[t][0] = dot[t][1] = _mm256_setzero_si256();
        for (int k = 0; k < QUADS; k++)
            for (int t = 0; t < count; t++) {
                const int8_t *q = x->q + (size_t)(first + t) * x->columns + g * GROUP + 4 * k;
                const __m256i four = _mm256_set1_epi32(four_of(q)), size = _mm256_abs_epi8(four);
                for (int half = 0; half < 2; half++) {
                    __m256i w = _mm256_loadu_si256((const __m256i *)block->w[k][8 * half]);
                    w = _mm256_maddubs_epi16(size, _mm256_sign_epi8(w, four));
                    dot[t][half] = _mm256_add_epi32(dot[t][half], _mm256_madd_epi16(w, ones));
                }
            }
        for (int t = 0; t < count; t++)
            for (int half = 0; half < 2; half++) {
                const __m256 by = _mm256_set1_ps(x->scale[(size_t)(first + t) * groups + g]);
                const __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(block->scale + 8 * half), by);
                const __m256 dots = _mm256_cvtepi32_ps(dot[t][half]);
                sum[t][half] = _mm256_add_ps(sum[t][half], _mm256_mul_ps(dots, scale));
            }
    }
    for (int t = 0; t < count; t++)
        for (int half = 0; half < 2; half++) _mm256_storeu_ps(out[t] + 8 * half, sum[t][half]);
}

/* dpbusd takes unsigned weights, so the sums start at what the added 128 is too much. One vector
 * alone is summed in four chains, since each instruction waits for the one before in its chain. */
TARGET_VNNI INLINE void dots_vnni(const Block *block, const Quantised *x, int first,
                                  const int count, float (*out)[ROWS]) {
    const int groups = x->columns / GROUP, chains = count == 1 ? 4 : 1;
    __m512 sum[TOGETHER];
    for (int t = 0; t < count; t++) sum[t] = _mm512_setzero_ps();
    for (int g = 0; g < groups; g++, block++) {
        __m512i dot[TOGETHER][4];
        for (int t = 0; t < count; t++) {
            dot[t][0] = _mm512_set1_epi32(x->unbias[(size_t)(first + t) * groups + g]);
            for (int c = 1; c < chains; c++) dot[t][c] = _mm512_setzero_si512();
        }
        for (int k = 0; k < QUADS; k++) {
            const __m512i w = _mm512_loadu_si512(block->w[k]);
            for (int t = 0; t < count; t++) {
                const int8_t *q = x->q + (size_t)(first + t) * x->columns + g * GROUP + 4 * k;
                __m512i *chain = &dot[t][k % chains];
                *chain = _mm512_dpbusd_epi32(*chain, w, _mm512_set1_epi32(four_of(q)));
            }
        }
        for (int t = 0; t < count; t++) {
            for (int c = 1; c < chains; c++) dot[t][0] = _mm512_add_epi32(dot[t][0], dot[t][c]);
            const __m512 by = _mm512_set1_ps(x->scale[(size_t)(first + t) * groups + g]);
            const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(block->scale), by);
            sum[t] = _mm512_add_ps(sum[t], _mm512_mul_ps(_mm512_cvtepi32_ps(dot[t][0]), scale));
        }
    }
    for (int t = 0; t < count; t++) _mm512_storeu_ps(out[t], sum[t]);
}
#endif

#if defined(__aarch64__)
#include <arm_neon.h>

/* Before version 16, clang knows the instruction only where it may be used everywhere. */
#if !defined(__clang__)
#define TARGET_NEON_DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#elif defined(__ARM_FEATURE_DOTPROD) || __clang_major__ >= 16
#define TARGET_NEON_DOT __attribute__((target("dotprod")))
#endif

INLINE void add_group_neon(float32x4_t *sum, const int32x4_t *dot, const float *scale, float by) {
    for (int j = 0; j < 4; j++) {
        const float32x4_t both = vmulq_n_f32(vld1q_f32(scale + 4 * j), by);
        sum[j] = vaddq_f32(sum[j], vmulq_f32(vcvtq_f32_s32(dot[j]), both));
    }
}

/* For processors before Armv8.2, such as the Raspberry Pi 4's. Two products fit into 16 bits. */
INLINE void dots_neon(const Block *block, const Quantised *x, int first, const int count,
                      float (*out)[ROWS]) {
    const int groups = x->columns / GROUP;
    for (int t = 0; t < count; t++) {
        const Block *b = block;
        float32x4_t sum[4];
        for (int j = 0; j < 4; j++) sum[j] = vdupq_n_f32(0);
        for (int g = 0; g < groups; g++, b++) {
            const int8_t *q = x->q + (size_t)(first + t) * x->columns + g * GROUP;
            int32x4_t pairs[8], dot[4];
            for (int j = 0; j < 8; j++) pairs[j] = vdupq_n_s32(0);
            for (int k = 0; k < QUADS; k += 2) {
                const int8x8_t one = vreinterpret_s8_s32(vdup_n_s32(four_of(q + 4 * k)));
                const int8x8_t two = vreinterpret_s8_s32(vdup_n_s32(four_of(q + 4 * k + 4)));
                for (int j = 0; j < 8; j++) {
                    int16x8_t both = vmull_s8(vld1_s8(b->w[k][2 * j]), one);
                    both = vmlal_s8(both, vld1_s8(b->w[k + 1][2 * j]), two);
                    pairs[j] = vpadalq_s16(pairs[j], both);
                }
            }
            for (int j = 0; j < 4; j++) dot[j] = vpaddq_s32(pairs[2 * j], pairs[2 * j + 1]);
            add_group_neon(sum, dot, b->scale, x->scale[(size_t)(first + t) * groups + g]);
        }
        for (int j = 0; j < 4; j++) vst1q_f32(out[t] + 4 * j, sum[j]);
    }
}

#if defined(TARGET_NEON_DOT)
TARGET_NEON_DOT INLINE void dots_neon_dot(const Block *block, const Quantised *x, int first,
                                          const int count, float (*out)[ROWS]) {
    const int groups = x->columns / GROUP;
    float32x4_t sum[TOGETHER][4];
    for (int t = 0; t < count; t++)
        for (int j = 0; j < 4; j++) sum[t][j] = vdupq_n_f32(0);
    for (int g = 0; g < groups; g++, block++) {
        int32x4_t dot[TOGETHER][4];
        for (int t = 0; t < count; t++)
            for (int j = 0; j < 4; j++) dot[t][j] = vdupq_n_s32(0);
        for (int k = 0; k < QUADS; k++)
            for (int t = 0; t < count; t++) {
                const int8_t *q = x->q + (size_t)(first + t) * x->columns + g * GROUP + 4 * k;
                const int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(four_of(q)));
                for (int j = 0; j < 4; j++)
                    dot[t][j] = vdotq_s32(dot[t][j], vld1q_s8(block->w[k][4 * j]), four);
            }
        for (int t = 0; t < count; t++)
            add_group_neon(sum[t], dot[t], block->scale,
                           x->scale[(size_t)(first + t) * groups + g]);
    }
    for (int t = 0; t < count; t++)
        for (int j = 0; j < 4; j++) vst1q_f32(out[t] + 4 * j, sum[t][j]);
}
#endif
#endif

#endif

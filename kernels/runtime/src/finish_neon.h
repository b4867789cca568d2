// The HR rows of one LR row, AArch64: what the vocabulary of floats says in kernels_body.h, to the
// same bits. Bytes become floats once for all HR rows, floats become codes by narrowing that
// saturates, and sixteen columns are woven at a time.
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "row_kernels.h"
#include "unroll.h"

namespace crispcast {
namespace {
namespace neon {

using Floats = float32x4_t;

// BaseRows::start, which depends on nothing else.
constexpr int start_of(int phase, int scale) {
    return 2 * phase + 1 < scale ? 0 : 1;
}

// columns[dy * kMaxBaseColumns + x + 2] is LR column x after the vertical taps of HR row dy.
template <int kScale>
void blend(const BaseRows& rows) {
    Floats taps[kScale];
    CRISPCAST_UNROLL for (int dy = 0; dy < kScale; ++dy) taps[dy] = vld1q_f32(rows.weights[dy]);
    const uint8_t* const in[5] = {rows.rows[0], rows.rows[1], rows.rows[2], rows.rows[3],
                                  rows.rows[4]};
    float* const columns = rows.columns;
    const int count = rows.count + 4;
    for (int x = 0; x < count; x += 8) {
        Floats sum[kScale][2];
        CRISPCAST_UNROLL for (int i = 0; i < 5; ++i) {
            const uint16x8_t wide = vmovl_u8(vld1_u8(in[i] + x));
            const Floats low = vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)));
            const Floats high = vcvtq_f32_u32(vmovl_high_u16(wide));
            CRISPCAST_UNROLL for (int dy = 0; dy < kScale; ++dy) {
                const int tap = i - start_of(dy, kScale);
                if (tap == 0) {
                    sum[dy][0] = vmulq_n_f32(low, taps[dy][0]);
                    sum[dy][1] = vmulq_n_f32(high, taps[dy][0]);
                } else if (tap > 0 && tap < 4) {
                    sum[dy][0] = vfmaq_n_f32(sum[dy][0], low, taps[dy][tap]);
                    sum[dy][1] = vfmaq_n_f32(sum[dy][1], high, taps[dy][tap]);
                }
            }
        }
        CRISPCAST_UNROLL for (int dy = 0; dy < kScale; ++dy) {
            vst1q_f32(columns + dy * kMaxBaseColumns + x, sum[dy][0]);
            vst1q_f32(columns + dy * kMaxBaseColumns + x + 4, sum[dy][1]);
        }
    }
}

inline void store(uint8_t* out, const uint8x16_t (&codes)[1]) {
    vst1q_u8(out, codes[0]);
}
inline void store(uint8_t* out, const uint8x16_t (&codes)[2]) {
    const uint8x16x2_t all = {{codes[0], codes[1]}};
    vst2q_u8(out, all);
}
inline void store(uint8_t* out, const uint8x16_t (&codes)[3]) {
    const uint8x16x3_t all = {{codes[0], codes[1], codes[2]}};
    vst3q_u8(out, all);
}
inline void store(uint8_t* out, const uint8x16_t (&codes)[4]) {
    const uint8x16x4_t all = {{codes[0], codes[1], codes[2], codes[3]}};
    vst4q_u8(out, all);
}

template <int kScale, bool kBicubic, bool kNetwork>
void finish_row(const BaseRows& rows, int dy) {
    Floats taps[kScale];
    CRISPCAST_UNROLL for (int dx = 0; dx < kScale; ++dx) taps[dx] = vld1q_f32(rows.weights[dx]);
    const Floats size = vdupq_n_f32(128), half = vdupq_n_f32(0.5f);
    const float* const column = rows.columns + dy * kMaxBaseColumns;
    const ptrdiff_t stride = rows.stride;
    const float* const network = kNetwork ? rows.network + dy * kScale * stride : nullptr;
    uint8_t* const out = rows.out + dy * rows.out_stride;
    const int count = rows.count, out_count = rows.out_count;
    for (int x = 0; x < count; x += 16) {
        int16x8_t halves[2][kScale];
        CRISPCAST_UNROLL for (int part = 0; part < 4; ++part) {
            Floats in[5];
            if constexpr (kBicubic) {
                CRISPCAST_UNROLL for (int i = 0; i < 5; ++i) in[i] =
                    vld1q_f32(column + x + 4 * part + i);
            }
            CRISPCAST_UNROLL for (int dx = 0; dx < kScale; ++dx) {
                Floats value = size;
                if constexpr (kBicubic) {
                    const int start = start_of(dx, kScale);
                    value = vmulq_n_f32(in[start], taps[dx][0]);
                    value = vfmaq_n_f32(value, in[start + 1], taps[dx][1]);
                    value = vfmaq_n_f32(value, in[start + 2], taps[dx][2]);
                    value = vfmaq_n_f32(value, in[start + 3], taps[dx][3]);
                }
                if constexpr (kNetwork)
                    value = vfmaq_f32(value, vld1q_f32(network + dx * stride + x + 4 * part), size);
                // What is no number becomes 0.
                const int32x4_t whole = vcvtq_s32_f32(vaddq_f32(value, half));
                int16x8_t& to = halves[part / 2][dx];
                to = part % 2 == 0 ? vcombine_s16(vqmovn_s32(whole), vdup_n_s16(0))
                                   : vqmovn_high_s32(vget_low_s16(to), whole);
            }
        }
        uint8x16_t codes[kScale];
        CRISPCAST_UNROLL for (int dx = 0; dx < kScale; ++dx) codes[dx] =
            vqmovun_high_s16(vqmovun_s16(halves[0][dx]), halves[1][dx]);
        const int left = out_count - x * kScale;
        if (left >= 16 * kScale) {
            store(out + x * kScale, codes);
        } else if (left > 0) {
            uint8_t rest[16 * kScale];
            store(rest, codes);
            memcpy(out + x * kScale, rest, size_t(left));
        }
    }
}

template <int kScale>
void finish_scale(const BaseRows& rows) {
    if (rows.bicubic) blend<kScale>(rows);
    for (int dy = 0; dy < rows.out_rows; ++dy) {
        if (!rows.bicubic) {
            finish_row<kScale, false, true>(rows, dy);
        } else if (rows.network == nullptr) {
            finish_row<kScale, true, false>(rows, dy);
        } else {
            finish_row<kScale, true, true>(rows, dy);
        }
    }
}

void finish(const BaseRows& rows) {
    if (rows.scale == 1) return finish_scale<1>(rows);
    if (rows.scale == 2) return finish_scale<2>(rows);
    if (rows.scale == 3) return finish_scale<3>(rows);
    finish_scale<4>(rows);
}

}  // namespace neon
}  // namespace
}  // namespace crispcast

// The kernel of coded plans where an instruction multiplies matrices of bytes: two columns of eight
// taps by the weights of two channels, twice the products of a dot product. Eight taps take three
// levels of weaving instead of two, so a tile is as large as its sums leave registers for.
#pragma once

#include "codes_body.h"

namespace crispcast {
namespace {
namespace matrix {

using codes::Float;
using codes::Whole;

// The weights of each block: [quads / 2][channels / 2][2][8], both rounded up. What a quad too many
// is multiplied by is 0; the sums of a channel too many are nobody's.
void pack(const CodeRow& row) {
    const auto fours = [](const int8_t* p) {
        return vreinterpretq_u32_s8(vcombine_s8(vld1_s8(p), vdup_n_s8(0)));
    };
    uint8_t* out = row.scratch;
    for (int b = 0; b < row.block_count; ++b) {
        const QuadBlock& block = row.blocks[b];
        const int8_t* in = row.weights + size_t(block.first_four) * 4;
        const size_t quad = size_t(block.channels) * 4;
        for (uint32_t q = 0; q < block.quads; q += 2, in += 2 * quad) {
            const bool is_last = q + 1 == block.quads;
            const int8_t* const other = is_last ? in : in + quad;
            const uint32x4_t there = vdupq_n_u32(is_last ? 0 : ~0u);
            for (size_t i = 0; i < quad; i += 8, out += 16) {
                const uint32x4_t second = vandq_u32(fours(other + i), there);
                vst1q_u8(out, vreinterpretq_u8_u32(vzip1q_u32(fours(in + i), second)));
            }
        }
    }
}

// Bytes of four taps become vectors of four columns.
inline __attribute__((always_inline)) void weave(const uint8_t* const* tap, int x,
                                                 uint8x16_t (&out)[4]) {
    const uint8x16_t a = vld1q_u8(tap[0] + x), b = vld1q_u8(tap[1] + x);
    const uint8x16_t c = vld1q_u8(tap[2] + x), d = vld1q_u8(tap[3] + x);
    Dots::weave({a, b, c, d}, out);
}
inline __attribute__((always_inline)) void weave(const uint8_t* const* tap, int x,
                                                 uint8x16_t (&out)[2]) {
    uint8x16_t in[4];
    CRISPCAST_UNROLL for (int t = 0; t < 4; ++t) in[t] =
        vcombine_u8(vld1_u8(tap[t] + x), vdup_n_u8(0));
    const uint16x8_t first = vreinterpretq_u16_u8(vzip1q_u8(in[0], in[1]));
    const uint16x8_t second = vreinterpretq_u16_u8(vzip1q_u8(in[2], in[3]));
    out[0] = vreinterpretq_u8_u16(vzip1q_u16(first, second));
    out[1] = vreinterpretq_u8_u16(vzip2q_u16(first, second));
}

// Increases `sum` by eight taps of columns 0 and 2, or 1 and 3, of each four.
template <int kPairs, int kParts>
inline __attribute__((always_inline)) void add_eight(const uint8_t* const* tap, int x,
                                                     const int8_t* weight,
                                                     Whole (&sum)[kPairs][2 * kParts]) {
    uint8x16_t first[kParts], second[kParts];
    weave(tap, x, first);
    weave(tap + 4, x, second);
    uint8x16_t woven[2 * kParts];
    CRISPCAST_PARTS {
        const uint32x4_t a = vreinterpretq_u32_u8(first[j]), b = vreinterpretq_u32_u8(second[j]);
        woven[2 * j] = vreinterpretq_u8_u32(vtrn1q_u32(a, b));
        woven[2 * j + 1] = vreinterpretq_u8_u32(vtrn2q_u32(a, b));
    }
    CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i) {
        const int8x16_t eights = vld1q_s8(weight + 16 * i);
        CRISPCAST_UNROLL for (int j = 0; j < 2 * kParts; ++j) sum[i][j] =
            vusmmlaq_s32(sum[i][j], woven[j], eights);
    }
}

// The same by four taps: two columns are in each half of a vector, of which one has weights of 0.
template <int kPairs, int kParts>
inline __attribute__((always_inline)) void add_four(const uint8_t* const* tap, int x,
                                                    const int8_t* weight,
                                                    Whole (&sum)[kPairs][2 * kParts]) {
    uint8x16_t woven[kParts];
    weave(tap, x, woven);
    CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i) {
        const int8x16_t even = vld1q_s8(weight + 16 * i);
        const int8x16_t odd = vreinterpretq_s8_s32(vrev64q_s32(vreinterpretq_s32_s8(even)));
        CRISPCAST_PARTS {
            sum[i][2 * j] = vusmmlaq_s32(sum[i][2 * j], woven[j], even);
            sum[i][2 * j + 1] = vusmmlaq_s32(sum[i][2 * j + 1], woven[j], odd);
        }
    }
}

// What the tiles of some channels of a block have to do.
struct Part {
    bool simple;  // codes::is_simple
    bool paired;  // so simple that two channels may stay together up to their codes
    const uint8_t* const* taps;
    uint32_t quads;
    const int8_t* weights;  // of the first eight taps; those of the next are `next` further
    size_t next;
    int channel, channels;
};

// Numbers of two channels, as those of two columns need them.
struct Pair {
    Float unit, bias;
    Whole start;
};

inline Pair pair_of(const CodeRow& row, int channel, bool both) {
    const auto twice = [&](const auto* values) {
        uint64_t two = 0;
        if (both) {
            memcpy(&two, values + channel, 8);
        } else {
            memcpy(&two, values + channel, 4);
        }
        return vreinterpretq_f32_u64(vdupq_n_u64(two));
    };
    const Whole sums = vreinterpretq_s32_f32(twice(row.weight_sums));
    const Whole start =
        vmlsq_s32(Dots::splat(codes::Narrow::offset(row)), sums, Dots::splat(row.zero));
    return {twice(row.steps.units), twice(row.bias), start};
}

// As `codes::store_channel` says, of two channels.
template <int kParts>
inline __attribute__((always_inline)) void store_pair(const CodeRow& row, const Pair& pair,
                                                      int channel, int x,
                                                      const Whole (&sum)[2 * kParts]) {
    const Float inverse = Dots::splat(row.steps.inverse);
    const Float zero = codes::Narrow::zero(row.steps.zero);
    int16x8_t steps[kParts];  // [columns / 2][channel][2]
    CRISPCAST_PARTS {
        int16x8_t nearest[2];
        CRISPCAST_UNROLL for (int i = 0; i < 2; ++i) {
            Float value = codes::Narrow::to_float(sum[2 * j + i]) * pair.unit;
            value += pair.bias;
            nearest[i] = vreinterpretq_s16_s32(codes::Narrow::nearest(value * inverse, zero));
        }
        steps[j] = vtrn1q_s16(nearest[0], nearest[1]);
    }
    uint8_t* const out = row.out + channel * row.stride + x;
    const uint16x8_t first =
        vreinterpretq_u16_u8(vqmovun_high_s16(vqmovun_s16(steps[0]), steps[1]));
    if constexpr (kParts == 4) {
        const uint16x8_t second =
            vreinterpretq_u16_u8(vqmovun_high_s16(vqmovun_s16(steps[2]), steps[3]));
        vst1q_u8(out, vreinterpretq_u8_u16(vuzp1q_u16(first, second)));
        vst1q_u8(out + row.stride, vreinterpretq_u8_u16(vuzp2q_u16(first, second)));
    } else {
        vst1_u8(out, vget_low_u8(vreinterpretq_u8_u16(vuzp1q_u16(first, first))));
        vst1_u8(out + row.stride, vget_low_u8(vreinterpretq_u8_u16(vuzp2q_u16(first, first))));
    }
}

// kPairs pairs of output channels, of the last maybe only the first, x columns x ... end - 1, in
// tiles of 4 * kParts. A vector of sums is [column][channel] of columns 0 and 2, or 1 and 3.
template <int kPairs, int kParts>
__attribute__((noinline)) void tiles(const CodeRow& row, const Part& part, int x, int end) {
    const CodeRow fixed = row;  // which no store can change
    const auto [simple, paired, taps, quads, weights, next, channel, channels] = part;
    Pair pairs[kPairs];
    CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i) pairs[i] =
        pair_of(row, channel + 2 * i, 2 * i + 1 < channels);
    for (; x < end; x += 4 * kParts) {
        Whole sum[kPairs][2 * kParts];
        CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i) {
            CRISPCAST_UNROLL for (int j = 0; j < 2 * kParts; ++j) sum[i][j] = pairs[i].start;
        }
        const int8_t* weight = weights;
        const uint8_t* const* tap = taps;
        for (const auto* const last = taps + quads / 2 * 8; tap != last; tap += 8, weight += next)
            add_eight<kPairs, kParts>(tap, x, weight, sum);
        if (quads % 2 != 0) add_four<kPairs, kParts>(tap, x, weight, sum);
        if (paired && channels == 2 * kPairs) {
            CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i)
                store_pair<kParts>(fixed, pairs[i], channel + 2 * i, x, sum[i]);
            continue;
        }
        Whole apart[2 * kPairs][kParts];
        CRISPCAST_UNROLL for (int i = 0; i < kPairs; ++i) {
            CRISPCAST_PARTS {
                apart[2 * i][j] = vtrn1q_s32(sum[i][2 * j], sum[i][2 * j + 1]);
                apart[2 * i + 1][j] = vtrn2q_s32(sum[i][2 * j], sum[i][2 * j + 1]);
            }
        }
        codes::store_tile(row, simple, channel, channels, x, apart);
    }
}

// The pairs of `block`, up to four at a time, for they share the weaving: more than two of eight
// columns. part: what all have in common.
void block_of(const CodeRow& row, const QuadBlock& block, Part part, int x, int end) {
    const int all = (block.channels + 1) / 2;
    part.taps = row.taps + size_t(block.first_quad) * 4;
    part.quads = block.quads;
    part.next = size_t(all) * 16;
    int done = 0;
    for (int parts = (all + 3) / 4; parts > 0; --parts) {
        const int pairs = (all - done + parts - 1) / parts;
        const int left = block.channels - 2 * done;
        part.channel = block.channel + 2 * done;
        part.channels = left < 2 * pairs ? left : 2 * pairs;
        if (pairs == 1) tiles<1, 4>(row, part, x, end);
        if (pairs == 2) tiles<2, 4>(row, part, x, end);
        if (pairs == 3) tiles<3, 2>(row, part, x, end);
        if (pairs == 4) tiles<4, 2>(row, part, x, end);
        part.weights += 16 * pairs;
        done += pairs;
    }
}

// A stretch of columns goes through all blocks before the next, as wide as a line of the cache.
void convolve(const CodeRow& row) {
    constexpr int kStretch = 64;
    pack(row);
    Part part = {};
    part.simple = codes::is_simple(row);
    part.paired = part.simple && row.residual == nullptr && row.exact == nullptr && !row.steps.last;
    const int columns = (row.columns + 15) / 16 * 16;
    for (int x = 0; x < columns; x += kStretch) {
        const int end = x + kStretch < columns ? x + kStretch : columns;
        part.weights = reinterpret_cast<const int8_t*>(row.scratch);
        for (int b = 0; b < row.block_count; ++b) {
            const QuadBlock& block = row.blocks[b];
            block_of(row, block, part, x, end);
            part.weights += size_t((block.quads + 1) / 2) * size_t((block.channels + 1) / 2) * 16;
        }
    }
}

constexpr CodeKernels kKernels = {Dots::kFlip, convolve};

}  // namespace matrix
}  // namespace
}  // namespace crispcast

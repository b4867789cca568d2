// The kernel of coded plans, once, over the vocabulary `Dots` that the including translation unit
// has defined: bytes of four taps are woven together, so that one instruction multiplies and sums
// four. Everything is in an anonymous namespace: see row_kernels.h.
#pragma once

#include <string.h>

#include <type_traits>

#include "row_kernels.h"
#include "unroll.h"

namespace crispcast {
namespace {
namespace codes {

using Bytes = Dots::Bytes;
using Whole = Dots::Whole;
using Float = Dots::Float;
// What finishes a layer that is `narrow`: Dots itself where nothing is gained.
using Narrow = Dots::Narrow;
template <class Some>
constexpr bool kIsNarrow = !std::is_same<Some, Dots>::value;

#define CRISPCAST_PARTS CRISPCAST_UNROLL for (int j = 0; j < kParts; ++j)

// A vector of bytes becomes kParts of sums, in an order of columns that only Dots knows.
template <int kParts>
inline __attribute__((always_inline)) void add_residual(const CodeRow& row, int channel, int x,
                                                        Float (&value)[kParts]) {
    if (row.residual != nullptr) {
        const float* exact = row.residual + channel * row.float_stride + x;
        CRISPCAST_PARTS value[j] += Dots::load_floats(exact, j);
    } else if (row.residual_input != nullptr) {
        const Float zero = Dots::splat(128.0f), unit = Dots::splat(row.steps.residual_unit);
        Whole steps[kParts];
        Dots::widen(row.residual_input + channel * row.stride + x, steps);
        CRISPCAST_PARTS {
            Float plain = Dots::to_float(steps[j]) - zero;
            plain *= unit;
            value[j] += plain;
        }
    }
}

// Whether codes, none below 0, are all that becomes of a layer's values: then they are its ReLU.
inline bool rectified(const CodeRow& row) {
    return row.steps.zero == 0 && !row.steps.last && row.exact == nullptr && !row.residual_after;
}

template <int kParts>
inline __attribute__((always_inline)) void activate(const CodeRow& row, int channel,
                                                    Float (&value)[kParts]) {
    const Float zero = Dots::splat(0.0f);
    if (row.activation == Activation::relu) {
        if (rectified(row)) return;
        CRISPCAST_PARTS value[j] = Dots::greater(value[j], zero);
    } else if (row.activation == Activation::prelu) {
        const Float slope = Dots::splat(row.low[channel]);
        CRISPCAST_PARTS {
            Float below = Dots::smaller(value[j], zero);
            below *= slope;
            value[j] = below + Dots::greater(value[j], zero);
        }
    } else if (row.activation == Activation::clip) {
        const Float low = Dots::splat(row.low[channel]), high = Dots::splat(row.high[channel]);
        CRISPCAST_PARTS value[j] = Dots::smaller(Dots::greater(value[j], low), high);
    }
}

// The nearest codes of values. Where packing saturates by itself, most clamping is left to it.
template <class Some, int kParts>
inline __attribute__((always_inline)) void store_codes(const CodeRow& row, uint8_t* out,
                                                       const Float (&value)[kParts]) {
    const Float inverse = Dots::splat(row.steps.inverse);
    Whole steps[kParts];
    if constexpr (kIsNarrow<Some>) {
        const Float zero = Some::zero(row.steps.zero);
        CRISPCAST_PARTS {
            const Float scaled = value[j] * inverse;
            steps[j] = Some::nearest(scaled, zero);
        }
        Some::store_steps(out, steps);
    } else if constexpr (Some::kSaturates) {
        CRISPCAST_PARTS {
            const Float scaled = value[j] * inverse;
            steps[j] = Dots::nearest(Some::bounded(scaled, 255 - row.steps.zero));
        }
        Some::store_steps(out, steps, row.steps.zero != 0);
    } else {
        const Float low = Dots::splat(float(-row.steps.zero));
        const Float high = Dots::splat(float(255 - row.steps.zero));
        CRISPCAST_PARTS {
            const Float scaled = Dots::greater(value[j] * inverse, low);
            steps[j] = Dots::nearest(Dots::smaller(scaled, high));
            steps[j] += Dots::splat(int32_t(row.steps.zero));
        }
        Some::store(out, steps);
    }
}

// What `Steps` says, for one channel; `sum` is exact.
template <class Some, int kParts>
inline __attribute__((always_inline)) void store_channel(const CodeRow& row, int channel, int x,
                                                         const Whole (&sum)[kParts]) {
    const Float unit = Dots::splat(row.steps.units[channel]);
    const Float bias = Dots::splat(row.bias[channel]);
    Float value[kParts];
    CRISPCAST_PARTS {
        value[j] = Some::to_float(sum[j]) * unit;
        value[j] += bias;
    }
    if (!row.residual_after) add_residual(row, channel, x, value);
    activate(row, channel, value);
    if (row.residual_after) add_residual(row, channel, x, value);
    if (row.steps.last) {
        Dots::store_in_order(row.network + channel * row.float_stride + x, value);
        return;
    }
    if (row.exact != nullptr) {
        float* exact = row.exact + channel * row.float_stride + x;
        CRISPCAST_PARTS Dots::store_floats(exact, j, value[j]);
    }
    store_codes<Some>(row, row.out + channel * row.stride + x, value);
}

// Whether a narrow layer's values become codes or, in the last layer, floats with no more than a
// residual added, which is what nearly all layers do.
inline bool is_simple(const CodeRow& row) {
    const bool activates = row.activation != Activation::none;
    const bool rectifies = row.activation == Activation::relu && rectified(row);
    return row.narrow && (!activates || rectifies) && row.residual_input == nullptr &&
           (!row.residual_after || row.residual == nullptr);
}

// All channels of a tile, from memory: out of the way of those that are simple.
template <class Some, int kParts>
__attribute__((noinline)) void store_any(const CodeRow& row, int channel, int channels, int x,
                                         Whole (*sums)[kParts]) {
    for (int i = 0; i < channels; ++i) {
        CRISPCAST_PARTS sums[i][j] -= Dots::splat(Some::offset(row));
        store_channel<Dots>(row, channel + i, x, sums[i]);
    }
}

template <int kChannels, int kParts>
inline __attribute__((always_inline)) void store_tile(const CodeRow& row, bool simple, int channel,
                                                      int channels, int x,
                                                      const Whole (&sum)[kChannels][kParts]) {
    if (simple) {
        CodeRow fixed = row;  // which no store can change
        fixed.activation = Activation::none;
        fixed.residual_after = false;
        fixed.residual_input = nullptr;
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            if (i < channels) store_channel<Narrow>(fixed, channel + i, x, sum[i]);
        }
    } else {
        Whole sums[kChannels][kParts];
        memcpy(sums, sum, sizeof sums);
        store_any<Narrow>(row, channel, channels, x, sums);
    }
}

// kChannels output channels (from `part` on within the block) x one vector of columns.
template <int kChannels>
__attribute__((noinline)) void tile(const CodeRow& row, const Dots::Packed* packed,
                                    const QuadBlock& block, int part, int x) {
    constexpr int kParts = Dots::kParts;
    const int channel = block.channel + part;
    Whole sum[kChannels][kParts];
    CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
        const Whole start = Dots::start(row, channel + i);
        CRISPCAST_PARTS sum[i][j] = start;
    }
    const uint8_t* const* tap = row.taps + size_t(block.first_quad) * 4;
    const uint8_t* const* const end = tap + size_t(block.quads) * 4;
    const size_t quad = size_t(block.channels) * 4;  // its weights
    const Dots::Packed* weight = packed + size_t(block.first_four) * 4 + part * 4;
    for (; tap != end; tap += 4, weight += quad) {
        Bytes in[4];
        Dots::Woven woven[kParts];
        CRISPCAST_UNROLL for (int t = 0; t < 4; ++t) in[t] = Dots::load(tap[t] + x);
        Dots::weave(in, woven);
        const auto weights = Dots::template weights<kChannels>(weight);
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            const Dots::Four four = Dots::splat_four(weights, i);
            CRISPCAST_PARTS sum[i][j] = Dots::dot(sum[i][j], woven[j], four);
        }
    }
    if constexpr (kIsNarrow<Narrow>) {
        store_tile(row, is_simple(row), channel, kChannels, x, sum);
    } else {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i)
            store_channel<Dots>(row, channel + i, x, sum[i]);
    }
}

template <int kChannels>
void tile_of(int channels, const CodeRow& row, const Dots::Packed* packed, const QuadBlock& block,
             int part, int x) {
    if (channels == kChannels) return tile<kChannels>(row, packed, block, part, x);
    if constexpr (kChannels > 1) tile_of<kChannels - 1>(channels, row, packed, block, part, x);
}

// A block's channels in parts as even as they come, for a part shares one weaving: 16 channels at
// most 6 at a time are 6 + 5 + 5.
void block_of(const CodeRow& row, const Dots::Packed* packed, const QuadBlock& block, int x) {
    constexpr int kMost = Dots::kMostChannels;
    int left = block.channels;
    for (int parts = (left + kMost - 1) / kMost; parts > 0; --parts) {
        const int channels = (left + parts - 1) / parts;
        tile_of<kMost>(channels, row, packed, block, block.channels - left, x);
        left -= channels;
    }
}

void convolve(const CodeRow& row) {
    const Dots::Packed* packed = Dots::pack(row);
    for (int x = 0; x < row.columns; x = Dots::next(x))
        for (int b = 0; b < row.block_count; ++b) block_of(row, packed, row.blocks[b], x);
}

constexpr CodeKernels kKernels = {Dots::kFlip, convolve};

}  // namespace codes
}  // namespace
}  // namespace crispcast

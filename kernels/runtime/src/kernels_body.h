// The kernels themselves, once, over the tiny vocabulary `Simd` that the including translation unit
// has defined. Everything is in an anonymous namespace: see row_kernels.h.
//
// Every output pixel is one chain of multiply-adds in the order of the tap list, in every tile
// width, so cutting the frame differently never changes a bit.
#pragma once

#include <string.h>

#include <utility>

#include "row_kernels.h"
#include "unroll.h"

namespace crispcast {
namespace {

using V = Simd::V;
constexpr int kWidth = Simd::kWidth;

// act(sum (+ residual)) (+ residual) of one tile, then its store.
template <int kChannels, int kVectors>
inline __attribute__((always_inline)) void store_tile(const ConvRow& row, int channel, int channels,
                                                      int x, V (&sum)[kChannels][kVectors]) {
    const float* residual =
        row.residual == nullptr ? nullptr : row.residual + channel * row.stride + x;
    const bool coded = row.steps.units != nullptr;
    if (coded) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            const V unit = Simd::splat(row.steps.units[channel + i]);
            const V bias = Simd::splat(row.bias[channel + i]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) {
                sum[i][j] *= unit;
                sum[i][j] += bias;
            }
        }
    }
    const V residual_unit = Simd::splat(coded ? row.steps.residual_unit : 1.0f);
    if (residual != nullptr && !row.residual_after) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            if (i < channels) {
                CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] +=
                    Simd::load(residual + i * row.stride + j * kWidth) * residual_unit;
            }
        }
    }
    const V zero = Simd::splat(0.0f);
    if (row.activation == Activation::relu) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] =
                Simd::greater(sum[i][j], zero);
        }
    } else if (row.activation == Activation::prelu) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            const V slope = Simd::splat(row.low[channel + i]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] =
                Simd::fma(slope, Simd::smaller(sum[i][j], zero), Simd::greater(sum[i][j], zero));
        }
    } else if (row.activation == Activation::clip) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            const V low = Simd::splat(row.low[channel + i]);
            const V high = Simd::splat(row.high[channel + i]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] =
                Simd::smaller(Simd::greater(sum[i][j], low), high);
        }
    }
    if (residual != nullptr && row.residual_after) {
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            if (i < channels) {
                CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] +=
                    Simd::load(residual + i * row.stride + j * kWidth) * residual_unit;
            }
        }
    }
    if (row.exact != nullptr) {
        float* exact = row.exact + channel * row.stride + x;
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            if (i < channels) {
                CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j)
                    Simd::store(exact + i * row.stride + j * kWidth, sum[i][j]);
            }
        }
    }
    if (coded && !row.steps.last) {
        const V inverse = Simd::splat(row.steps.inverse);
        const V low = Simd::splat(float(-row.steps.zero)),
                high = Simd::splat(float(255 - row.steps.zero));
        // Adding 1.5 * 2^23 leaves whole numbers, halves to even.
        const V whole = Simd::splat(12582912.0f);
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) {
                V steps = sum[i][j] * inverse;
                steps = Simd::smaller(Simd::greater(steps, low), high);
                steps = steps + whole;
                sum[i][j] = steps - whole;
            }
        }
    }
    float* out = row.out + channel * row.stride + x;
    CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
        if (i < channels) {
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j)
                Simd::store(out + i * row.stride + j * kWidth, sum[i][j]);
        }
    }
}

// kChannels output channels (from `part` on within the block of kBlock) x kVectors vectors.
template <int kChannels, int kBlock, int kVectors>
__attribute__((noinline)) void tile(const ConvRow& row, const float* const* rows,
                                    const Block& block, int part, int x) {
    V sum[kChannels][kVectors];
    const int channel = block.channel + part;
    CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
        const V start = Simd::splat(row.start[channel + i]);
        CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] = start;
    }
    const Tap* tap = row.taps + block.first_tap;
    const Tap* const end = tap + block.taps;
    const float* weight = row.weights + size_t(block.first_tap) * kBlock + part;
    for (; tap != end; ++tap, weight += kBlock) {
        const float* in = rows[tap->row] + tap->offset;
        V column[kVectors];
        CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) column[j] = Simd::load(in + j * kWidth);
        CRISPCAST_UNROLL for (int i = 0; i < kChannels; ++i) {
            const V w = Simd::splat(weight[i]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] =
                Simd::fma(w, column[j], sum[i][j]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) Simd::settle(sum[i][j]);
        }
    }
    store_tile<kChannels, kVectors>(row, channel, block.channels - part, x, sum);
}

template <int kChannels, int kBlock, int kVectors>
void tile_of_blocks(const ConvRow& row, int x) {
    const float* rows[kMaxRowPointers];
    for (int r = 0; r < row.row_count; ++r) rows[r] = row.rows[r] + x;
    for (int b = 0; b < row.block_count; ++b) {
        const Block& block = row.blocks[b];
        for (int part = 0; part < block.channels; part += kChannels)
            tile<kChannels, kBlock, kVectors>(row, rows, block, part, x);
    }
}

template <int kChannels, int kBlock, int kVectors>
struct TileOfWidth {
    static void run(const ConvRow& row, int vectors, int x) {
        if (vectors == kVectors) return tile_of_blocks<kChannels, kBlock, kVectors>(row, x);
        TileOfWidth<kChannels, kBlock, kVectors - 1>::run(row, vectors, x);
    }
};
template <int kChannels, int kBlock>
struct TileOfWidth<kChannels, kBlock, 0> {
    static void run(const ConvRow&, int, int) {}
};

// Cuts the row into tiles as even as they come: 7 vectors at most 6 wide are 4 + 3.
template <int kChannels, int kBlock, int kMost>
void convolve_block(const ConvRow& row) {
    int vectors = row.vectors;
    int x = 0;
    for (int tiles = (vectors + kMost - 1) / kMost; tiles > 0; --tiles) {
        const int width = (vectors + tiles - 1) / tiles;
        TileOfWidth<kChannels, kBlock, kMost>::run(row, width, x);
        vectors -= width;
        x += width * kWidth;
    }
}

void convolve(const ConvRow& row) {
    if (row.block == 8) {
        convolve_block<Simd::kChannels8, 8, Simd::kTile8>(row);
    } else if (row.block == 4) {
        convolve_block<4, 4, Simd::kTile4>(row);
    } else {
        convolve_block<1, 1, Simd::kTile1>(row);
    }
}

// Lane l, column j of a square becomes lane j, column l: exchanges ever larger squares off its
// diagonal.
template <int kSize, int... kLane>
inline void exchange(V& a, V& b, std::integer_sequence<int, kLane...>) {
    const V upper =
        __builtin_shufflevector(a, b, (kLane & kSize ? kWidth + kLane - kSize : kLane)...);
    b = __builtin_shufflevector(a, b, (kLane & kSize ? kWidth + kLane : kLane + kSize)...);
    a = upper;
}
template <int kSize>
struct Transpose {
    static inline __attribute__((always_inline)) void run(V (&square)[kWidth]) {
        Transpose<kSize / 2>::run(square);
        CRISPCAST_UNROLL for (int i = 0; i < kWidth; ++i) {
            if (!(i & kSize))
                exchange<kSize>(square[i], square[i + kSize],
                                std::make_integer_sequence<int, kWidth>());
        }
    }
};
template <>
struct Transpose<0> {
    static void run(V (&)[kWidth]) {}
};

// From columns in order to interleaved ones (row_kernels.h) or back: the sample of lane l of vector
// j goes from in[l * in_lane + j * in_vector] to out[l * out_lane + j * out_vector].
inline void reorder(const float* in, ptrdiff_t in_lane, ptrdiff_t in_vector, float* out,
                    ptrdiff_t out_lane, ptrdiff_t out_vector, int vectors) {
    if (vectors < kWidth) {
        for (int j = 0; j < vectors; ++j)
            for (int l = 0; l < kWidth; ++l)
                out[l * out_lane + j * out_vector] = in[l * in_lane + j * in_vector];
        return;
    }
    const ptrdiff_t in_step = in_lane == 1 ? in_vector : in_lane;
    const ptrdiff_t out_step = out_lane == 1 ? out_vector : out_lane;
    for (int done = 0; done < vectors; done += kWidth) {
        // The last square overlaps the one before.
        const int j = done + kWidth <= vectors ? done : vectors - kWidth;
        V square[kWidth];
        CRISPCAST_UNROLL for (int i = 0; i < kWidth; ++i) square[i] =
            Simd::load(in + j * in_vector + i * in_step);
        Transpose<kWidth / 2>::run(square);
        CRISPCAST_UNROLL for (int i = 0; i < kWidth; ++i)
            Simd::store(out + j * out_vector + i * out_step, square[i]);
    }
}

void load(const uint8_t* in, int count, int vectors, float unit, float* out, float* scratch) {
    const V scale = Simd::splat(unit), shift = Simd::splat(-128 * unit);
    int x = 0;
    for (; x + kWidth <= count; x += kWidth)
        Simd::store(scratch + x, Simd::fma(Simd::load_u8(in + x), scale, shift));
    if (x < count) {
        uint8_t rest[kMaxVector] = {};
        memcpy(rest, in + x, size_t(count - x));
        Simd::store(scratch + x, Simd::fma(Simd::load_u8(rest), scale, shift));
    }
    if (count < vectors * kWidth)
        memset(scratch + count, 0, size_t(vectors * kWidth - count) * sizeof(float));
    reorder(scratch, vectors, 1, out, 1, kWidth, vectors);
}

void straighten(float* row, int vectors, float* scratch) {
    reorder(row, 1, kWidth, scratch, vectors, 1, vectors);
    memcpy(row, scratch, size_t(vectors) * kWidth * sizeof(float));
}

template <int... kLane>
inline V lanes_up(V v, std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(Simd::splat(0.0f), v, (kLane == 0 ? 0 : kWidth + kLane - 1)...);
}
template <int... kLane>
inline V lanes_down(V v, std::integer_sequence<int, kLane...>) {
    return __builtin_shufflevector(v, Simd::splat(0.0f), (kLane + 1)...);
}

void close_row(float* row, int channels, ptrdiff_t stride, int vectors, int sides, int end) {
    const auto lanes = std::make_integer_sequence<int, kWidth>();
    ptrdiff_t zeros[kMaxKernel / 2];
    int zero_count = 0;
    for (int x = end; x < end + sides && x < vectors * kWidth; ++x)
        zeros[zero_count++] = x % vectors * kWidth + x / vectors;
    for (int c = 0; c < channels; ++c, row += stride) {
        for (int i = 0; i < zero_count; ++i) row[zeros[i]] = 0.0f;
        for (int p = 1; p <= sides; ++p) {
            Simd::store(row - p * kWidth,
                        lanes_up(Simd::load(row + (vectors - p) * kWidth), lanes));
            Simd::store(row + (vectors + p - 1) * kWidth,
                        lanes_down(Simd::load(row + (p - 1) * kWidth), lanes));
        }
    }
}

typedef int32_t Integers __attribute__((vector_size(4 * kWidth)));
typedef uint16_t Halves __attribute__((vector_size(2 * kWidth)));

// kScale vectors of kWidth codes, one for each dx, woven into kScale * kWidth samples.
template <int kScale>
inline void weave(const Integers (&phase)[4], uint8_t* out) {
    if (kScale == 1) {
        typedef uint8_t Bytes __attribute__((vector_size(kWidth)));
        const Bytes woven = __builtin_convertvector(phase[0], Bytes);
        memcpy(out, &woven, sizeof woven);
        return;
    }
    if (kScale == 2) {
        const Halves woven = __builtin_convertvector(phase[0] | phase[1] << 8, Halves);
        memcpy(out, &woven, sizeof woven);
        return;
    }
    const Integers three = phase[0] | phase[1] << 8 | phase[2] << 16;
    if (kScale == 4) {
        const Integers woven = three | phase[3] << 24;
        memcpy(out, &woven, sizeof woven);
        return;
    }
    uint8_t words[sizeof three];
    memcpy(words, &three, sizeof words);
    // Four bytes a step; the fourth is overwritten by the next, so the last step writes three.
    for (int i = 0; i < kWidth - 1; ++i) memcpy(out + 3 * i, words + 4 * i, 4);
    memcpy(out + 3 * (kWidth - 1), words + 4 * (kWidth - 1), 3);
}

template <int kScale>
void finish_row(const BaseRows& rows, int dy) {
    const V zero = Simd::splat(0.0f), top = Simd::splat(255.0f);
    const V half = Simd::splat(0.5f), size = Simd::splat(128.0f);
    float* const columns = rows.columns;
    if (rows.bicubic) {
        // columns[x + 2] is LR column x after the vertical taps.
        const float* taps = rows.weights[dy];
        const uint8_t* const* in = rows.rows + rows.start[dy];
        const V v0 = Simd::splat(taps[0]), v1 = Simd::splat(taps[1]);
        const V v2 = Simd::splat(taps[2]), v3 = Simd::splat(taps[3]);
        for (int x = 0; x < rows.count + 4; x += kWidth) {
            V sum = Simd::load_u8(in[0] + x) * v0;
            sum = Simd::fma(Simd::load_u8(in[1] + x), v1, sum);
            sum = Simd::fma(Simd::load_u8(in[2] + x), v2, sum);
            sum = Simd::fma(Simd::load_u8(in[3] + x), v3, sum);
            Simd::store(columns + x, sum);
        }
    }
    const float* network =
        rows.network == nullptr ? nullptr : rows.network + dy * kScale * rows.stride;
    uint8_t* out = rows.out + dy * rows.out_stride;
    for (int x = 0; x < rows.count; x += kWidth) {
        Integers phase[4];
        CRISPCAST_UNROLL for (int dx = 0; dx < kScale; ++dx) {
            V value = size;
            if (rows.bicubic) {
                const float* taps = rows.weights[dx];
                const float* column = columns + x + rows.start[dx];
                value = Simd::load(column) * Simd::splat(taps[0]);
                value = Simd::fma(Simd::load(column + 1), Simd::splat(taps[1]), value);
                value = Simd::fma(Simd::load(column + 2), Simd::splat(taps[2]), value);
                value = Simd::fma(Simd::load(column + 3), Simd::splat(taps[3]), value);
            }
            if (network != nullptr)
                value = Simd::fma(Simd::load(network + dx * rows.stride + x), size, value);
            // The sum first: where it is no number, `greater` gives zero.
            value = Simd::smaller(Simd::greater(value, zero), top) + half;
            phase[dx] = __builtin_convertvector(value, Integers);
        }
        const int left = rows.out_count - x * kScale;
        if (left >= kWidth * kScale) {
            weave<kScale>(phase, out + x * kScale);
        } else if (left > 0) {
            uint8_t rest[4 * kMaxVector];
            weave<kScale>(phase, rest);
            memcpy(out + x * kScale, rest, size_t(left));
        }
    }
}

void finish(const BaseRows& rows) {
    for (int dy = 0; dy < rows.out_rows; ++dy) {
        if (rows.scale == 1) finish_row<1>(rows, dy);
        if (rows.scale == 2) finish_row<2>(rows, dy);
        if (rows.scale == 3) finish_row<3>(rows, dy);
        if (rows.scale == 4) finish_row<4>(rows, dy);
    }
}

constexpr RowKernels kernels_called(const char* isa, void (*convolution)(const ConvRow&) = convolve,
                                    const CodeKernels* codes = nullptr,
                                    void (*finishing)(const BaseRows&) = finish) {
    return {isa, kWidth, convolution, load, straighten, close_row, finishing, codes};
}

}  // namespace
}  // namespace crispcast

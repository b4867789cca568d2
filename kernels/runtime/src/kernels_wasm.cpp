// clang-format off: the vocabularies come before the kernels written in them
#include "simd_wasm.h"
#include "kernels_body.h"
#include "dots_wasm.h"
#include "codes_body.h"
// clang-format on

namespace crispcast {
namespace {

// Taps of a layer whose columns are found once a row, not once a tile. A browser's compiler keeps
// the address arithmetic of every tap in the loop: found beforehand, a frame takes a seventh less.
constexpr size_t kMostTaps = 4096;

template <int kVectors>
__attribute__((noinline)) void resolved_tile(const ConvRow& row, const float* const* at,
                                             const Block& block, int x) {
    V sum[4][kVectors];
    CRISPCAST_UNROLL for (int i = 0; i < 4; ++i) {
        const V start = Simd::splat(row.start[block.channel + i]);
        CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] = start;
    }
    const float* const* tap = at + block.first_tap;
    const float* const* const end = tap + block.taps;
    const float* weight = row.weights + size_t(block.first_tap) * 4;
    for (; tap != end; ++tap, weight += 4) {
        const float* in = *tap + x;
        V column[kVectors];
        CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) column[j] = Simd::load(in + j * kWidth);
        CRISPCAST_UNROLL for (int i = 0; i < 4; ++i) {
            const V w = Simd::splat(weight[i]);
            CRISPCAST_UNROLL for (int j = 0; j < kVectors; ++j) sum[i][j] =
                Simd::fma(w, column[j], sum[i][j]);
        }
    }
    store_tile<4, kVectors>(row, block.channel, block.channels, x, sum);
}

template <int kVectors>
void resolved_blocks(const ConvRow& row, const float* const* at, int x) {
    for (int b = 0; b < row.block_count; ++b) resolved_tile<kVectors>(row, at, row.blocks[b], x);
}

void convolve_resolved(const ConvRow& row) {
    const Block& newest = row.blocks[row.block_count - 1];
    const size_t taps = size_t(newest.first_tap) + newest.taps;
    if (row.block != 4 || taps > kMostTaps) return convolve(row);
    const float* at[kMostTaps];
    for (size_t t = 0; t < taps; ++t) at[t] = row.rows[row.taps[t].row] + row.taps[t].offset;
    const int last = row.vectors * kWidth;
    int x = 0;
    constexpr int kMost = Simd::kTile4;
    for (; x + (kMost - 1) * kWidth < last; x += kMost * kWidth) resolved_blocks<kMost>(row, at, x);
    for (; x < last; x += kWidth) resolved_blocks<1>(row, at, x);
}

}  // namespace

extern const RowKernels kWasmKernels;
#if defined(__wasm_relaxed_simd__)
const RowKernels kWasmKernels = kernels_called("wasm-relaxed", convolve_resolved, &codes::kKernels);
extern const CodeKernels kWasmDotCodes;
extern const RowKernels kWasmDotKernels;
const RowKernels kWasmDotKernels = kernels_called("wasm-dot", convolve_resolved, &kWasmDotCodes);
#else
const RowKernels kWasmKernels = kernels_called("wasm", convolve_resolved, &codes::kKernels);
#endif
}  // namespace crispcast

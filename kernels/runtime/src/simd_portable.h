// Four floats by the compiler's vector extensions: any processor.
#pragma once

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Simd {
    static constexpr int kWidth = 4;
    // Vectors a tile is wide for blocks of 1, 4 and 8 output channels, and the channels of a block
    // of 8 that are summed at once: as many sums as 16 registers hold beside one row and a weight.
    static constexpr int kTile1 = 8, kTile4 = 2, kTile8 = 2, kChannels8 = 4;
    typedef float V __attribute__((vector_size(16)));
    typedef float Unaligned __attribute__((vector_size(16), aligned(4), may_alias));

    static V load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
    static void store(float* p, V v) { *reinterpret_cast<Unaligned*>(p) = v; }
    static V splat(float x) { return V{x, x, x, x}; }
    static V fma(V a, V b, V c) { return a * b + c; }
    static void settle(V&) {}                             // see simd_avx2.h
    static V greater(V a, V b) { return a > b ? a : b; }  // b where a is no number
    static V smaller(V a, V b) { return a < b ? a : b; }
    static V load_u8(const uint8_t* p) {
        return V{float(p[0]), float(p[1]), float(p[2]), float(p[3])};
    }
};

}  // namespace
}  // namespace crispcast

// Four floats, WebAssembly SIMD128; with fused multiply-adds where the module may use relaxed SIMD.
#pragma once

#include <wasm_simd128.h>

#include "row_kernels.h"

namespace crispcast {
namespace {

struct Simd {
    static constexpr int kWidth = 4;
    // 8 sums + 2 columns + a weight: V8 has 15 registers on x86, and 12 sums spill.
    static constexpr int kTile1 = 8, kTile4 = 2, kTile8 = 2, kChannels8 = 4;
    typedef float V __attribute__((vector_size(16)));

    static V load(const float* p) { return V(wasm_v128_load(p)); }
    static void store(float* p, V v) { wasm_v128_store(p, v128_t(v)); }
    static V splat(float x) { return V{x, x, x, x}; }
    static V fma(V a, V b, V c) {
#if defined(__wasm_relaxed_simd__)
        return V(wasm_f32x4_relaxed_madd(v128_t(a), v128_t(b), v128_t(c)));
#else
        return a * b + c;
#endif
    }
    // The second where the first is no number.
    static void settle(V&) {}  // see simd_avx2.h
    static V greater(V a, V b) { return V(wasm_f32x4_pmax(v128_t(b), v128_t(a))); }
    static V smaller(V a, V b) { return V(wasm_f32x4_pmin(v128_t(b), v128_t(a))); }
    static V load_u8(const uint8_t* p) {
        const v128_t bytes = wasm_v128_load32_zero(p);
        return V(wasm_f32x4_convert_u32x4(
            wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(bytes))));
    }
};

}  // namespace
}  // namespace crispcast

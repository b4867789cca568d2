#include "cpu.h"

#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__wasm_relaxed_simd__)
#include <wasm_simd128.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "crispcast.h"

namespace crispcast {
namespace {

#if defined(__x86_64__)
struct X86 {
    bool avx2 = false, avxvnni = false, avx512 = false, vnni = false;

    X86() {
        unsigned a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return;
        const bool xsave = c >> 27 & 1, avx = c >> 28 & 1, fma = c >> 12 & 1;
        if (!xsave || !avx || !fma) return;
        // A processor may have registers that the system does not save: ask for both.
        unsigned saved, high;
        __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
        if ((saved & 0x6) != 0x6) return;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
        avx2 = b >> 5 & 1;
        const bool f = b >> 16 & 1, dq = b >> 17 & 1, bw = b >> 30 & 1, vl = b >> 31 & 1;
        avx512 = avx2 && f && dq && bw && vl && (saved & 0xe6) == 0xe6;
        vnni = avx512 && c >> 11 & 1;
        if (__get_cpuid_count(7, 1, &a, &b, &c, &d)) avxvnni = avx2 && a >> 4 & 1;
    }
};
#elif defined(__wasm_relaxed_simd__)
// What relaxed SIMD's dot product is here: one instruction of the processor, or three or four that
// add two products in 16 bits first, and take longer than multiplying pairs. They differ where
// nothing is promised, in what they make of weights beyond 7 bits: 16 bits saturate or wrap.
bool multiplies_four_at_once() {
    volatile int8_t most = 127, least = -128, all = -1;
    const v128_t none = wasm_i32x4_splat(0);
    const v128_t unsigned_weights =
        wasm_i32x4_relaxed_dot_i8x16_i7x16_add(wasm_i8x16_splat(most), wasm_i8x16_splat(all), none);
    const v128_t signed_weights = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(
        wasm_i8x16_splat(least), wasm_i8x16_splat(least), none);
    return wasm_i32x4_extract_lane(unsigned_weights, 0) == 4 * 127 * 255 ||
           wasm_i32x4_extract_lane(signed_weights, 0) == 4 * 128 * 128;
}
#elif defined(__aarch64__)
struct Arm {
    bool dot = false, i8mm = false;

#if defined(__linux__)
    // Bits of <asm/hwcap.h>, whose older versions lack the second.
    Arm() {
        dot = getauxval(AT_HWCAP) >> 20 & 1;
        i8mm = getauxval(AT_HWCAP2) >> 13 & 1;
    }
#elif defined(__APPLE__)
    Arm() {
        dot = says("hw.optional.arm.FEAT_DotProd");
        i8mm = says("hw.optional.arm.FEAT_I8MM");
    }

    static bool says(const char* name) {
        int value = 0;
        size_t size = sizeof value;
        return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
    }
#endif
};
#endif

struct Table {
#if defined(__wasm_simd128__)
    // What a module was built for, every browser that loads it can run.
    const RowKernels* kernels[2] = {&kWasmKernels};
#else
    const RowKernels* kernels[5] = {&kPortableKernels};
#endif
    int count = 1;

    Table() {
#if defined(__x86_64__)
        const X86 cpu;
        if (cpu.avx2) kernels[count++] = &kAvx2Kernels;
        if (cpu.avxvnni) kernels[count++] = &kAvxVnniKernels;
        if (cpu.avx512) kernels[count++] = &kAvx512Kernels;
        if (cpu.vnni) kernels[count++] = &kAvx512VnniKernels;
#elif defined(__aarch64__)
        kernels[count++] = &kNeonKernels;  // part of every AArch64 processor we run on
        const Arm cpu;
        if (cpu.dot) kernels[count++] = &kNeonDotKernels;
        if (cpu.dot && cpu.i8mm) kernels[count++] = &kNeonI8mmKernels;
#elif defined(__wasm_relaxed_simd__)
        if (multiplies_four_at_once()) kernels[count++] = &kWasmDotKernels;
#endif
    }
};

}  // namespace

const RowKernels* kernels_at(int index) {
    const Table table;
    return index >= 0 && index < table.count ? table.kernels[index] : nullptr;
}

const RowKernels* kernels_named(const char* isa) {
    const Table table;
    if (isa == nullptr || strcmp(isa, "auto") == 0) return table.kernels[table.count - 1];
    for (int i = 0; i < table.count; ++i)
        if (strcmp(isa, table.kernels[i]->isa) == 0) return table.kernels[i];
    return nullptr;
}

int usable_cores() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? int(cores) : 1;
}

}  // namespace crispcast

const char* crispcast_isa(int index) {
    const crispcast::RowKernels* kernels = crispcast::kernels_at(index);
    return kernels == nullptr ? nullptr : kernels->isa;
}

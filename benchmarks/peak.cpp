// Measures the peak rate of fp32 fused multiply-adds of one core: independent chains in registers.
// Compiled by benchmarks.peak for the processor at hand; prints nothing, returns FLOP/s.
#include <chrono>

#if defined(__AVX512F__)
typedef float Vector __attribute__((vector_size(64)));
constexpr int kChains = 24;
#elif defined(__AVX2__)
typedef float Vector __attribute__((vector_size(32)));
constexpr int kChains = 12;
#else
typedef float Vector __attribute__((vector_size(16)));
constexpr int kChains = 16;
#endif

extern "C" double fma_peak(int rounds) {
    Vector sum[kChains];
    Vector a, b;
    for (unsigned lane = 0; lane < sizeof(Vector) / sizeof(float); ++lane) {
        a[lane] = 0.999999f;
        b[lane] = 1e-7f;
    }
    for (auto& vector : sum) vector = a;
    const auto start = std::chrono::steady_clock::now();
    for (int round = 0; round < rounds; ++round) {
#pragma clang loop unroll(full)
        for (int chain = 0; chain < kChains; ++chain) sum[chain] = sum[chain] * a + b;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    volatile float used = 0.0f;  // keeps the chains from being dropped as dead
    for (auto& vector : sum) used = used + vector[0];
    const double flops = 2.0 * kChains * (sizeof(Vector) / sizeof(float)) * rounds;
    return flops / took.count();
}

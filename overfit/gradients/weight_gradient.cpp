// For each row of a picture, and each row of gradients that saw it through a row of taps:
//
//     sums[tap row][out][tap, in] += gradient[x][out] * picture[x + tap][in]      over all x
//
// A row of taps lies together in a row of samples, so the right side is one run of side * in floats
// that moves on by `in` a pixel. A tile of 6 outputs x 16 floats of it stays in registers along the
// whole row. What a tile has beyond the run's end is summed too, and left out at the end.
#include "weight_gradient.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && !defined(_WIN32)
#include <dlfcn.h>
#include <immintrin.h>
#endif

namespace crispcast {

#if defined(__x86_64__) && !defined(_WIN32)

namespace {

using std::ptrdiff_t;

constexpr ptrdiff_t kLane = 8;  // floats of a register

#define CRISPCAST_AVX2 __attribute__((target("avx2,fma")))

template <int Registers, int Outputs>
CRISPCAST_AVX2 void sum_tile(const float* run, const float* gradient, const Convolution& shape,
                             float* sums, ptrdiff_t stride) {
    __m256 total[Outputs][Registers];
    for (int o = 0; o < Outputs; ++o)
        for (int r = 0; r < Registers; ++r)
            total[o][r] = _mm256_loadu_ps(sums + o * stride + kLane * r);
    for (ptrdiff_t x = 0; x < shape.width; ++x, run += shape.in, gradient += shape.out) {
        __m256 samples[Registers];
        for (int r = 0; r < Registers; ++r) samples[r] = _mm256_loadu_ps(run + kLane * r);
        for (int o = 0; o < Outputs; ++o) {
            const __m256 factor = _mm256_broadcast_ss(gradient + o);
            for (int r = 0; r < Registers; ++r)
                total[o][r] = _mm256_fmadd_ps(factor, samples[r], total[o][r]);
        }
    }
    for (int o = 0; o < Outputs; ++o)
        for (int r = 0; r < Registers; ++r)
            _mm256_storeu_ps(sums + o * stride + kLane * r, total[o][r]);
}

// All outputs of one tile's columns. Six or four at a time: fewer wait for the multiply-adds.
template <int Registers>
CRISPCAST_AVX2 void sum_columns(const float* run, const float* gradient, const Convolution& shape,
                                float* sums, ptrdiff_t stride) {
    ptrdiff_t o = 0;
    for (; shape.out - o >= 6 && shape.out - o != 8; o += 6)
        sum_tile<Registers, 6>(run, gradient + o, shape, sums + o * stride, stride);
    for (; shape.out - o >= 4; o += 4)
        sum_tile<Registers, 4>(run, gradient + o, shape, sums + o * stride, stride);
    for (; o < shape.out; ++o)
        sum_tile<Registers, 1>(run, gradient + o, shape, sums + o * stride, stride);
}

struct Job {
    const Convolution& shape;
    const float *pictures, *gradients;
    int threads;
    ptrdiff_t stride;          // floats of a run, in whole registers
    std::vector<float>* sums;  // of each thread: [tap row][out][stride], then [out] of the bias
    int (*thread_number)();
};

void sum_rows(const Job& job, int thread) {
    const Convolution& shape = job.shape;
    const ptrdiff_t reach = shape.side / 2, rows = shape.n * shape.height;
    std::vector<float>& sums = job.sums[thread];
    sums.assign(size_t(shape.side * shape.out * job.stride + shape.out), 0.0f);
    float* const bias = sums.data() + shape.side * shape.out * job.stride;
    // The row with zeros on both sides, and with what the last tile has beyond its run.
    std::vector<float> row(size_t((shape.width + 2 * reach) * shape.in + kLane), 0.0f);
    const ptrdiff_t row_in = shape.width * shape.in, row_out = shape.width * shape.out;
    for (ptrdiff_t i = rows * thread / job.threads; i < rows * (thread + 1) / job.threads; ++i) {
        std::memcpy(row.data() + reach * shape.in, job.pictures + i * row_in,
                    size_t(row_in) * sizeof(float));
        for (ptrdiff_t tap = 0; tap < shape.side; ++tap) {
            const ptrdiff_t seen_by = i + reach - tap, y = i % shape.height + reach - tap;
            if (y < 0 || y >= shape.height) continue;
            const float* const gradient = job.gradients + seen_by * row_out;
            float* const own = sums.data() + tap * shape.out * job.stride;
            ptrdiff_t column = 0;
            for (; job.stride - column >= 2 * kLane; column += 2 * kLane)
                sum_columns<2>(row.data() + column, gradient, shape, own + column, job.stride);
            if (column < job.stride)
                sum_columns<1>(row.data() + column, gradient, shape, own + column, job.stride);
        }
        const float* gradient = job.gradients + i * row_out;
        for (ptrdiff_t x = 0; x < shape.width; ++x, gradient += shape.out)
            for (ptrdiff_t o = 0; o < shape.out; ++o) bias[o] += gradient[o];
    }
}

void run_thread(void* data) {
    const Job& job = *static_cast<const Job*>(data);
    sum_rows(job, job.thread_number());
}

// libgomp's own threads, which torch's operators use: threads beside them would wait for theirs,
// which spin for a while after each operator. These entry points are GCC's ABI.
void run_all(Job& job) {
    using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
    const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    job.thread_number = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    if (job.threads > 1 && parallel != nullptr && job.thread_number != nullptr)
        parallel(run_thread, &job, unsigned(job.threads), 0);
    else
        for (int thread = 0; thread < job.threads; ++thread) sum_rows(job, thread);
}

}  // namespace

bool has_weight_gradient() {
    return true;
}

void weight_gradient(const Convolution& shape, const float* pictures, const float* gradients,
                     int threads, float* weights, float* bias) {
    const ptrdiff_t run = shape.side * shape.in;
    std::vector<std::vector<float>> sums(size_t(std::max(threads, 1)));
    Job job{
        shape,       pictures, gradients, std::max(threads, 1), (run + kLane - 1) / kLane * kLane,
        sums.data(), nullptr};
    run_all(job);
    std::vector<float>& all = sums[0];
    for (size_t thread = 1; thread < sums.size(); ++thread)
        // A team may be smaller than asked for: what nobody did is done here.
        if (sums[thread].empty()) sum_rows(job, int(thread));
    for (size_t thread = 1; thread < sums.size(); ++thread)
        for (size_t i = 0; i < all.size(); ++i) all[i] += sums[thread][i];
    for (ptrdiff_t tap = 0; tap < shape.side; ++tap)
        for (ptrdiff_t o = 0; o < shape.out; ++o)
            std::memcpy(weights + (o * shape.side + tap) * run,
                        all.data() + (tap * shape.out + o) * job.stride,
                        size_t(run) * sizeof(float));
    std::copy_n(all.end() - shape.out, shape.out, bias);
}

#else

bool has_weight_gradient() {
    return false;
}

void weight_gradient(const Convolution&, const float*, const float*, int, float*, float*) {}

#endif

}  // namespace crispcast

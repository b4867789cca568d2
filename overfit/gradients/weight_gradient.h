// What a 3x3 (or any odd) convolution's weights and bias should change by, over pictures whose
// channels lie together (NHWC). For processors with AVX2 and no AVX-512, where oneDNN takes two to
// three times as long for it as for the convolution itself.
#pragma once

#include <cstddef>

namespace crispcast {

// Pictures [n, height, width, in], gradients [n, height, width, out], side x side taps around each
// sample, zeros outside.
struct Convolution {
    std::ptrdiff_t n, height, width, in, out, side;
};

// Whether `weight_gradient` is built in here; it needs a processor with AVX2 and FMA too.
bool has_weight_gradient();

// Writes weights [out, side, side, in] and bias [out]; sums fp32 in an order that depends on the
// shape and on `threads` alone. The threads are those of torch's OpenMP where it has one.
void weight_gradient(const Convolution& shape, const float* pictures, const float* gradients,
                     int threads, float* weights, float* bias);

}  // namespace crispcast

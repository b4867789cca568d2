// Gradients of many shapes, in buffers that end where they must, against sums of doubles.
#include "weight_gradient.h"

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

std::vector<float> noise(std::ptrdiff_t count, unsigned seed) {
    std::vector<float> made(static_cast<size_t>(count));
    for (float& value : made)
        value = float((seed = seed * 1664525 + 1013904223) >> 8) * 0x1p-23f - 1;
    return made;
}

// [out, side, side, in], then [out] of the bias.
std::vector<double> sums_of(const crispcast::Convolution& s, const std::vector<float>& pictures,
                            const std::vector<float>& gradients) {
    const std::ptrdiff_t reach = s.side / 2;
    std::vector<double> sums(size_t(s.out * s.side * s.side * s.in + s.out));
    for (std::ptrdiff_t n = 0; n < s.n; ++n)
        for (std::ptrdiff_t y = 0; y < s.height; ++y)
            for (std::ptrdiff_t x = 0; x < s.width; ++x)
                for (std::ptrdiff_t o = 0; o < s.out; ++o) {
                    const double g = gradients[((n * s.height + y) * s.width + x) * s.out + o];
                    sums[size_t(s.out * s.side * s.side * s.in + o)] += g;
                    for (std::ptrdiff_t i = 0; i < s.side * s.side * s.in; ++i) {
                        const std::ptrdiff_t from_y = y + i / (s.side * s.in) - reach;
                        const std::ptrdiff_t from_x = x + i / s.in % s.side - reach;
                        if (from_y < 0 || from_y >= s.height || from_x < 0 || from_x >= s.width)
                            continue;
                        const auto at = ((n * s.height + from_y) * s.width + from_x) * s.in;
                        sums[size_t(o * s.side * s.side * s.in + i)] += g * pictures[at + i % s.in];
                    }
                }
    return sums;
}

}  // namespace

int main() {
    if (!crispcast::has_weight_gradient()) return std::puts("none"), 0;
    const crispcast::Convolution shapes[] = {
        {3, 7, 9, 16, 32, 3}, {2, 5, 4, 1, 1, 3}, {1, 1, 1, 3, 6, 3}, {1, 4, 3, 5, 9, 9},
        {2, 6, 5, 7, 11, 5},  {1, 3, 8, 8, 8, 1}, {2, 3, 2, 2, 4, 3},
    };
    for (const auto& shape : shapes)
        for (int threads : {1, 2, 5, 40}) {
            const auto pictures = noise(shape.n * shape.height * shape.width * shape.in, 1);
            const auto gradients = noise(shape.n * shape.height * shape.width * shape.out, 2);
            const auto want = sums_of(shape, pictures, gradients);
            std::vector<float> weights(want.size() - size_t(shape.out)), bias(size_t(shape.out));
            crispcast::weight_gradient(shape, pictures.data(), gradients.data(), threads,
                                       weights.data(), bias.data());
            weights.insert(weights.end(), bias.begin(), bias.end());
            for (size_t i = 0; i < want.size(); ++i)
                if (!(std::fabs(weights[i] - want[i]) < 1e-4)) {
                    std::printf("%td channels, sum %zu: %g, not %g\n", shape.in, i, weights[i],
                                want[i]);
                    return 1;
                }
        }
    std::puts("ok");
}

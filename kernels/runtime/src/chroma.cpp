#include "chroma.h"

#include <string.h>

#include <algorithm>
#include <new>

// Done once a plate: small rather than fast.
#define CRISPCAST_ONCE __attribute__((cold))

namespace crispcast {
namespace {

constexpr int kFull = 128;   // 1 << 7: a weight that takes the plate as it is
constexpr int kUnits = 64;   // of a step between weights
constexpr int kMargin = 16;  // of rows of weights, on both sides
constexpr int kMost = 9 * 255;
constexpr uint8_t kAbsent = 0;

constexpr int kMostTaps = 20;

// Keys' cubic (a = -0.5), stretched by scale, at an LR sample's HR samples and those 2 * scale
// around: times 16 * scale^3, so that all sum to 16 * scale^4.
struct Shrinking {
    explicit Shrinking(int scale) : scale(scale), taps(5 * scale) {
        const int unit = 2 * scale;
        for (int i = 0; i < taps; ++i) {
            const int signed_distance = 2 * (i - 2 * scale) - (scale - 1);
            const int n = signed_distance < 0 ? -signed_distance : signed_distance;
            if (n < unit) {
                weights[i] = 3 * n * n * n - 5 * n * n * unit + 2 * unit * unit * unit;
            } else if (n < 2 * unit) {
                weights[i] =
                    -n * n * n + 5 * n * n * unit - 8 * n * unit * unit + 4 * unit * unit * unit;
            } else {
                weights[i] = 0;
            }
        }
    }

    // LR sample `at` of a line of `count` HR samples that lie `step` apart, edges repeated.
    template <class T>
    int64_t gather(const T* line, ptrdiff_t step, int at, int count) const {
        int64_t sum = 0;
        for (int i = 0; i < taps; ++i) {
            const int place = (at - 2) * scale + i;
            sum += int64_t(weights[i]) * line[std::min(std::max(place, 0), count - 1) * step];
        }
        return sum;
    }

    int scale, taps;
    int weights[kMostTaps];
};

// An HR plane brought down as encoders bring down the LR, by an antialiased bicubic.
CRISPCAST_ONCE bool shrink(const Array<uint8_t>& plane, int width, int height, int scale,
                           Array<uint8_t>& out) {
    const Shrinking shrinking(scale);
    const int high_width = width * scale, high_height = height * scale;
    Array<int32_t> half;  // shrunk along the rows
    if (!half.resize(size_t(width) * high_height) || !out.resize(size_t(width) * height))
        return false;
    for (int y = 0; y < high_height; ++y) {
        const uint8_t* line = plane.data() + size_t(y) * high_width;
        for (int x = 0; x < width; ++x)
            half[size_t(y) * width + x] = int32_t(shrinking.gather(line, 1, x, high_width));
    }
    const int64_t side = 16 * int64_t(scale) * scale * scale * scale, whole = side * side;
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            const int64_t sum = shrinking.gather(half.data() + x, width, y, high_height);
            const int64_t code = sum < 0 ? 0 : (sum + whole / 2) / whole;
            out[size_t(y) * width + x] = uint8_t(std::min<int64_t>(code, 255));
        }
    return true;
}

// LR samples all of whose HR samples, and those of the eight around it, are there.
CRISPCAST_ONCE bool find_known(const crispcast_chroma_plate& plate, Array<uint8_t>& known) {
    const int width = plate.width, height = plate.height, scale = plate.scale;
    if (!known.resize(size_t(width) * height)) return false;
    memset(known.data(), 1, known.size());
    for (int y = 0; y < height * scale; ++y) {
        const uint8_t* row = plate.row(0, y);
        for (int x = 0; x < width * scale; ++x) {
            if (row[x] != kAbsent) continue;
            const int low = x / scale, line = y / scale;
            for (int j = std::max(line - 1, 0); j <= std::min(line + 1, height - 1); ++j)
                for (int i = std::max(low - 1, 0); i <= std::min(low + 1, width - 1); ++i)
                    known[size_t(j) * width + i] = 0;
        }
    }
    return true;
}

CRISPCAST_ONCE bool find_weights(int tolerance, Array<uint8_t>& weights) {
    if (!weights.resize(kMost + 1)) return false;
    for (int miss = 0; miss <= kMost; ++miss) {
        const int left = std::min(std::max(2 * tolerance - miss, 0), tolerance);
        weights[size_t(miss)] = uint8_t(left * kFull / tolerance);
    }
    return true;
}

size_t pitch_of(int width) {
    return size_t(width) + 2 * kMargin;
}

// The weights of LR row y, its ends repeated once on both sides.
void weigh(const crispcast_chroma_plate& plate, const PlanePair* chroma, int y, int16_t* sums,
           uint8_t* out) {
    const int width = plate.width;
    int16_t* const column = sums + kMargin;
    int16_t* const worst = column + pitch_of(width);
    memset(worst, 0, size_t(width) * sizeof *worst);
    for (int c = 0; c < 2; ++c) {
        memset(column, 0, size_t(width) * sizeof *column);
        for (int j = y - 1; j <= y + 1; ++j) {
            const int line = std::min(std::max(j, 0), plate.height - 1);
            const uint8_t* low = chroma[c].in.data + line * chroma[c].in.stride;
            const uint8_t* small = plate.small[c].data() + size_t(line) * width;
            for (int x = 0; x < width; ++x) column[x] = int16_t(column[x] + low[x] - small[x]);
        }
        column[-1] = column[0];
        column[width] = column[width - 1];
        for (int x = 0; x < width; ++x) {
            const int sum = column[x - 1] + column[x] + column[x + 1];
            const int miss = sum < 0 ? -sum : sum;
            worst[x] = int16_t(miss > worst[x] ? miss : worst[x]);
        }
    }
    const uint8_t* known = plate.known.data() + size_t(y) * width;
    const uint8_t* weights = plate.weights.data();
    for (int x = 0; x < width; ++x) out[x] = known[x] ? weights[worst[x]] : 0;
    out[-1] = out[0];
    out[width] = out[width - 1];
}

// Where HR sample `phase` of an LR sample lies: towards its neighbour on `side`, that many units.
struct Step {
    Step(int phase, int scale) {
        const int k = 2 * phase + 1 - scale;
        side = k < 0 ? -1 : 1;
        units = kUnits * (k < 0 ? -k : k) / (2 * scale);
    }
    int side, units;
};

uint8_t between(uint16_t here, uint16_t there, uint16_t units) {
    return uint8_t(uint16_t(here * uint16_t(kUnits - units) + there * units + kUnits / 2) / kUnits);
}

// A row of weights at HR samples; its ends are repeated already.
template <int kScale>
void widen(const uint8_t* row, int count, uint8_t* out) {
    const Step steps[4] = {{0, kScale}, {1, kScale}, {2, kScale}, {3, kScale}};
    for (int x = 0; x < count; ++x)
        for (int dx = 0; dx < kScale; ++dx)
            out[x * kScale + dx] =
                between(row[x], row[x + steps[dx].side], uint16_t(steps[dx].units));
}

void widen(const uint8_t* row, int count, int scale, uint8_t* out) {
    if (scale == 1) return widen<1>(row, count, out);
    if (scale == 2) return widen<2>(row, count, out);
    if (scale == 3) return widen<3>(row, count, out);
    widen<4>(row, count, out);
}

}  // namespace

bool ChromaRows::reserve(const crispcast_chroma_plate& plate) {
    const size_t low = pitch_of(plate.width);
    return sums.resize(std::max(sums.size(), 2 * low)) &&
           weights.resize(std::max(weights.size(), 4 * low + size_t(plate.scale) * plate.width));
}

void mend(const crispcast_chroma_plate& plate, const PlanePair* chroma, int plane, int y0, int y1,
          ChromaRows& rows) {
    const int width = plate.width, scale = plate.scale, last = plate.height - 1;
    const size_t pitch = pitch_of(width);
    uint8_t* above = rows.weights.data() + kMargin;
    uint8_t* here = above + pitch;
    uint8_t* below = here + pitch;
    uint8_t* const mixed = below + pitch;
    uint8_t* const wide = mixed + pitch - kMargin;
    const PlanePair& pair = chroma[plane];
    const int out_width = pair.out_width;
    weigh(plate, chroma, std::max(y0 - 1, 0), rows.sums.data(), above);
    weigh(plate, chroma, y0, rows.sums.data(), here);
    for (int y = y0; y < y1; ++y) {
        weigh(plate, chroma, std::min(y + 1, last), rows.sums.data(), below);
        for (int dy = 0; dy < scale && y * scale + dy < pair.out_height; ++dy) {
            const Step down(dy, scale);
            const uint8_t* there = down.side < 0 ? above : below;
            for (int x = -1; x <= width; ++x)
                mixed[x] = between(here[x], there[x], uint16_t(down.units));
            widen(mixed, width, scale, wide);
            const uint8_t* in = plate.row(plane, y * scale + dy);
            uint8_t* out = pair.out.data + (y * scale + dy) * pair.out.stride;
            for (int x = 0; x < out_width; ++x) {
                const int16_t missing = int16_t(in[x] - out[x]);
                const int16_t share = int16_t(missing * int16_t(wide[x]) + kFull / 2);
                out[x] = uint8_t(out[x] + (share >> 7));
            }
        }
        std::swap(above, here);
        std::swap(here, below);
    }
}

}  // namespace crispcast

CRISPCAST_ONCE crispcast_status crispcast_chroma_plate_create(const uint8_t* u, ptrdiff_t u_stride,
                                                              const uint8_t* v, ptrdiff_t v_stride,
                                                              int width, int height, int scale,
                                                              int tolerance,
                                                              crispcast_chroma_plate** plate) {
    using namespace crispcast;
    if (plate == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *plate = nullptr;
    if (u == nullptr || v == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    if (tolerance < 1 || tolerance > CRISPCAST_MAX_TOLERANCE) return CRISPCAST_ERROR_ARGUMENT;
    const int most = CRISPCAST_MAX_SIDE / 2;
    if (scale < 1 || scale > 4 || width < scale || height < scale || width % scale ||
        height % scale || width / scale > most || height / scale > most)
        return CRISPCAST_ERROR_SIZE;
    if (u_stride < width || v_stride < width) return CRISPCAST_ERROR_STRIDE;
    crispcast_chroma_plate* made = new (std::nothrow) crispcast_chroma_plate;
    if (made == nullptr) return CRISPCAST_ERROR_MEMORY;
    made->width = width / scale;
    made->height = height / scale;
    made->scale = scale;
    const uint8_t* const planes[2] = {u, v};
    const ptrdiff_t strides[2] = {u_stride, v_stride};
    bool there = true;
    for (int c = 0; c < 2 && there; ++c) {
        there = made->planes[c].resize(size_t(width) * height);
        for (int y = 0; y < height && there; ++y)
            memcpy(made->planes[c].data() + size_t(y) * width, planes[c] + y * strides[c],
                   size_t(width));
        there = there && shrink(made->planes[c], made->width, made->height, scale, made->small[c]);
    }
    if (!there || !find_known(*made, made->known) || !find_weights(tolerance, made->weights)) {
        delete made;
        return CRISPCAST_ERROR_MEMORY;
    }
    *plate = made;
    return CRISPCAST_OK;
}

void crispcast_chroma_plate_destroy(crispcast_chroma_plate* plate) {
    delete plate;
}

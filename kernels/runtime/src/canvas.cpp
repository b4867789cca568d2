#include "canvas.h"

#include <math.h>
#include <string.h>

#include <new>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

using namespace crispcast;

namespace {

constexpr int kCell = 32;                     // side of a cell of the mesh, in HR samples
constexpr int32_t kFarthestCorner = 1 << 19;  // 32768 samples, in 1/16
constexpr double kFarthestPoint = 1 << 25;    // 32768 samples, in 1/1024
constexpr double kLeastDepth = 0.25;          // of a point of the mesh; the top left has 1
constexpr uint8_t kAbsent = 128;

// Keys' cubic (a = -0.5) at 32 phases, each row of sum 128.
struct Weights {
    // Twice horizontally, w0 w1 w2 w3 w0 w1 w2 w3; vertically each doubled, w0 w0 w1 w1 ...
    alignas(16) int16_t across[32][8] = {};
    alignas(16) int16_t down[32][8] = {};

    constexpr Weights() {
        for (int p = 0; p < 32; ++p) {
            const int square = p * p, cube = square * p;
            int w[4] = {};
            w[0] = (-cube + 64 * square - 1024 * p + 256) >> 9;
            w[1] = (3 * cube - 160 * square + 65536 + 256) >> 9;
            w[3] = (cube - 32 * square + 256) >> 9;
            w[2] = 128 - w[0] - w[1] - w[3];
            for (int i = 0; i < 4; ++i) {
                across[p][i] = across[p][i + 4] = int16_t(w[i]);
                down[p][2 * i] = down[p][2 * i + 1] = int16_t(w[i]);
            }
        }
    }
};

constexpr Weights kWeights;

uint8_t clamp_code(int32_t sum) {
    const int32_t code = (sum + (1 << 13)) >> 14;
    return uint8_t(code < 0 ? 0 : code > 255 ? 255 : code);
}

// The sample at (u, v) in 1/32 canvas samples, inside the canvas.
uint8_t sample(const crispcast_canvas& canvas, int32_t u, int32_t v) {
    const uint8_t* in = canvas.at((u >> 5) - 1, (v >> 5) - 1);
    const int16_t* across = kWeights.across[u & 31];
    const int16_t* down = kWeights.down[v & 31];
    int32_t sum = 0;
    for (int i = 0; i < 4; ++i, in += canvas.stride)
        sum += down[2 * i] *
               (in[0] * across[0] + in[1] * across[1] + in[2] * across[2] + in[3] * across[3]);
    return clamp_code(sum);
}

#if defined(__SSE2__)
__m128i four_bytes(const uint8_t* in) {
    int32_t word;
    memcpy(&word, in, 4);
    return _mm_cvtsi32_si128(word);
}

// Four partial sums of `sample`. Sums of two products stay inside 16 bits: one weight of the outer
// pair is never positive, and the inner ones are at most 128.
__m128i partial_sums(const crispcast_canvas& canvas, int32_t u, int32_t v) {
    const uint8_t* in = canvas.at((u >> 5) - 1, (v >> 5) - 1);
    const ptrdiff_t stride = canvas.stride;
    const __m128i zero = _mm_setzero_si128();
    const __m128i across = _mm_load_si128((const __m128i*)kWeights.across[u & 31]);
    const __m128i upper = _mm_unpacklo_epi32(four_bytes(in), four_bytes(in + stride));
    const __m128i lower =
        _mm_unpacklo_epi32(four_bytes(in + 2 * stride), four_bytes(in + 3 * stride));
    const __m128i halves = _mm_packs_epi32(_mm_madd_epi16(_mm_unpacklo_epi8(upper, zero), across),
                                           _mm_madd_epi16(_mm_unpacklo_epi8(lower, zero), across));
    return _mm_madd_epi16(halves, _mm_load_si128((const __m128i*)kWeights.down[v & 31]));
}
#endif

// `count` samples from (u, v) on, all inside the canvas; steps and positions in 1/32768.
void run_inside(const crispcast_canvas& canvas, int32_t u, int32_t v, int32_t du, int32_t dv,
                int count, uint8_t* out) {
    int i = 0;
#if defined(__SSE2__)
    for (; i + 4 <= count; i += 4) {
        __m128i sums[4];
        for (__m128i& sum : sums) {
            sum = partial_sums(canvas, u >> 10, v >> 10);
            u += du;
            v += dv;
        }
        const __m128i a = _mm_unpacklo_epi32(sums[0], sums[1]);
        const __m128i b = _mm_unpackhi_epi32(sums[0], sums[1]);
        const __m128i c = _mm_unpacklo_epi32(sums[2], sums[3]);
        const __m128i d = _mm_unpackhi_epi32(sums[2], sums[3]);
        const __m128i ab = _mm_add_epi32(a, b), cd = _mm_add_epi32(c, d);
        __m128i sum = _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
        sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << 13)), 14);
        sum = _mm_packs_epi32(sum, sum);
        const int32_t word = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
        memcpy(out + i, &word, 4);
    }
#endif
    for (; i < count; ++i) {
        out[i] = sample(canvas, u >> 10, v >> 10);
        u += du;
        v += dv;
    }
}

bool inside(const crispcast_canvas& canvas, int32_t u, int32_t v) {
    return u >= 0 && v >= 0 && u >> 15 < canvas.width && v >> 15 < canvas.height;
}

// As run_inside, anywhere.
void run_anywhere(const crispcast_canvas& canvas, int32_t u, int32_t v, int32_t du, int32_t dv,
                  int count, uint8_t* out) {
    // Positions of a run lie on a line: if its ends are inside, all are.
    if (inside(canvas, u, v) && inside(canvas, u + du * (count - 1), v + dv * (count - 1)))
        return run_inside(canvas, u, v, du, dv, count, out);
    for (int i = 0; i < count; ++i) {
        out[i] = inside(canvas, u, v) ? sample(canvas, u >> 10, v >> 10) : kAbsent;
        u += du;
        v += dv;
    }
}

int32_t rounded(double samples_by_16) {
    const double at = floor(samples_by_16 * 64 + 0.5);
    return int32_t(at < -kFarthestPoint  ? -kFarthestPoint
                   : at > kFarthestPoint ? kFarthestPoint
                                         : at);
}

}  // namespace

namespace crispcast {

// The projective map of a unit square onto a quadrilateral (P. Heckbert, Fundamentals of Texture
// Mapping and Image Warping, 1989, section 2.2.3), in double precision and in this order.
crispcast_status View::look(const crispcast_canvas& canvas, const int32_t* corners, int width,
                            int height) {
    double x[4], y[4];
    for (int i = 0; i < 4; ++i) {
        x[i] = corners[2 * i];
        y[i] = corners[2 * i + 1];
        if (fabs(x[i]) > kFarthestCorner || fabs(y[i]) > kFarthestCorner)
            return CRISPCAST_ERROR_VIEW;
    }
    const double dx1 = x[1] - x[2], dx2 = x[3] - x[2], sx = x[0] - x[1] + x[2] - x[3];
    const double dy1 = y[1] - y[2], dy2 = y[3] - y[2], sy = y[0] - y[1] + y[2] - y[3];
    const double area = dx2 * dy1 - dx1 * dy2;
    if (area < 1) return CRISPCAST_ERROR_VIEW;  // a whole number: none, or mirrored
    const double g = (dx2 * sy - sx * dy2) / area, h = (sx * dy1 - dx1 * sy) / area;
    const double a = x[1] - x[0] + g * x[1], b = x[3] - x[0] + h * x[3];
    const double d = y[1] - y[0] + g * y[1], e = y[3] - y[0] + h * y[3];

    columns_ = (width + kCell - 1) / kCell + 1;
    const int rows = (height + kCell - 1) / kCell + 1;
    if (!mesh_.resize(size_t(columns_) * size_t(rows))) return CRISPCAST_ERROR_MEMORY;
    Point* point = mesh_.data();
    for (int j = 0; j < rows; ++j) {
        const double t = double(j * kCell) / height;
        for (int i = 0; i < columns_; ++i, ++point) {
            const double s = double(i * kCell) / width;
            double depth = g * s + h * t + 1;
            if (depth < kLeastDepth) depth = kLeastDepth;
            point->u = rounded((a * s + b * t + x[0]) / depth);
            point->v = rounded((d * s + e * t + y[0]) / depth);
        }
    }
    canvas_ = &canvas;
    return CRISPCAST_OK;
}

void View::row(int y, int x0, int x1, uint8_t* out) const {
    const Point* above = mesh_.data() + size_t(y / kCell) * size_t(columns_);
    const Point* below = above + columns_;
    const int down = y % kCell;
    const auto between = [down](int32_t a, int32_t b) {
        return (a * (kCell - down) + b * down + kCell / 2) >> 5;
    };
    for (int x = x0; x < x1;) {
        const int i = x / kCell, k = x % kCell;
        const int count = x1 - x < kCell - k ? x1 - x : kCell - k;
        const int32_t u = between(above[i].u, below[i].u), v = between(above[i].v, below[i].v);
        const int32_t du = between(above[i + 1].u, below[i + 1].u) - u;
        const int32_t dv = between(above[i + 1].v, below[i + 1].v) - v;
        // Rounded to the nearest 1/32 by the shift that follows.
        run_anywhere(*canvas_, u * kCell + du * k + 512, v * kCell + dv * k + 512, du, dv, count,
                     out);
        x += count;
        out += count;
    }
}

void View::planes(int y, int x0, int count, int scale, uint8_t* out) const {
    uint8_t* samples = out + size_t(scale) * size_t(scale) * size_t(count);
    for (int dy = 0; dy < scale; ++dy) {
        row(y * scale + dy, x0 * scale, (x0 + count) * scale, samples);
        for (int dx = 0; dx < scale; ++dx, out += count)
            for (int x = 0; x < count; ++x) out[x] = samples[x * scale + dx];
    }
}

}  // namespace crispcast

crispcast_status crispcast_canvas_create(const uint8_t* luma, ptrdiff_t stride, int width,
                                         int height, crispcast_canvas** canvas) {
    if (canvas == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *canvas = nullptr;
    if (luma == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    if (width < 1 || height < 1 || width > CRISPCAST_MAX_SIDE || height > CRISPCAST_MAX_SIDE)
        return CRISPCAST_ERROR_SIZE;
    if (stride < width) return CRISPCAST_ERROR_STRIDE;
    constexpr int border = crispcast_canvas::kBorder;
    crispcast_canvas* made = new (std::nothrow) crispcast_canvas;
    const size_t row = size_t(width) + 2 * border;
    if (made == nullptr || !made->samples.resize(row * (size_t(height) + 2 * border))) {
        delete made;
        return CRISPCAST_ERROR_MEMORY;
    }
    made->width = width;
    made->height = height;
    made->stride = ptrdiff_t(row);
    for (int y = -border; y < height + border; ++y) {
        const uint8_t* in = luma + (y < 0 ? 0 : y < height ? y : height - 1) * stride;
        uint8_t* out = made->samples.data() + (y + border) * made->stride;
        memset(out, in[0], border);
        memcpy(out + border, in, size_t(width));
        memset(out + border + width, in[width - 1], border);
    }
    *canvas = made;
    return CRISPCAST_OK;
}

void crispcast_canvas_destroy(crispcast_canvas* canvas) {
    delete canvas;
}

crispcast_status crispcast_canvas_render(const crispcast_canvas* canvas, const int32_t* view,
                                         int frame_width, int frame_height, int x, int y, int width,
                                         int height, uint8_t* out, ptrdiff_t stride) {
    if (canvas == nullptr || view == nullptr || out == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    constexpr int most = 4 * CRISPCAST_MAX_SIDE;
    if (frame_width < 1 || frame_height < 1 || frame_width > most || frame_height > most || x < 0 ||
        y < 0 || width < 1 || height < 1 || width > frame_width - x || height > frame_height - y)
        return CRISPCAST_ERROR_SIZE;
    if (stride < width) return CRISPCAST_ERROR_STRIDE;
    View seen;
    const crispcast_status status = seen.look(*canvas, view, frame_width, frame_height);
    if (status != CRISPCAST_OK) return status;
    for (int row = 0; row < height; ++row) seen.row(y + row, x, x + width, out + row * stride);
    return CRISPCAST_OK;
}

#include "interpolation.h"

#include <string.h>

namespace crispcast {
namespace {

int clamp(int x, int low, int high) {
    return x < low ? low : x > high ? high : x;
}

// Columns x0 - 2 ... x1 + 1 of LR row y, edges repeated.
void copy_row(const PlanePair& plane, int y, int x0, int x1, uint8_t* out) {
    const uint8_t* in = plane.in.data + clamp(y, 0, plane.height - 1) * plane.in.stride;
    const int from = x0 - 2, to = x1 + 2;
    const int first = clamp(from, 0, plane.width), last = clamp(to, 0, plane.width);
    memset(out, in[0], size_t(first - from));
    memcpy(out + (first - from), in + first, size_t(last - first));
    memset(out + (last - from), in[plane.width - 1], size_t(to - last));
}

}  // namespace

CubicTaps::CubicTaps(int scale) {
    for (int phase = 0; phase < scale; ++phase) {
        double t = (phase + 0.5) / scale - 0.5;
        start[phase] = t < 0 ? 0 : 1;
        if (t < 0) t += 1;
        const double distance[4] = {1 + t, t, 1 - t, 2 - t};
        for (int i = 0; i < 4; ++i) {
            const double d = distance[i];
            weights[phase][i] =
                float(d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2);
        }
    }
}

void finish_row(const RowKernels& kernels, const PlanePair& plane, int scale, const CubicTaps& taps,
                bool bicubic, int y, int x0, int x1, const float* network, ptrdiff_t stride,
                BaseScratch& scratch) {
    if (bicubic)
        for (int i = 0; i < 5; ++i) copy_row(plane, y - 2 + i, x0, x1, scratch.rows[i]);
    const int out_x = x0 * scale, out_y = y * scale;
    const int wanted = (x1 - x0) * scale, there = plane.out_width - out_x;
    const int below = plane.out_height - out_y;
    BaseRows rows = {};
    for (int i = 0; i < 5; ++i) rows.rows[i] = scratch.rows[i];
    rows.bicubic = bicubic;
    rows.weights = taps.weights;
    rows.start = taps.start;
    rows.scale = scale;
    rows.count = x1 - x0;
    rows.network = network;
    rows.stride = stride;
    rows.columns = scratch.columns;
    rows.out = plane.out.data + out_y * plane.out.stride + out_x;
    rows.out_stride = plane.out.stride;
    rows.out_rows = below < scale ? below : scale;
    rows.out_count = wanted < there ? wanted : there;
    kernels.finish(rows);
}

void interpolate(const RowKernels& kernels, const PlanePair& plane, int scale,
                 const CubicTaps& taps, int x0, int y0, int x1, int y1, BaseScratch& scratch) {
    for (int x = x0; x < x1; x += kMaxPiece) {
        const int end = x + kMaxPiece < x1 ? x + kMaxPiece : x1;
        for (int y = y0; y < y1; ++y)
            finish_row(kernels, plane, scale, taps, true, y, x, end, nullptr, 0, scratch);
    }
}

}  // namespace crispcast

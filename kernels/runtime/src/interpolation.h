// The bicubic base: Keys' cubic with a = -0.5 (R. Keys, 1981), half-pixel centres, edges repeated.
#pragma once

#include "crispcast.h"
#include "row_kernels.h"

namespace crispcast {

// Taps of one scale by phase: the HR sample `phase` of LR sample x sums LR samples
// x - 2 + start ... x + 1 + start.
struct CubicTaps {
    float weights[4][4];
    int start[4];

    explicit CubicTaps(int scale);
};

// What one thread needs to finish rows.
struct BaseScratch {
    uint8_t rows[5][kMaxBaseColumns];  // LR rows y - 2 ... y + 2 from column x0 - 2
    float columns[4 * kMaxBaseColumns];
};

// One plane of LR and HR samples.
struct PlanePair {
    crispcast_plane in;
    crispcast_mutable_plane out;
    int width, height;          // LR
    int out_width, out_height;  // HR, at most scale times LR
};

// The HR rows of LR row y, columns x0 ... x1 - 1: base + network. `network` is the scale^2 channels
// of the last layer at column x0 (null: none), `stride` floats apart.
void finish_row(const RowKernels& kernels, const PlanePair& plane, int scale, const CubicTaps& taps,
                bool bicubic, int y, int x0, int x1, const float* network, ptrdiff_t stride,
                BaseScratch& scratch);

// Plain interpolation of a rectangle of LR samples.
void interpolate(const RowKernels& kernels, const PlanePair& plane, int scale,
                 const CubicTaps& taps, int x0, int y0, int x1, int y1, BaseScratch& scratch);

}  // namespace crispcast

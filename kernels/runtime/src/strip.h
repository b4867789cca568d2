// One strip of the frame through all layers of a plan, depth first: a few rows of each layer live
// at a time, in rings that stay in the cache.
#pragma once

#include "interpolation.h"
#include "plan.h"
#include "plate.h"

namespace crispcast {

// What the whole frame shares.
struct Frame {
    PlanePair planes[3];  // Y, U, V
    crispcast_plane previous;
    const crispcast_plate* plate;  // null: code 128
    int scale;
    CubicTaps taps;
};

// LR columns x0 ... x1 - 1 of rows y0 ... y1 - 1; with its halo inside the frame at most
// plan.columns wide.
struct Strip {
    int x0, y0, x1, y1;
};

// What one thread needs to run strips.
struct Arena {
    Array<float> rows;
    uint64_t plan = 0;  // whose rings are laid out in `rows`, so whose borders are zero
    BaseScratch base;

    bool reserve(const Plan& plan) { return rows.reserve(plan.arena_floats); }
};

// `arena` must have been reserved for the plan.
void run_strip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
               Arena& arena);

}  // namespace crispcast

// One strip of the frame through all layers of a plan, depth first: a few rows of each layer live
// at a time, in rings that stay in the cache.
#pragma once

#include "canvas.h"
#include "chroma.h"
#include "interpolation.h"
#include "plan.h"
#include "plate.h"

namespace crispcast {

// What the whole frame shares.
struct Frame {
    PlanePair planes[3];  // Y, U, V
    crispcast_plane previous;
    const crispcast_plate* plate;          // null: code 128
    const View* view;                      // of a canvas, instead of a plate; null: none
    const crispcast_chroma_plate* chroma;  // null: none
    int scale;
    CubicTaps taps;

    // Row y of a channel of an input, at column 0; null: an absent plate.
    const uint8_t* input_row(Input input, int channel, int y) const {
        if (input == Input::plate) return plate == nullptr ? nullptr : plate->row(channel, y);
        const crispcast_plane& plane = input == Input::previous ? previous : planes[0].in;
        return plane.data + y * plane.stride;
    }
};

// LR columns x0 ... x1 - 1 of rows y0 ... y1 - 1; with its halo inside the frame at most the
// layout's columns wide.
struct Strip {
    int x0, y0, x1, y1;
};

// What one thread needs to run strips.
struct Arena {
    Array<uint8_t> rows;
    Array<uint8_t> seen;  // a row of a canvas: View::planes
    uint64_t plan = 0;    // whose rings are laid out in `rows`, so whose borders are zero
    ChromaRows chroma;
    BaseScratch base;

    bool reserve(const RowKernels& kernels, const Plan& plan);
};

// Whether a plan runs on dot products of codes here.
bool runs_codes(const RowKernels& kernels, const Plan& plan);

// `arena` must have been reserved for the plan.
void run_strip(const RowKernels& kernels, const Plan& plan, const Frame& frame, const Strip& strip,
               Arena& arena);

}  // namespace crispcast

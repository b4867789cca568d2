// From patches to pieces of work: checks that patches tile the frame, joins neighbours of one
// expert into rectangles, cuts those into strips for the cache and shares them out among threads.
#pragma once

#include "plan.h"

namespace crispcast {

struct Rectangle {
    const Plan* plan;  // null: interpolation
    int x0, y0, x1, y1;
};

// A piece of one plane; plane 0 runs its plan, planes 1 and 2 are always interpolated.
struct Piece {
    const Plan* plan;
    int plane;
    int x0, y0, x1, y1;
    uint64_t cost;
};

class Tiling {
  public:
    // Rectangles of the luma plane. `status` tells which rule the patches break.
    crispcast_status set_patches(const crispcast_frame_job& job);

    // Pieces of all planes, the costliest first. `dots`: coded plans run on rows of codes.
    crispcast_status cut(int width, int height, int threads, bool dots);

    const Array<Piece>& pieces() const { return pieces_; }
    size_t bytes() const;

  private:
    crispcast_status join(const crispcast_frame_job& job);
    bool cut_rectangle(const Rectangle& rectangle, int width, uint64_t share, bool dots);
    bool cut_bands(const Rectangle& rectangle, int plane, int bands);

    Array<crispcast_patch> sorted_;
    Array<int32_t> filled_;  // by column: rows of the frame tiled so far
    Array<int32_t> newest_;  // by column: the newest rectangle that begins there, or -1
    Array<Rectangle> rectangles_;
    Array<Piece> pieces_;
};

}  // namespace crispcast

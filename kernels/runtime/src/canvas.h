// A canvas: a plate larger than the frame. A view says where the frame lies in it; the rows of the
// plate that a frame needs are warped as they are read. docs/canvas.md fixes every bit.
#pragma once

#include "array.h"
#include "crispcast.h"

struct crispcast_canvas {
    int width = 0, height = 0;
    ptrdiff_t stride = 0;
    crispcast::Array<uint8_t> samples;  // with kBorder repeated samples on all sides

    const uint8_t* at(int x, int y) const {
        return samples.data() + (y + kBorder) * stride + x + kBorder;
    }

    static constexpr int kBorder = 2;
};

namespace crispcast {

// The mesh of one view: where every 32nd sample of every 32nd HR row lies in the canvas.
class View {
  public:
    // `corners`: x, y of the HR frame's corners in 1/16 canvas samples, clockwise from the top
    // left. Any numbers are safe. Allocates nothing for a frame no larger than before.
    crispcast_status look(const crispcast_canvas& canvas, const int32_t* corners, int width,
                          int height);

    // Samples x0 ... x1 - 1 of HR row y, all inside the frame; 128 where the canvas ends.
    void row(int y, int x0, int x1, uint8_t* out) const;

    // The scale^2 rows of plate planes behind LR row y, columns x0 ... x0 + count - 1, one after
    // the other. `out` holds scale * (scale + 1) * count samples.
    void planes(int y, int x0, int count, int scale, uint8_t* out) const;

    size_t bytes() const { return mesh_.bytes(); }

  private:
    struct Point {
        int32_t u, v;  // 1/1024 canvas samples
    };

    const crispcast_canvas* canvas_ = nullptr;
    Array<Point> mesh_;
    int columns_ = 0;  // of the mesh
};

}  // namespace crispcast

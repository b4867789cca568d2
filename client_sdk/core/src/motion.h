// Motion records: the views that a segment's frames have of its canvas. Format: docs/canvas.md; the
// Python twin is client_sdk/contract/motion.py.
#pragma once

#include "text.h"

namespace crispcast::client {

// x, y of the HR frame's corners in 1/16 canvas samples, clockwise from the top left.
struct CanvasView {
    int32_t corners[8];
};

// The views of a segment of `frames` frames. CRISPCAST_ERROR_MOTION on any bytes that are none,
// CRISPCAST_ERROR_MEMORY; `views` is then empty.
int32_t decode_motion(const uint8_t* bytes, size_t size, int64_t frames, Array<CanvasView>& views);

}  // namespace crispcast::client

// The chroma of a plate, and how it mends what was interpolated from the LR's. docs/chroma.md fixes
// every bit.
#pragma once

#include "array.h"
#include "crispcast.h"
#include "interpolation.h"

struct crispcast_chroma_plate {
    int width = 0, height = 0, scale = 0;  // of the LR's chroma
    crispcast::Array<uint8_t> planes[2];   // U and V, [scale * height][scale * width]
    crispcast::Array<uint8_t> small[2];    // the same, brought down to the LR's size
    crispcast::Array<uint8_t> known;       // 1 where all nine samples around are there, else 0
    crispcast::Array<uint8_t> weights;     // by the LR's disagreement, 0 ... 9 * 255

    const uint8_t* row(int plane, int y) const {
        return planes[plane].data() + size_t(y) * scale * width;
    }
};

namespace crispcast {

// Rows that one thread needs to mend.
struct ChromaRows {
    Array<int16_t> sums;
    Array<uint8_t> weights;

    bool reserve(const crispcast_chroma_plate& plate);
    size_t bytes() const { return sums.bytes() + weights.bytes(); }
};

// Mends the HR rows of LR rows y0 ... y1 - 1 of `chroma[plane]`, where the interpolation of the LR
// already stands. `chroma` are U and V. `rows` must have been reserved for the plate.
void mend(const crispcast_chroma_plate& plate, const PlanePair* chroma, int plane, int y0, int y1,
          ChromaRows& rows);

}  // namespace crispcast

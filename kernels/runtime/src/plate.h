// A plate: scale^2 planes of LR size, unshuffled once when it arrives.
#pragma once

#include "array.h"
#include "crispcast.h"

struct crispcast_plate {
    int width = 0, height = 0, scale = 0;  // of the LR planes
    crispcast::Array<uint8_t> planes;      // [dy * scale + dx][height][width]

    const uint8_t* row(int channel, int y) const {
        return planes.data() + (size_t(channel) * height + y) * width;
    }
};

// The range-coded part of a wire plan: docs/plan-format.md, "Payload" and "Differences".
#pragma once

#include "plan.h"

namespace crispcast {

// The value of a place on the grid of steps and weight scales: eighths of an octave.
float grid_value(int place);

// The numbers of a plan as a difference to it needs them.
struct LayerNumbers {
    Array<uint8_t> scales;  // [cout] places on the grid
    Array<uint16_t> bias;   // [cout] halves
    Array<float> weights;   // [cout][cin][kernel][kernel], 0 where there is no tap
};

struct Numbers {
    LayerNumbers layers[kMaxLayers];
};

// Reads the numbers of all layers of `plan`, whose op table is there. `base`: of a plan with layers
// of the same shapes, to which they are coded as a difference, or null. `numbers`: where to keep
// them for a difference, or null.
crispcast_status read_payload(const uint8_t* bytes, size_t size, Plan& plan, const Numbers* base,
                              Numbers* numbers);

}  // namespace crispcast

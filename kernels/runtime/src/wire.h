// The wire plan's loader: docs/plan-format.md, with every check that it names.
#pragma once

#include "plan.h"

namespace crispcast {

struct Bytes {
    const uint8_t* data = nullptr;
    size_t size = 0;
};

// Fills `plan` up to the layout: the taps' offsets still hold channel * 8 + kx. `base`: the wire
// plan that a difference is to, or nothing.
crispcast_status read_wire(Bytes wire, Bytes base, Plan& plan);

// Checks the header; *base is the id of the base that the plan is a difference to, or null.
crispcast_status read_header(const uint8_t* bytes, size_t size, const uint8_t** base);

}  // namespace crispcast

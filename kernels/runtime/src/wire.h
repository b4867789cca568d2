// The wire plan's loader: docs/plan-format.md, with every check that it names.
#pragma once

#include "plan.h"

namespace crispcast {

// Fills `plan` up to the layout: the taps' offsets still hold channel * 8 + kx.
crispcast_status read_wire(const uint8_t* bytes, size_t size, Plan& plan);

}  // namespace crispcast

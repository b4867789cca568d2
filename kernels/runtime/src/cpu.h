// Which instruction sets this build has and this processor and system can run.
#pragma once

#include "row_kernels.h"

namespace crispcast {

// Slowest first; index 0 is the portable table; null past the last.
const RowKernels* kernels_at(int index);

// By name; "auto" or null: the last. Null: not in the list.
const RowKernels* kernels_named(const char* isa);

// Cores this process may use, at least 1.
int usable_cores();

}  // namespace crispcast

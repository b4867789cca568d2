// The module's face towards crispcast.js: the C API of crispcast.h as it is, and its structures'
// layout, which JavaScript writes word by word.
#include <stddef.h>

#include "crispcast.h"

// crispcast.js knows these numbers (JOB and INFO there).
static_assert(sizeof(crispcast_frame_job) == 32 * 4, "32 words");
static_assert(offsetof(crispcast_frame_job, in) == 3 * 4, "after width, height, scale");
static_assert(offsetof(crispcast_frame_job, out) == 9 * 4, "after three planes");
static_assert(offsetof(crispcast_frame_job, previous) == 15 * 4, "after three planes");
static_assert(offsetof(crispcast_frame_job, plate) == 17 * 4, "after a plane");
static_assert(offsetof(crispcast_frame_job, patch_count) == 19 * 4, "after the patches");
static_assert(offsetof(crispcast_frame_job, plan_count) == 21 * 4, "after the plans");
static_assert(offsetof(crispcast_frame_job, canvas) == 22 * 4, "after the plans");
static_assert(offsetof(crispcast_frame_job, view) == 23 * 4, "after the canvas");
static_assert(offsetof(crispcast_frame_job, chroma) == 31 * 4, "after the view");
static_assert(sizeof(crispcast_patch) == 5 * 4, "x, y, width, height, expert");
static_assert(sizeof(crispcast_plan_info) == 14 * 4, "14 words");
static_assert(offsetof(crispcast_plan_info, taps) == 6 * 4, "five words and a gap");

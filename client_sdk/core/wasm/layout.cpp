// How the session's structures lie in a module, which client_sdk/web/records.js reads and writes.
#include <stddef.h>

#include "crispcast_session.h"

static_assert(sizeof(crispcast_session_options) == 56, "OPTIONS");
static_assert(offsetof(crispcast_session_options, offline) == 24, "seven words");
static_assert(offsetof(crispcast_session_options, horizon) == 32, "option.horizon");
static_assert(offsetof(crispcast_session_options, memory_limit) == 40, "option.memory");
static_assert(offsetof(crispcast_session_options, trust) == 48, "option.trust");
static_assert(sizeof(crispcast_task) == 168, "TASK");
static_assert(offsetof(crispcast_task, sha256) == 8, "task.sha256");
static_assert(offsetof(crispcast_task, id) == 73, "task.id");
static_assert(offsetof(crispcast_task, bytes) == 108, "task.bytes");
static_assert(offsetof(crispcast_task, text) == 116, "task.text");
static_assert(offsetof(crispcast_task, offset) == 120, "task.offset");
static_assert(offsetof(crispcast_task, width) == 136, "task.width");
static_assert(offsetof(crispcast_task, segment) == 148, "four words");
static_assert(offsetof(crispcast_task, frame) == 152, "task.frame");
static_assert(offsetof(crispcast_task, count) == 160, "task.count");
static_assert(sizeof(crispcast_session_frame) == 80, "FRAME");
static_assert(offsetof(crispcast_session_frame, number) == 8, "frame.number");
static_assert(offsetof(crispcast_session_frame, rung) == 16, "frame.rung");
static_assert(offsetof(crispcast_session_frame, in) == 28, "frame.in");
static_assert(offsetof(crispcast_session_frame, out) == 52, "frame.out");
static_assert(offsetof(crispcast_session_frame, columns) == 76, "frame.columns");
static_assert(sizeof(crispcast_session_result) == 40, "RESULT");
static_assert(offsetof(crispcast_session_result, missing) == 36, "eight words");
static_assert(sizeof(crispcast_session_info) == 88, "INFO");
static_assert(offsetof(crispcast_session_info, rungs) == 24, "info.rungs");
static_assert(offsetof(crispcast_session_info, isa) == 76, "info.isa");
static_assert(offsetof(crispcast_session_info, adapts) == 80, "info.adapts");
static_assert(sizeof(crispcast_rung_info) == 60, "RUNG");
static_assert(offsetof(crispcast_rung_info, padded_width) == 12, "rung.padded");
static_assert(sizeof(crispcast_session_figures) == 9 * 8, "FIGURES");

// Any bytes as a plan: the loader refuses them, or the engine can run them. A libFuzzer target;
// without libFuzzer replay.cpp runs it over files.
#include "try_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const Bytes wire(size);
    if (size != 0) memcpy(wire.data, data, size);
    const uint32_t crc = seal(wire.data, size);
    crispcast_plan* plan = nullptr;
    const crispcast_status status = crispcast_plan_create(wire.data, size, &plan);
    try_plan(status, plan, crc);
    return 0;
}

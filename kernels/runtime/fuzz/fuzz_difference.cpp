// Any bytes as a base and a difference to it: two bytes, little-endian, with the length of the
// base, the base, the difference. Checksums and the base's id are made right first.
#include "../src/sha256.h"
#include "try_plan.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const size_t most = size - 2, named = size_t(data[0]) | size_t(data[1]) << 8;
    const size_t length = named < most ? named : most;
    const Bytes base(length), wire(most - length);
    if (length != 0) memcpy(base.data, data + 2, length);
    if (wire.size != 0) memcpy(wire.data, data + 2 + length, wire.size);
    seal(base.data, base.size);
    if (wire.size >= kHeader + CRISPCAST_BASE_ID_BYTES) {
        uint8_t digest[32];
        crispcast::sha256(base.data, base.size, digest);
        memcpy(wire.data + kHeader, digest, CRISPCAST_BASE_ID_BYTES);
    }
    const uint32_t crc = seal(wire.data, wire.size);
    uint8_t id[CRISPCAST_BASE_ID_BYTES];
    int found = 0;
    const crispcast_status header = crispcast_plan_base_id(wire.data, wire.size, id, &found);
    crispcast_plan* plan = nullptr;
    const crispcast_status status =
        crispcast_plan_create_with_base(wire.data, wire.size, base.data, base.size, &plan);
    require(plan == nullptr || header == CRISPCAST_OK);
    try_plan(status, plan, crc);
    return 0;
}

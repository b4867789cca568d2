// Any bytes as a patch map: the decoder refuses them, or they tile the frame exactly once. A
// libFuzzer target; without libFuzzer replay.cpp runs it over files.
//
// An input is the frame's width and height (little-endian, 16 bits each), the number of experts (8
// bits) and the record.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crispcast.h"

namespace {

constexpr size_t kPrefix = 5;

void require(bool holds) {
    if (!holds) abort();
}

// The patches in memory of exactly their size, so that the address sanitizer sees one too far.
void check_patches(const uint8_t* record, size_t size, int width, int height, int max_expert,
                   size_t count) {
    require(count >= 1 && count <= CRISPCAST_MAX_PATCHES);
    crispcast_patch* patches =
        static_cast<crispcast_patch*>(malloc(count * sizeof(crispcast_patch)));
    size_t again = 0;
    require(crispcast_patch_map_decode(record, size, width, height, max_expert, patches, count,
                                       &again) == CRISPCAST_OK);
    require(again == count);
    uint64_t area = 0;
    for (size_t i = 0; i < count; ++i) {
        const crispcast_patch& p = patches[i];
        require(p.x >= 0 && p.y >= 0 && p.width >= 1 && p.height >= 1);
        require(p.x + p.width <= width && p.y + p.height <= height);
        require(p.expert >= 0 && p.expert <= max_expert);
        area += uint64_t(p.width) * uint64_t(p.height);
    }
    require(area == uint64_t(width) * uint64_t(height));
    require(crispcast_patch_map_decode(record, size, width, height, max_expert, patches, count - 1,
                                       &again) == CRISPCAST_ERROR_MAP_CAPACITY);
    require(again == count);
    free(patches);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < kPrefix) return 0;
    const int width = data[0] | data[1] << 8, height = data[2] | data[3] << 8;
    const int max_expert = data[4];
    const size_t record_size = size - kPrefix;
    uint8_t* record = static_cast<uint8_t*>(malloc(record_size ? record_size : 1));
    if (record_size != 0) memcpy(record, data + kPrefix, record_size);
    size_t count = 0;
    const crispcast_status status = crispcast_patch_map_decode(record, record_size, width, height,
                                                               max_expert, nullptr, 0, &count);
    require((status == CRISPCAST_OK) == (count != 0));
    require(crispcast_status_sentence(status) != nullptr);
    if (status == CRISPCAST_OK)
        check_patches(record, record_size, width, height, max_expert, count);
    free(record);
    return 0;
}

// The frame number that travels inside the video: docs/frame-identity.md.
#pragma once

#include "text.h"

namespace crispcast::client {

struct FrameIdentity {
    uint8_t package[8];
    int32_t rung;
    int64_t frame;
};

// The identity in such a payload, the UUID first; false where it is somebody else's or damaged.
bool parse_identity(const uint8_t* payload, size_t size, FrameIdentity& identity);

// The identity in a coded frame: an Annex B access unit of H.264, or a temporal unit of AV1.
bool find_identity(const uint8_t* unit, size_t size, bool av1, FrameIdentity& identity);

}  // namespace crispcast::client

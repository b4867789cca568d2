// What a server says, read and checked: docs/control.md. The Python twin is
// client_sdk/contract/control.py.
#pragma once

#include "json.h"
#include "trust.h"

namespace crispcast::client {

enum class Says { manifest, anchor, sought, refused, change, bye };

struct Message {
    Says says;
    // manifest
    int minor;  // of the protocol's version
    uint8_t package[8];
    Digest sha256;
    int64_t bytes;
    int64_t live;  // -1: no channel
    bool is_signed;
    uint8_t signature[kSignatureBytes];
    // anchor, sought; with `rung` and `frame` of manifest and switch
    uint32_t rtp_time;
    int32_t rung;
    int64_t frame;
    // bye: 0 end, 1 leaving, 2 error, 3 shutdown; frames -1: not said
    int reason;
    int64_t frames;
    Sentence text;  // refused, bye: what for, and why
};

// CRISPCAST_OK, or CRISPCAST_ERROR_MESSAGE with the fault in `why`. Safe on any bytes.
int32_t read_message(const void* text, size_t size, Message& message, Sentence& why);

}  // namespace crispcast::client

// ITU-T H.264 (08/2021): NAL units 7.3.1, SEI messages 7.3.2.3, user data D.1.7. AV1 specification:
// OBUs 5.3, metadata 6.7.1.
#include "identity.h"

namespace crispcast::client {

namespace {

constexpr uint8_t kUuid[16] = {0xc7, 0xa1, 0xd3, 0x5e, 0x9b, 0x02, 0x4f, 0x6b,
                               0x8e, 0x4c, 0x1f, 0x0d, 0x6a, 0x52, 0xb9, 0x3e};
constexpr int kNalSei = 6;
constexpr int kUserDataUnregistered = 5;
constexpr int kObuMetadata = 5;
constexpr uint8_t kMetadataIdentity = 19;
// Ours is the first message of its NAL unit or comes after others of a few bytes.
constexpr size_t kMostRbsp = 1024;

// Without emulation prevention (7.3.1), as much as `out` holds.
size_t unescape(const uint8_t* bytes, size_t size, uint8_t* out) {
    size_t count = 0;
    int zeros = 0;
    for (size_t i = 0; i < size && count < kMostRbsp; ++i) {
        if (zeros >= 2 && bytes[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = bytes[i] == 0 ? zeros + 1 : 0;
        out[count++] = bytes[i];
    }
    return count;
}

// A number of 7.3.2.3.1: bytes of 255 and one that is less.
bool sei_number(const uint8_t* rbsp, size_t size, size_t& at, size_t& value) {
    value = 0;
    while (at < size && rbsp[at] == 255) {
        value += 255;
        ++at;
    }
    if (at == size) return false;
    value += rbsp[at++];
    return true;
}

bool in_sei(const uint8_t* nal, size_t size, FrameIdentity& identity) {
    uint8_t rbsp[kMostRbsp];
    const size_t count = unescape(nal, size, rbsp);
    size_t at = 0, kind, bytes;
    while (at + 2 < count) {
        if (!sei_number(rbsp, count, at, kind) || !sei_number(rbsp, count, at, bytes)) return false;
        if (bytes > count - at) return false;
        if (kind == kUserDataUnregistered && parse_identity(rbsp + at, bytes, identity))
            return true;
        at += bytes;
    }
    return false;
}

// Where the NAL unit after the next start code begins; `size` where none does.
size_t next_unit(const uint8_t* bytes, size_t size, size_t from) {
    for (size_t at = from; at + 3 < size; ++at)
        if (bytes[at] == 0 && bytes[at + 1] == 0 && bytes[at + 2] == 1) return at + 3;
    return size;
}

bool in_h264(const uint8_t* unit, size_t size, FrameIdentity& identity) {
    for (size_t at = next_unit(unit, size, 0); at < size;) {
        const int kind = unit[at] & 31;
        if (kind >= 1 && kind <= 5) return false;  // slices: nothing of ours comes after them
        const size_t next = next_unit(unit, size, at);
        if (kind == kNalSei && in_sei(unit + at + 1, next - at - 1, identity)) return true;
        at = next;
    }
    return false;
}

bool leb128(const uint8_t* bytes, size_t size, size_t& at, uint64_t& value) {
    value = 0;
    for (int i = 0; i < 8 && at < size; ++i) {
        const uint8_t byte = bytes[at++];
        value |= uint64_t(byte & 127) << (7 * i);
        if (byte < 128) return true;
    }
    return false;
}

bool in_av1(const uint8_t* unit, size_t size, FrameIdentity& identity) {
    for (size_t at = 0; at < size;) {
        const uint8_t header = unit[at];
        if (header & 0x81) return false;
        size_t body = at + (header & 4 ? 2 : 1), end = size;
        if (header & 2) {
            uint64_t bytes;
            if (!leb128(unit, size, body, bytes) || bytes > size - body) return false;
            end = body + size_t(bytes);
        }
        // After the type comes the payload, then a byte of trailing bits.
        if ((header >> 3 & 15) == kObuMetadata && body + 2 <= end &&
            unit[body] == kMetadataIdentity &&
            parse_identity(unit + body + 1, end - body - 2, identity))
            return true;
        at = end;
    }
    return false;
}

}  // namespace

bool parse_identity(const uint8_t* payload, size_t size, FrameIdentity& identity) {
    if (size != CRISPCAST_IDENTITY_BYTES || memcmp(payload, kUuid, sizeof kUuid) != 0) return false;
    memcpy(identity.package, payload + 16, 8);
    identity.rung = payload[24];
    identity.frame =
        int64_t(payload[25]) << 24 | payload[26] << 16 | payload[27] << 8 | payload[28];
    return true;
}

bool find_identity(const uint8_t* unit, size_t size, bool av1, FrameIdentity& identity) {
    return av1 ? in_av1(unit, size, identity) : in_h264(unit, size, identity);
}

}  // namespace crispcast::client

// SHA-256 digests and their text, by which everything is named.
#pragma once

#include "text.h"

namespace crispcast::client {

struct Digest {
    uint8_t bytes[32];
};

inline bool operator==(const Digest& a, const Digest& b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}
inline bool operator<(const Digest& a, const Digest& b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0;
}

// Exactly `count` bytes from 2 * count lower-case hexadecimal digits; false on anything else.
inline bool from_hex(const char* text, size_t size, uint8_t* out, size_t count) {
    if (size != 2 * count) return false;
    for (size_t i = 0; i < size; ++i) {
        const char c = text[i];
        const bool digit = c >= '0' && c <= '9';
        if (!digit && !(c >= 'a' && c <= 'f')) return false;
        const uint8_t value = uint8_t(digit ? c - '0' : c - 'a' + 10);
        out[i / 2] = uint8_t(i % 2 == 0 ? value << 4 : out[i / 2] | value);
    }
    return true;
}

// With a 0 after it.
inline void to_hex(const uint8_t* bytes, size_t count, char* out) {
    for (size_t i = 0; i < count; ++i) {
        out[2 * i] = hex_digit(bytes[i] >> 4);
        out[2 * i + 1] = hex_digit(bytes[i]);
    }
    out[2 * count] = 0;
}

// How sentences name an asset: the first 16 digits.
inline Sentence& operator<<(Sentence& sentence, const Digest& digest) {
    char text[17];
    to_hex(digest.bytes, 8, text);
    return sentence << text;
}

}  // namespace crispcast::client

// SHA-256 (FIPS 180-4), which names the base of a difference.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispcast {

void sha256(const uint8_t* bytes, size_t size, uint8_t digest[32]);

}  // namespace crispcast

// The context-adaptive binary range decoder of docs/plan-format.md ("Payload").
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispcast {

// Two estimates of the probability of a 0, one quick and one slow.
struct BitContext {
    uint16_t quick = 32768;
    uint16_t slow = 32768;
};

class RangeDecoder {
  public:
    RangeDecoder(const uint8_t* bytes, size_t size) : next_(bytes), end_(bytes + size) {
        for (int i = 0; i < 4; ++i) code_ = code_ << 8 | byte();
    }

    int bit(BitContext& context) {
        uint32_t p = (uint32_t(context.quick) + context.slow) >> 2;
        p = p < 64 ? 64 : p > 32704 ? 32704 : p;
        const uint32_t bound = (range_ >> 15) * p;
        int value;
        if (code_ < bound) {
            value = 0;
            range_ = bound;
            context.quick = uint16_t(context.quick + ((65536 - context.quick) >> 4));
            context.slow = uint16_t(context.slow + ((65536 - context.slow) >> 7));
        } else {
            value = 1;
            code_ -= bound;
            range_ -= bound;
            context.quick = uint16_t(context.quick - (context.quick >> 4));
            context.slow = uint16_t(context.slow - (context.slow >> 7));
        }
        normalise();
        return value;
    }

    int bypass() {
        range_ >>= 1;
        const int value = code_ >= range_;
        if (value) code_ -= range_;
        normalise();
        return value;
    }

    // `bits` bits from the highest down; `tree` has 1 << bits contexts.
    int tree(BitContext* tree, int bits = 8) {
        int node = 1;
        while (node < 1 << bits) node = 2 * node + bit(tree[node]);
        return node - (1 << bits);
    }

    bool truncated() const { return truncated_; }
    bool at_end() const { return next_ == end_; }

  private:
    uint32_t byte() {
        if (next_ != end_) return *next_++;
        truncated_ = true;
        return 0;
    }

    // The range never reaches 0: a context bit keeps at least 64/32768 of it, even for wrong bytes.
    void normalise() {
        while (range_ < (1u << 24)) {
            range_ <<= 8;
            code_ = code_ << 8 | byte();
        }
    }

    const uint8_t* next_;
    const uint8_t* end_;
    uint32_t range_ = 0xffffffffu;
    uint32_t code_ = 0;
    bool truncated_ = false;
};

}  // namespace crispcast

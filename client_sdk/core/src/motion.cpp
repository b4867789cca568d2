// A camera moves evenly: a corner is expected where its last step would take it again, and to miss
// that as the corner before it did.
#include "motion.h"

#include "manifest.h"
#include "range_decoder.h"

namespace crispcast::client {

namespace {

constexpr size_t kHeaderBytes = 3;
constexpr int kLongest = 24;  // bits of a number, at most
constexpr int64_t kFarthest = 1 << 19;

class Misses {
  public:
    Misses(const uint8_t* bytes, size_t size) : in_(bytes, size) {}

    // Exponential Golomb: how many bits it has in unary, those below the highest, the sign.
    int64_t next(int index) {
        BitContext* lengths = lengths_[index > 1];
        int length = 0;
        while (length < kLongest && in_.bit(lengths[length])) ++length;
        int64_t size = length > 0;
        for (int i = 1; i < length; ++i) size = size << 1 | in_.bypass();
        return size != 0 && in_.bypass() ? -size : size;
    }

    bool truncated() const { return in_.truncated(); }
    bool at_end() const { return in_.at_end(); }

  private:
    RangeDecoder in_;
    BitContext lengths_[2][kLongest + 1];  // of the first corner, and of those that follow it
};

bool is_view(const int32_t* c) {
    const int64_t area =
        int64_t(c[6] - c[4]) * (c[3] - c[5]) - int64_t(c[2] - c[4]) * (c[7] - c[5]);
    return area >= 1;
}

bool decode(Misses& misses, Array<CanvasView>& views) {
    for (size_t number = 0; number < views.size(); ++number) {
        int64_t missed[2] = {};
        int32_t* const view = views[number].corners;
        for (int i = 0; i < 8; ++i) {
            const int64_t last = number > 0 ? views[number - 1].corners[i] : 0;
            const int64_t before = number > 1 ? views[number - 2].corners[i] : last;
            missed[i % 2] += misses.next(i);
            const int64_t value = 2 * last - before + missed[i % 2];
            if (misses.truncated() || value > kFarthest || value < -kFarthest) return false;
            view[i] = int32_t(value);
        }
    }
    if (!misses.at_end()) return false;
    for (const CanvasView& view : views)
        if (!is_view(view.corners)) return false;
    return true;
}

}  // namespace

int32_t decode_motion(const uint8_t* bytes, size_t size, int64_t frames, Array<CanvasView>& views) {
    views.clear();
    if (size <= kHeaderBytes || size > kMaxRecordBytes || bytes[0] != 1 || frames < 1 ||
        frames > kMaxMotionFrames || (bytes[1] | bytes[2] << 8) != frames)
        return CRISPCAST_ERROR_MOTION;
    if (!views.resize(size_t(frames))) return CRISPCAST_ERROR_MEMORY;
    Misses misses(bytes + kHeaderBytes, size - kHeaderBytes);
    if (decode(misses, views)) return CRISPCAST_OK;
    views.clear();
    return CRISPCAST_ERROR_MOTION;
}

}  // namespace crispcast::client

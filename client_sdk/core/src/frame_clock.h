// From RTP time to frame numbers: a frame that says who it is, or an `anchor` of the server, and
// the 90 kHz clock between (docs/frame-identity.md; RFC 6184, section 8.2.1). Never a guess: what
// is not known is interpolated.
#pragma once

#include "identity.h"
#include "manifest.h"

namespace crispcast::client {

constexpr int64_t kClockRate = 90000;

// Ticks from `b` to `a`, 32-bit times that wrap around.
inline int32_t ticks(uint32_t a, uint32_t b) {
    return int32_t(a - b);
}

// Whole frames in so many ticks, the nearest.
inline int64_t frames_in(int32_t ticks, const Manifest& manifest) {
    const int64_t per = manifest.fps[1] * kClockRate;
    const int64_t twice = 2 * (int64_t(ticks) * manifest.fps[0]) + per;
    const int64_t step = twice / (2 * per);
    return step - (twice % (2 * per) < 0);
}

struct Identified {
    int64_t frame = -1;  // -1: not known
    int32_t rung = 0;

    bool known() const { return frame >= 0; }
};

class FrameClock {
  public:
    // Believe that the frame at that time is this one, unless it is outside the video. An identity
    // of another package is not believed; one from before the manifest is kept until that is here.
    // Rungs change where a segment begins and nowhere else, so the last word about one of its
    // frames is of all of them.
    void set_anchor(uint32_t time, const FrameIdentity& identity, const Manifest* manifest);
    // What the manifest does not know is forgotten.
    void check(const Manifest& manifest);
    // An anchor may come before its frame does, so a frame counts from the newest that is not in
    // its future, and only inside that one's segment. `next` follows the last one shown.
    Identified identify(uint32_t time, const Manifest& manifest, int64_t next) const;
    // After a seek the old count is void.
    void forget() { count_ = 0; }
    // In a pause RTP time goes on and frames do not: what was known before tells who `next` is, for
    // frames still on their way, and no more.
    void hold();

  private:
    struct Anchor {
        uint32_t time;
        FrameIdentity identity;
        bool held;  // from before a pause
    };

    // Coded frames may come long before they are decoded: a burst after a seek.
    static constexpr int kKept = 512;
    Anchor anchors_[kKept];  // by time, the newest last
    int count_ = 0;
};

}  // namespace crispcast::client

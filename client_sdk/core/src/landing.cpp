#include "landing.h"

namespace crispcast::client {

namespace {

constexpr double kPatience = 10;  // seconds of frames that may be held back

}  // namespace

void Landing::begin(int64_t target) {
    waiting_ = true;
    has_from_ = false;
    target_ = target;
    jumped_ = last_frame_ < 0;
    held_ = 0;
}

void Landing::reconnected() {
    cancel();
    last_frame_ = -1;
}

void Landing::sought(uint32_t time, int64_t frame) {
    if (waiting_ && target_ >= 0 && frame != target_) return;  // of a seek before the last one
    waiting_ = false;
    has_from_ = true;
    from_ = time;
    held_ = 0;
}

// Whether frames are shown from this one on, or it has been too long.
bool Landing::there(uint32_t time, const Identified& identified, const Manifest& manifest) const {
    if (!active() || double(held_ + 1) > kPatience * manifest.rate()) return true;
    if (has_from_) return ticks(time, from_) >= 0;
    const bool jumped =
        jumped_ || (identified.known() && is_jump(time, identified.frame, manifest));
    return jumped && crosses(identified.frame, manifest);
}

bool Landing::wants(uint32_t time, const Identified& identified, const Manifest& manifest) const {
    return there(time, identified, manifest) ||
           (identified.known() && identified.frame + 1 == target_);
}

bool Landing::shows(uint32_t time, const Identified& identified, const Manifest& manifest) {
    const bool here = there(time, identified, manifest);
    if (identified.known()) {
        jumped_ = jumped_ || is_jump(time, identified.frame, manifest);
        last_time_ = time;
        last_frame_ = identified.frame;
    }
    if (!here) {
        ++held_;
        return false;
    }
    cancel();
    return true;
}

bool Landing::is_jump(uint32_t time, int64_t frame, const Manifest& manifest) const {
    if (last_frame_ < 0) return false;
    return frame - last_frame_ != frames_in(ticks(time, last_time_), manifest);
}

// Whether it is the frame that was sought, or the next one that came where that is lost.
bool Landing::crosses(int64_t frame, const Manifest& manifest) const {
    if (target_ < 0 || frame < target_) return false;
    if (frame == target_) return true;
    const Segment& segment = manifest.segments[manifest.segment_of(target_)];
    return segment.start <= last_frame_ && last_frame_ < target_ && frame < segment.end();
}

}  // namespace crispcast::client

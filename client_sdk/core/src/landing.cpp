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

bool Landing::shows(uint32_t time, const Identified& identified, const Manifest& manifest) {
    const bool there_by_number = crosses(identified.frame, manifest);
    if (identified.known()) {
        jumped_ = jumped_ || is_jump(time, identified.frame, manifest);
        last_time_ = time;
        last_frame_ = identified.frame;
    }
    if (!active()) return true;
    const bool there = has_from_ ? ticks(time, from_) >= 0 : jumped_ && there_by_number;
    ++held_;
    if (!there && double(held_) <= kPatience * manifest.rate()) return false;
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

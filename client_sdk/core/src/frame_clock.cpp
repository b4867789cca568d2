#include "frame_clock.h"

namespace crispcast::client {

namespace {

constexpr int32_t kOld = 1 << 30;  // ticks, 3.3 hours: far enough from where times wrap around

bool believed(const FrameIdentity& identity, const Manifest& manifest) {
    return memcmp(identity.package, manifest.id, sizeof manifest.id) == 0 &&
           identity.rung < manifest.rung_count && identity.frame < manifest.frames;
}

}  // namespace

void FrameClock::set_anchor(uint32_t time, const FrameIdentity& identity,
                            const Manifest* manifest) {
    if (manifest != nullptr && !believed(identity, *manifest)) return;
    int kept = 0;
    for (int i = 0; i < count_; ++i)
        if (anchors_[i].time != time && ticks(time, anchors_[i].time) < kOld)
            anchors_[kept++] = anchors_[i];
    count_ = kept;
    if (manifest != nullptr) {
        const uint32_t segment = manifest->segment_of(identity.frame);
        for (int i = 0; i < count_; ++i) {
            FrameIdentity& other = anchors_[i].identity;
            const int64_t steps = frames_in(ticks(anchors_[i].time, time), *manifest);
            if (other.frame < manifest->frames && manifest->segment_of(other.frame) == segment &&
                int64_t(other.frame) - int64_t(identity.frame) == steps)
                other.rung = identity.rung;
        }
    }
    if (count_ == kKept) {
        if (ticks(time, anchors_[0].time) < 0) return;  // older than all that is kept
        memmove(anchors_, anchors_ + 1, (kKept - 1) * sizeof(Anchor));
        --count_;
    }
    int place = count_;
    for (; place > 0 && ticks(time, anchors_[place - 1].time) < 0; --place)
        anchors_[place] = anchors_[place - 1];
    anchors_[place] = {time, identity, false};
    ++count_;
}

void FrameClock::check(const Manifest& manifest) {
    int kept = 0;
    for (int i = 0; i < count_; ++i)
        if (believed(anchors_[i].identity, manifest)) anchors_[kept++] = anchors_[i];
    count_ = kept;
}

void FrameClock::hold() {
    for (int i = 0; i < count_; ++i) anchors_[i].held = true;
}

Identified FrameClock::identify(uint32_t time, const Manifest& manifest, int64_t next) const {
    int place = count_;
    while (place > 0 && ticks(time, anchors_[place - 1].time) < 0) --place;
    if (place == 0) return {};
    const Anchor& anchor = anchors_[place - 1];
    const int64_t step = frames_in(ticks(time, anchor.time), manifest);
    const int64_t frame = anchor.identity.frame + step;
    const Segment& segment = manifest.segments[manifest.segment_of(anchor.identity.frame)];
    if (frame >= segment.end() || (anchor.held && frame != next)) return {};
    return {frame, anchor.identity.rung};
}

}  // namespace crispcast::client

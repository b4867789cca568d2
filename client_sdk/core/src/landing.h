// Which frames only lead to the one that was sought, and are decoded without being shown.
//
//     seek ─► frames from before ─► IDR ══ burst ══► the frame that was sought ─► ...
//             └───────────── not shown ───────────┘  └─ from here on, by `sought`
//
// `sought` (docs/control.md) has the RTP time of the first frame to show. It can be lost for a
// while where video comes through, so a frame's own number counts too, once the numbers have
// jumped.
#pragma once

#include "frame_clock.h"

namespace crispcast::client {

// Asked about every frame in order. At first, and after a landing, all are shown.
class Landing {
  public:
    // Whether the frame that was sought is still to come.
    bool active() const { return waiting_ || has_from_; }
    // Whether a seek was asked for that the server has not answered yet.
    bool awaits() const { return waiting_ && target_ >= 0; }
    // A seek to `target` was asked for; -1: to a place that the server chooses.
    void begin(int64_t target);
    // Nothing is sought after all.
    void cancel() { waiting_ = has_from_ = false; }
    // What comes from now on has nothing to do with what came before.
    void reconnected();
    // The server says: `frame` has that RTP time, and is the first to show.
    void sought(uint32_t time, int64_t frame);
    // Whether the frame with that RTP time is to be shown.
    bool shows(uint32_t time, const Identified& identified, const Manifest& manifest);
    // Whether it would be, or the frame that is sought looks back at it.
    bool wants(uint32_t time, const Identified& identified, const Manifest& manifest) const;

  private:
    bool there(uint32_t time, const Identified& identified, const Manifest& manifest) const;
    bool is_jump(uint32_t time, int64_t frame, const Manifest& manifest) const;
    bool crosses(int64_t frame, const Manifest& manifest) const;

    bool waiting_ = false;  // for `sought`
    int64_t target_ = -1;
    bool has_from_ = false;
    uint32_t from_ = 0;  // the RTP time from which on frames are shown
    uint32_t last_time_ = 0;
    int64_t last_frame_ = -1;  // -1: none
    bool jumped_ = false;
    int64_t held_ = 0;
};

}  // namespace crispcast::client

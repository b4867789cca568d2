// What the app asks of a session: of the server by it, and facts.
#include "session.h"

namespace crispcast::client {

int32_t Session::seek(int64_t frame) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (live_ >= 0) return CRISPCAST_ERROR_CHANNEL;
    if (frame < 0 || frame >= manifest_->frames) return CRISPCAST_ERROR_FRAME_NUMBER;
    clock_.forget();
    if (connected_) landing_.begin(frame);
    next_ = frame;
    segment_ = manifest_->segment_of(frame);
    const int32_t status = advance(rung_, segment_);
    return status == CRISPCAST_OK ? send_seek(frame) : status;
}

int32_t Session::pause(bool on) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (paused_ && !on) {
        if (live_ >= 0) {
            clock_.forget();
            landing_.begin(-1);
        } else {
            clock_.hold();
        }
    }
    paused_ = on;
    return send_word(on ? "pause" : "resume");
}

int32_t Session::loop(bool on) {
    if (over_) return CRISPCAST_ERROR_OVER;
    loops_ = on;
    Text text;
    return send(text << "{\"type\":\"loop\",\"on\":" << (on ? "true}" : "false}"));
}

int32_t Session::choose_rung(int rung) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (rung < -1 || rung >= manifest_->rung_count) return CRISPCAST_ERROR_RUNG;
    if (rung < 0 && has_head_ && head_.minor < 1) {
        why << "the server does not choose rungs by itself; choose one";
        return CRISPCAST_ERROR_RUNG;
    }
    chosen_ = rung;
    // What it needs is asked for before the server says when it plays.
    const int32_t status = rung < 0 || uint32_t(rung) == rung_
                               ? int32_t(CRISPCAST_OK)
                               : come(rung, manifest_->segments[segment_].start);
    return status == CRISPCAST_OK ? send_rung(rung) : status;
}

int32_t Session::report(double upscale_ms, double fps, bool interpolating) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (!(upscale_ms >= 0 && upscale_ms <= 1e9 && fps >= 0 && fps <= 10000))
        return CRISPCAST_ERROR_ARGUMENT;
    Text text;
    text << "{\"type\":\"stats\",\"frames\":" << frames_ << ",\"frames_sr\":" << frames_sr_
         << ",\"frames_lost\":" << frames_lost_ << ",\"late_plans\":" << late_assets_
         << ",\"plan_bytes\":" << assets_.came_bytes << ",\"upscale_ms\":";
    text.decimal(upscale_ms) << ",\"fps\":";
    text.decimal(fps);
    if (interpolating && has_head_ && head_.minor >= 1) text << ",\"interpolating\":true";
    return send(text << "}");
}

int32_t Session::leave() {
    return send(Text() << "{\"type\":\"bye\",\"reason\":\"leaving\"}");
}

// -- facts ------------------------------------------------------------------------------------

int32_t Session::info(crispcast_session_info& info) const {
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    info.width = manifest_->width;
    info.height = manifest_->height;
    info.fps_numerator = int32_t(manifest_->fps[0]);
    info.fps_denominator = int32_t(manifest_->fps[1]);
    info.frames = manifest_->frames;
    info.rungs = manifest_->rung_count;
    info.segments = int32_t(manifest_->segments.size());
    info.live = live_;
    info.full_range = manifest_->full_range;
    info.primaries = manifest_->colour[0];
    info.transfer = manifest_->colour[1];
    info.matrix = manifest_->colour[2];
    to_hex(manifest_->id, sizeof manifest_->id, info.package);
    info.isa = crispcast_engine_isa(engine_);
    info.adapts = has_head_ && head_.minor >= 1;
    return CRISPCAST_OK;
}

int32_t Session::rung_info(int index, crispcast_rung_info& info) const {
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (index < 0 || index >= manifest_->rung_count) return CRISPCAST_ERROR_RUNG;
    const Rung& rung = *manifest_->rungs[index];
    info = {rung.width, rung.height, rung.scale, rung.hr_width(), rung.hr_height(), rung.av1, {}};
    memcpy(info.name, rung.name, sizeof info.name);
    return CRISPCAST_OK;
}

int32_t Session::figures(crispcast_session_figures& figures) const {
    figures = {frames_,
               frames_sr_,
               late_assets_,
               assets_.came_bytes,
               assets_.cached_bytes,
               assets_.refused_count,
               wrong_messages_,
               assets_.memory_bytes(),
               frames_lost_};
    return CRISPCAST_OK;
}

int32_t Session::ready(int rung, int segment, int32_t& ready) const {
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (rung < 0 || rung >= manifest_->rung_count) return CRISPCAST_ERROR_RUNG;
    if (segment < 0 || size_t(segment) >= manifest_->segments.size())
        return CRISPCAST_ERROR_ARGUMENT;
    ready = assets_.ready(uint32_t(rung), uint32_t(segment));
    return CRISPCAST_OK;
}

int32_t Session::segment_of(int64_t frame, int32_t& segment) const {
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (frame < 0 || frame >= manifest_->frames) return CRISPCAST_ERROR_FRAME_NUMBER;
    segment = int32_t(manifest_->segment_of(frame));
    return CRISPCAST_OK;
}

}  // namespace crispcast::client

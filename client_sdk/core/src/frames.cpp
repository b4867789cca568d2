// The state machine of frames: the right plan on the right frame, else interpolation.
#include "session.h"

namespace crispcast::client {

namespace {

bool strides_fit(const crispcast_session_frame& frame, int width) {
    for (int i = 0; i < 3; ++i)
        if (frame.out[i].stride < (i == 0 ? width : (width + 1) / 2)) return false;
    return true;
}

bool has_planes(const crispcast_session_frame& frame) {
    for (int i = 0; i < 3; ++i)
        if (frame.in[i].data == nullptr || frame.out[i].data == nullptr) return false;
    return true;
}

}  // namespace

int32_t Session::coded(uint32_t rtp_time, bool av1, const uint8_t* bytes, size_t size) {
    FrameIdentity identity;
    if (find_identity(bytes, size, av1, identity)) clock_.set_anchor(rtp_time, identity, manifest_);
    return CRISPCAST_OK;
}

int32_t Session::identify(uint32_t rtp_time, const uint8_t* payload, size_t size) {
    FrameIdentity identity;
    if (parse_identity(payload, size, identity)) clock_.set_anchor(rtp_time, identity, manifest_);
    return CRISPCAST_OK;
}

// Which frame it is, whether it is shown, and of which rung.
int32_t Session::locate(const crispcast_session_frame& frame, crispcast_session_result& result) {
    result = {};
    result.frame = -1;
    result.segment = -1;
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    const bool numbered = frame.flags & CRISPCAST_FRAME_NUMBERED;
    Identified identified;
    result.shown = 1;
    if (numbered) {
        if (frame.rung < 0 || frame.rung >= manifest_->rung_count) return CRISPCAST_ERROR_RUNG;
        if (frame.number < -1 || frame.number >= manifest_->frames)
            return CRISPCAST_ERROR_FRAME_NUMBER;
        identified = {frame.number, frame.rung};
    } else {
        identified = clock_.identify(frame.rtp_time, *manifest_, next_);
        const bool landing = landing_.active();
        result.shown = landing_.shows(frame.rtp_time, identified, *manifest_);
        result.landed = landing && result.shown;
    }
    result.frame = identified.frame;
    uint32_t rung = uint32_t(identified.rung);
    bool fits = identified.known() || numbered || rung_of_size(frame.width, frame.height, rung);
    result.rung = int32_t(rung);
    if (identified.known()) {
        result.segment = int32_t(manifest_->segment_of(identified.frame));
        const Segment& segment = manifest_->segments[size_t(result.segment)];
        result.follows = last_frame_ >= 0 && last_frame_ == identified.frame - 1 &&
                         last_rung_ == rung && identified.frame != segment.start;
    }
    if (result.shown) {
        const int32_t status = move_on(identified, result.landed);
        if (status != CRISPCAST_OK) return status;
    }
    fits = fits && manifest_->rungs[rung]->width == frame.width &&
           manifest_->rungs[rung]->height == frame.height;
    if (!fits) {
        why << "an LR frame of " << int64_t(frame.width) << "x" << int64_t(frame.height)
            << " for rung " << manifest_->rungs[rung]->name << " of "
            << int64_t(manifest_->rungs[rung]->width) << "x"
            << int64_t(manifest_->rungs[rung]->height);
        return CRISPCAST_ERROR_FRAME_SIZE;
    }
    if (identified.known() && !plain())
        result.missing = assets_.missing(rung, uint32_t(result.segment));
    return CRISPCAST_OK;
}

// A frame of unknown rung: the one that plays, if it may be.
bool Session::rung_of_size(int width, int height, uint32_t& rung) const {
    const auto is_of = [&](uint32_t index) {
        return manifest_->rungs[index]->width == width && manifest_->rungs[index]->height == height;
    };
    rung = entered_rung_ == kNone ? rung_ : entered_rung_;
    for (uint32_t i = 0; !is_of(rung) && i < uint32_t(manifest_->rung_count); ++i)
        if (is_of(i)) rung = i;
    return is_of(rung);
}

// The play has come to this frame.
int32_t Session::move_on(const Identified& identified, bool landed) {
    int32_t status = CRISPCAST_OK;
    const bool begun = entered_rung_ != kNone;
    if (begun && !landed && identified.frame > next_)
        frames_lost_ += uint64_t(identified.frame - next_);
    ++next_;
    if (identified.known()) {
        next_ = identified.frame + 1;
        const uint32_t rung = uint32_t(identified.rung);
        const uint32_t segment = manifest_->segment_of(identified.frame);
        const bool moved = rung != rung_ || segment != segment_;
        rung_ = rung;
        segment_ = segment;
        if (entered_rung_ != rung || entered_segment_ != segment) status = enter();
        if (moved && status == CRISPCAST_OK) status = advance(rung, segment);
    }
    if (loops_ && next_ >= manifest_->frames) next_ = 0;
    return status;
}

// At a segment's first frame: say what is late, let go of what lies behind.
int32_t Session::enter() {
    if (entered_rung_ != rung_) before_rung_ = entered_rung_;
    entered_rung_ = rung_;
    entered_segment_ = segment_;
    if (coming_rung_ == rung_) coming_rung_ = kNone;
    assets_.set_place(segment_);
    if (plain()) return CRISPCAST_OK;
    const int32_t missing = assets_.missing(rung_, segment_);
    late_assets_ += uint64_t(missing);
    if (missing > 0) {
        const int32_t status = tell(CRISPCAST_TASK_LATE, missing, "");
        if (status != CRISPCAST_OK) return status;
    }
    if (offline_) return CRISPCAST_OK;
    Array<uint32_t> ahead;
    if (loops_ && !assets_.horizon(segment_, horizon_, true, ahead)) return CRISPCAST_ERROR_MEMORY;
    // The rung before may soon be the one that plays again.
    const Assets::Part parts[] = {
        {rung_, segment_}, {before_rung_, segment_}, {coming_rung_, coming_segment_}};
    assets_.let_go(parts, 3, ahead);
    return CRISPCAST_OK;
}

// Notes it as the frame before the next one.
bool Session::remember(const crispcast_session_frame& frame, const crispcast_session_result& result,
                       bool pixels) {
    last_frame_ = result.frame;
    last_rung_ = uint32_t(result.rung);
    last_luma_.clear();
    if (!pixels || result.frame < 0) return true;
    const size_t width = size_t(frame.width);
    if (!last_luma_.resize(width * size_t(frame.height))) return false;
    for (int y = 0; y < frame.height; ++y)
        memcpy(last_luma_.data() + size_t(y) * width, frame.in[0].data + y * frame.in[0].stride,
               width);
    return true;
}

int32_t Session::look() {
    return recipe_.look(*manifest_, assets_, uint32_t(last_.rung), uint32_t(last_.segment));
}

int32_t Session::wants(uint32_t rtp_time, int32_t& wanted) const {
    wanted = 1;
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    wanted = landing_.wants(rtp_time, clock_.identify(rtp_time, *manifest_, next_), *manifest_);
    return CRISPCAST_OK;
}

int32_t Session::place(const crispcast_session_frame& frame, crispcast_session_result& result) {
    int32_t status = locate(frame, result);
    if (status != CRISPCAST_OK) return status;
    last_ = result;
    last_columns_ = frame.columns;
    placed_ = true;
    const bool interpolate = plain() || (frame.flags & CRISPCAST_FRAME_INTERPOLATE);
    result.late = 1;
    if (result.frame >= 0 && !interpolate && result.shown) {
        status = look();
        if (status != CRISPCAST_OK) return status;
        result.super_resolved = recipe_.networks() && frame.columns < frame.width;
        result.late = recipe_.late();
    }
    if (result.shown || result.frame >= 0) remember(frame, result, false);
    frames_ += uint64_t(result.shown);
    frames_sr_ += uint64_t(result.shown && result.super_resolved);
    return CRISPCAST_OK;
}

int32_t Session::upscale(const crispcast_session_frame& frame, crispcast_session_result& result) {
    int32_t status = locate(frame, result);
    if (status != CRISPCAST_OK) return status;
    const bool unread = !result.shown && frame.in[0].data == nullptr;
    if (!unread && !has_planes(frame)) return CRISPCAST_ERROR_ARGUMENT;
    if (!unread && frame.in[0].stride < frame.width) return CRISPCAST_ERROR_STRIDE;
    last_ = result;
    last_columns_ = frame.columns;
    placed_ = true;
    if (result.shown) {
        status = make(frame, result);
        if (status != CRISPCAST_OK) return status;
        ++frames_;
        frames_sr_ += uint64_t(result.super_resolved);
    } else if (result.frame < 0) {
        return CRISPCAST_OK;  // it leads nowhere: the frame before stays what it was
    }
    return remember(frame, result, !plain() && !unread) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

int32_t Session::make(const crispcast_session_frame& frame, crispcast_session_result& result) {
    const Rung& rung = *manifest_->rungs[result.rung];
    crispcast_frame_job job = {};
    job.width = frame.width;
    job.height = frame.height;
    job.scale = rung.scale;
    for (int i = 0; i < 3; ++i) job.in[i] = frame.in[i];
    result.late = 1;
    if (result.frame >= 0 && !plain() && !(frame.flags & CRISPCAST_FRAME_INTERPOLATE)) {
        const int32_t status = look();
        if (status != CRISPCAST_OK) return status;
        if (frame.flags & CRISPCAST_FRAME_FOR_BACKEND)
            recipe_.fill_chroma(job);
        else if (!recipe_.fill(job,
                               result.frame - manifest_->segments[size_t(result.segment)].start,
                               frame.columns))
            return CRISPCAST_ERROR_MEMORY;
        if (result.follows && last_luma_.size() != 0)
            job.previous = {last_luma_.data(), frame.width};
        result.super_resolved = recipe_.networks() && frame.columns < frame.width;
        result.late = recipe_.late();
    }
    return run(frame, rung, job);
}

// Into the app's planes, by way of our own where the HR frame is larger than the source.
int32_t Session::run(const crispcast_session_frame& frame, const Rung& rung,
                     crispcast_frame_job& job) {
    const int width = rung.hr_width(), height = rung.hr_height();
    const bool direct = (frame.flags & CRISPCAST_FRAME_PADDED) ||
                        (width == manifest_->width && height == manifest_->height);
    if (direct) {
        for (int i = 0; i < 3; ++i) job.out[i] = frame.out[i];
        return crispcast_upscale(engine_, &job);
    }
    if (!strides_fit(frame, manifest_->width)) return CRISPCAST_ERROR_STRIDE;
    const size_t luma = size_t(width) * size_t(height), chroma = luma / 4;
    if (!padded_.resize(luma + 2 * chroma)) return CRISPCAST_ERROR_MEMORY;
    job.out[0] = {padded_.data(), width};
    job.out[1] = {padded_.data() + luma, width / 2};
    job.out[2] = {padded_.data() + luma + chroma, width / 2};
    const crispcast_status status = crispcast_upscale(engine_, &job);
    if (status != CRISPCAST_OK) return status;
    for (int i = 0; i < 3; ++i) {
        const int columns = i == 0 ? manifest_->width : (manifest_->width + 1) / 2;
        const int rows = i == 0 ? manifest_->height : (manifest_->height + 1) / 2;
        for (int y = 0; y < rows; ++y)
            memcpy(frame.out[i].data + y * frame.out[i].stride,
                   job.out[i].data + y * job.out[i].stride, size_t(columns));
    }
    return CRISPCAST_OK;
}

// -- for another backend ----------------------------------------------------------------------

int32_t Session::patches(crispcast_patch* patches, size_t capacity, size_t& count) {
    count = 0;
    if (!placed_) return CRISPCAST_ERROR_NO_FRAME;
    if (last_.segment < 0) return CRISPCAST_OK;
    const int32_t status = look();
    if (status != CRISPCAST_OK || !recipe_.has_map()) return status;
    if (!recipe_.cut(last_columns_)) return CRISPCAST_ERROR_MEMORY;
    const Array<crispcast_patch>& found = recipe_.patches();
    count = found.size();
    if (patches == nullptr && capacity == 0) return CRISPCAST_OK;
    if (patches == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    if (capacity < count) return CRISPCAST_ERROR_MAP_CAPACITY;
    memcpy(patches, found.data(), count * sizeof(crispcast_patch));
    return CRISPCAST_OK;
}

int32_t Session::expert(int expert, char* sha256, int32_t& here) {
    if (!placed_) return CRISPCAST_ERROR_NO_FRAME;
    if (last_.segment < 0) return CRISPCAST_ERROR_EXPERT;
    const Rung& rung = *manifest_->rungs[last_.rung];
    const RungSegment& segment = rung.segments[size_t(last_.segment)];
    if (expert < 1 || uint32_t(expert) > segment.experts) return CRISPCAST_ERROR_EXPERT;
    const uint32_t asset = rung.experts[segment.first_expert + uint32_t(expert) - 1];
    to_hex(manifest_->assets[asset].sha256.bytes, 32, sha256);
    here = assets_.here(asset) != nullptr;
    return CRISPCAST_OK;
}

int32_t Session::plate(uint8_t* luma, ptrdiff_t stride, int32_t& here) {
    here = 0;
    if (!placed_) return CRISPCAST_ERROR_NO_FRAME;
    if (last_.segment < 0) return CRISPCAST_OK;
    const int32_t status = look();
    if (status != CRISPCAST_OK) return status;
    const Rung& rung = *manifest_->rungs[last_.rung];
    const int width = rung.hr_width(), height = rung.hr_height();
    if (stride < width) return CRISPCAST_ERROR_STRIDE;
    const Array<uint8_t>& samples = recipe_.plate_luma();
    if (recipe_.canvas() != nullptr) {
        const int64_t index = last_.frame - manifest_->segments[size_t(last_.segment)].start;
        here = 1;
        return crispcast_canvas_render(recipe_.canvas(), recipe_.view(index).corners, width, height,
                                       0, 0, width, height, luma, stride);
    }
    if (!recipe_.has_map() || samples.size() == 0) return CRISPCAST_OK;
    here = 1;
    for (int y = 0; y < height; ++y)
        memcpy(luma + y * stride, samples.data() + size_t(y) * size_t(width), size_t(width));
    return CRISPCAST_OK;
}

}  // namespace crispcast::client

#include "recipe.h"

namespace crispcast::client {

namespace {

constexpr uint8_t kAbsent = 128;  // the code of a plate where there is none: docs/plan-format.md
constexpr uint8_t kNoColour = 0;  // the code of U, and here of V, without chroma: docs/chroma.md

template <class T>
bool same(const Array<T>& a, const Array<T>& b) {
    return a.size() == b.size() &&
           (a.size() == 0 || memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
bool copy(const Array<T>& from, Array<T>& to) {
    to.clear();
    for (const T& item : from)
        if (!to.push(item)) return false;
    return true;
}

void lay(const uint8_t* samples, int width, int height, int x, int y, uint8_t* plane,
         size_t stride) {
    for (int row = 0; row < height; ++row)
        memcpy(plane + size_t(y + row) * stride + size_t(x), samples + size_t(row) * size_t(width),
               size_t(width));
}

}  // namespace

Recipe::~Recipe() {
    crispcast_plate_destroy(plate_);
    crispcast_chroma_plate_destroy(chroma_);
}

int32_t Recipe::look(const Manifest& manifest, const Assets& assets, uint32_t rung_index,
                     uint32_t segment_index) {
    if (version_ == assets.version() && rung_ == rung_index && segment_ == segment_index)
        return CRISPCAST_OK;
    const Rung& rung = *manifest.rungs[rung_index];
    const RungSegment& segment = rung.segments[segment_index];
    version_ = 0;
    rung_ = rung_index;
    segment_ = segment_index;
    has_map_ = plans_there_ = uses_networks_ = false;
    late_ = true;
    canvas_ = nullptr;
    patches_.clear();
    columns_ = 0;
    plans_.clear();
    views_.clear();
    int32_t status = read_map(assets, segment, rung);
    if (status != CRISPCAST_OK) return status;
    if (!has_map_) {
        version_ = assets.version();
        return CRISPCAST_OK;
    }
    plans_there_ = true;
    for (uint32_t i = 0; i < segment.experts; ++i) {
        const Asset* const plan = assets.here(rung.experts[segment.first_expert + i]);
        crispcast_plan_info info = {};
        if (plan != nullptr) crispcast_plan_get_info(plan->plan, &info);
        const bool fits = plan != nullptr && info.scale == rung.scale;
        if (!plans_.push(fits ? plan->plan : nullptr)) return CRISPCAST_ERROR_MEMORY;
    }
    for (const crispcast_patch& patch : patches_) {
        if (patch.expert == 0) continue;
        uses_networks_ = true;
        plans_there_ = plans_there_ && plans_[size_t(patch.expert) - 1] != nullptr;
    }
    bool whole = true;
    status = compose(assets, rung, segment, &whole);
    if (status == CRISPCAST_OK)
        status = read_motion(assets, segment, rung, manifest.segments[segment_index].frames);
    if (status != CRISPCAST_OK) return status;
    whole = whole || canvas_ != nullptr;
    late_ = !plans_there_ || (segment.plate != kNone && !whole);
    version_ = assets.version();
    return CRISPCAST_OK;
}

// A map that segments share may be of one with more experts: it is then none for this one.
int32_t Recipe::read_map(const Assets& assets, const RungSegment& segment, const Rung& rung) {
    const Asset* const map = assets.here(segment.map);
    if (map == nullptr) return CRISPCAST_OK;
    const void* const record = map->bytes.data();
    const size_t size = map->bytes.size();
    const int experts = int(segment.experts);
    size_t count = 0;
    if (crispcast_patch_map_decode(record, size, rung.width, rung.height, experts, nullptr, 0,
                                   &count) != CRISPCAST_OK)
        return CRISPCAST_OK;
    if (!patches_.resize(count)) return CRISPCAST_ERROR_MEMORY;
    has_map_ = crispcast_patch_map_decode(record, size, rung.width, rung.height, experts,
                                          patches_.data(), count, &count) == CRISPCAST_OK;
    return CRISPCAST_OK;
}

// What is here of the segment's plate, and of its chroma; *whole: all of it.
int32_t Recipe::compose(const Assets& assets, const Rung& rung, const RungSegment& segment,
                        bool* whole) {
    Array<Part> lumas, chromas;
    if (segment.plate != kNone) {
        const Plate& plate = rung.plates[segment.plate];
        for (uint32_t i = plate.first; i < plate.first + plate.count; ++i) {
            const Piece& piece = rung.pieces[i];
            const Region& region = piece.region;
            const Asset* const luma = assets.here(piece.luma);
            const bool luma_here = luma != nullptr && luma->samples.size() != 0 &&
                                   luma->width == region.width && luma->height == region.height;
            const Asset* const chroma = assets.here(piece.chroma);
            const bool chroma_here = chroma != nullptr && chroma->samples.size() != 0 &&
                                     chroma->width == region.width / 2 &&
                                     chroma->height == region.height;
            if (luma_here && !lumas.push({piece.luma, region})) return CRISPCAST_ERROR_MEMORY;
            if (chroma_here && !chromas.push({piece.chroma, region})) return CRISPCAST_ERROR_MEMORY;
            *whole = *whole && luma_here && (piece.chroma == kNone || chroma_here);
        }
    }
    if (luma_rung_ != rung_ || !same(lumas, luma_parts_)) {
        luma_rung_ = kNone;
        const int32_t status = compose_luma(assets, rung, lumas);
        if (status != CRISPCAST_OK) return status;
        if (!copy(lumas, luma_parts_)) return CRISPCAST_ERROR_MEMORY;
        luma_rung_ = rung_;
    }
    if (chroma_rung_ != rung_ || !same(chromas, chroma_parts_)) {
        chroma_rung_ = kNone;
        const int32_t status = compose_chroma(assets, rung, chromas);
        if (status != CRISPCAST_OK) return status;
        if (!copy(chromas, chroma_parts_)) return CRISPCAST_ERROR_MEMORY;
        chroma_rung_ = rung_;
    }
    return CRISPCAST_OK;
}

// Later pieces over earlier ones.
int32_t Recipe::compose_luma(const Assets& assets, const Rung& rung, const Array<Part>& parts) {
    crispcast_plate_destroy(plate_);
    plate_ = nullptr;
    if (parts.size() == 0) {
        luma_.release();
        return CRISPCAST_OK;
    }
    const size_t width = size_t(rung.hr_width()), height = size_t(rung.hr_height());
    if (!luma_.resize(width * height)) return CRISPCAST_ERROR_MEMORY;
    memset(luma_.data(), kAbsent, luma_.size());
    for (const Part& part : parts) {
        const Region& r = part.region;
        lay(assets.here(part.asset)->samples.data(), r.width, r.height, r.x, r.y, luma_.data(),
            width);
    }
    return crispcast_plate_create(luma_.data(), ptrdiff_t(width), int(width), int(height),
                                  rung.scale, &plate_);
}

int32_t Recipe::compose_chroma(const Assets& assets, const Rung& rung, const Array<Part>& parts) {
    crispcast_chroma_plate_destroy(chroma_);
    chroma_ = nullptr;
    if (parts.size() == 0 || rung.tolerance == 0) return CRISPCAST_OK;
    const int width = rung.hr_width() / 2, height = rung.hr_height() / 2;
    const size_t plane = size_t(width) * size_t(height);
    Array<uint8_t> both;
    if (!both.resize(2 * plane)) return CRISPCAST_ERROR_MEMORY;
    memset(both.data(), kNoColour, both.size());
    for (const Part& part : parts) {
        const Region& r = part.region;
        const int w = r.width / 2, h = r.height / 2;
        const uint8_t* const samples = assets.here(part.asset)->samples.data();
        lay(samples, w, h, r.x / 2, r.y / 2, both.data(), size_t(width));
        lay(samples + size_t(w) * size_t(h), w, h, r.x / 2, r.y / 2, both.data() + plane,
            size_t(width));
    }
    return crispcast_chroma_plate_create(both.data(), width, both.data() + plane, width, width,
                                         height, rung.scale, rung.tolerance, &chroma_);
}

// The canvas and the views of it, where both are here. A record that another segment shares may be
// of another length.
int32_t Recipe::read_motion(const Assets& assets, const RungSegment& segment, const Rung& rung,
                            int64_t frames) {
    if (segment.plate == kNone || segment.motion == kNone) return CRISPCAST_OK;
    const Asset* const canvas = assets.here(rung.pieces[rung.plates[segment.plate].first].luma);
    const Asset* const motion = assets.here(segment.motion);
    if (canvas == nullptr || canvas->canvas == nullptr || motion == nullptr) return CRISPCAST_OK;
    const int32_t status =
        decode_motion(motion->bytes.data(), motion->bytes.size(), frames, views_);
    if (status == CRISPCAST_OK) canvas_ = canvas->canvas;
    return status == CRISPCAST_ERROR_MEMORY ? status : CRISPCAST_OK;
}

bool Recipe::cut(int columns) {
    columns = columns > 0 ? columns : 0;
    if (columns == columns_) return true;
    columns_ = 0;
    cut_.clear();
    for (const crispcast_patch& patch : patches_) {
        const int before = columns - patch.x;
        const int left = before < 0 ? 0 : before > patch.width ? patch.width : before;
        if (left > 0 && !cut_.push({patch.x, patch.y, left, patch.height, 0})) return false;
        if (left < patch.width &&
            !cut_.push({patch.x + left, patch.y, patch.width - left, patch.height, patch.expert}))
            return false;
    }
    columns_ = columns;
    return true;
}

bool Recipe::fill(crispcast_frame_job& job, int64_t index, int columns) {
    if (!has_map_) return true;
    if (!cut(columns)) return false;
    job.patches = patches().data();
    job.patch_count = patches().size();
    job.plans = plans_.data();
    job.plan_count = plans_.size();
    job.plate = plate_;
    fill_chroma(job);
    if (canvas_ == nullptr) return true;
    job.canvas = canvas_;
    memcpy(job.view, views_[size_t(index)].corners, sizeof job.view);
    return true;
}

void Recipe::fill_chroma(crispcast_frame_job& job) const {
    if (has_map_) job.chroma = chroma_;
}

}  // namespace crispcast::client

// What becomes of an asset that is whole: a record is checked, a plan prepared, a picture given to
// the app to decode.
#include <new>

#include "assets.h"
#include "motion.h"
#include "sha256.h"

namespace crispcast::client {

int32_t Assets::prepare(uint32_t number) {
    ++version_;
    switch (manifest_->assets[number].kind) {
        case Kind::record:
            return prepare_record(number);
        case Kind::plan:
            return prepare_plan(number);
        default:
            break;
    }
    table_[number]->state = State::decoding;
    table_[number]->pending |= kDecode;
    return CRISPCAST_OK;
}

int32_t Assets::refuse(uint32_t number, int32_t status, bool for_good) {
    Asset& asset = *table_[number];
    asset.state = State::refused;
    asset.for_good = for_good;
    asset.lost = status == CRISPCAST_ERROR_ASSET_LOST;
    asset.pending &= kStore;
    // What came of one that is lost is gone on from.
    if (asset.pending == 0 && !asset.lost) asset.bytes.release();
    account(asset);
    ++refused_count;
    ++version_;
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_REFUSED;
    task.status = status;
    to_hex(manifest_->assets[number].sha256.bytes, 32, task.sha256);
    task.rung = int32_t(asset.rung);
    task.segment = int32_t(asset.segment);
    task.frame = manifest_->segments[asset.segment].start;
    notes_.tell(task, crispcast_session_sentence(status));
    return status;
}

// Checked as what its first user says it is; who else uses it looks again (recipe.cpp).
int32_t Assets::prepare_record(uint32_t number) {
    const AssetFacts& facts = manifest_->assets[number];
    Asset& asset = *table_[number];
    const Rung& rung = *manifest_->rungs[facts.rung];
    const RungSegment& segment = rung.segments[facts.segment];
    int32_t status;
    if (segment.map == number) {
        size_t count;
        status = crispcast_patch_map_decode(asset.bytes.data(), asset.bytes.size(), rung.width,
                                            rung.height, int(segment.experts), nullptr, 0, &count);
    } else {
        Array<CanvasView> views;
        status = decode_motion(asset.bytes.data(), asset.bytes.size(),
                               manifest_->segments[facts.segment].frames, views);
    }
    if (status == CRISPCAST_ERROR_MEMORY) return status;
    if (status != CRISPCAST_OK) return refuse(number, status, true);
    asset.state = State::here;
    return CRISPCAST_OK;
}

const Assets::ShippedBase* Assets::shipped(const uint8_t* id) const {
    for (const ShippedBase& base : shipped_)
        if (memcmp(base.id, id, sizeof base.id) == 0) return &base;
    return nullptr;
}

// The plan of this package whose hash begins so, which is what a difference calls its base.
uint32_t Assets::beside(const uint8_t* id) const {
    const Array<AssetFacts>& assets = manifest_->assets;
    size_t low = 0, high = assets.size();
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (memcmp(assets[middle].sha256.bytes, id, CRISPCAST_BASE_ID_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == assets.size() || assets[low].kind != Kind::plan || assets[low].rung == kNone ||
        memcmp(assets[low].sha256.bytes, id, CRISPCAST_BASE_ID_BYTES) != 0)
        return kNone;
    return uint32_t(low);
}

int32_t Assets::prepare_plan(uint32_t number) {
    const AssetFacts& facts = manifest_->assets[number];
    Asset& asset = *table_[number];
    uint8_t id[CRISPCAST_BASE_ID_BYTES];
    int found = 0;
    int32_t status = crispcast_plan_base_id(asset.bytes.data(), asset.bytes.size(), id, &found);
    if (status != CRISPCAST_OK) return refuse(number, status, true);
    const Array<uint8_t>* base = nullptr;
    if (found) {
        const ShippedBase* const given = shipped(id);
        const uint32_t other = beside(id);
        if (given != nullptr) {
            base = given->bytes;
        } else if (other != kNone) {
            const Asset* const there = here(other);
            if (there == nullptr) {
                asset.state = State::waiting;
                asset.base = other;
                return CRISPCAST_OK;
            }
            base = &there->bytes;
        } else {
            asset.state = State::waiting;
            asset.pending |= kBase;
            return CRISPCAST_OK;
        }
    }
    status = crispcast_plan_create_with_base(asset.bytes.data(), asset.bytes.size(),
                                             base == nullptr ? nullptr : base->data(),
                                             base == nullptr ? 0 : base->size(), &asset.plan);
    if (status == CRISPCAST_ERROR_MEMORY) return status;
    if (status != CRISPCAST_OK) return refuse(number, status, true);
    crispcast_plan_info info;
    crispcast_plan_get_info(asset.plan, &info);
    if (info.scale != manifest_->rungs[facts.rung]->scale) {
        crispcast_plan_destroy(asset.plan);
        asset.plan = nullptr;
        return refuse(number, CRISPCAST_ERROR_SCALE, true);
    }
    asset.state = State::here;
    account(asset);
    retry_waiting(facts.sha256.bytes, false);
    return CRISPCAST_OK;
}

// A difference's base is never a difference itself, so this goes no deeper than one more. Where the
// base does not come at all, what waits for it in vain is refused.
void Assets::retry_waiting(const uint8_t* id, bool in_vain) {
    for (size_t i = 0; i < live_.size(); ++i) {
        const uint32_t number = live_[i];
        Asset& asset = *table_[number];
        uint8_t wanted[CRISPCAST_BASE_ID_BYTES];
        int found = 0;
        if (asset.state != State::waiting ||
            crispcast_plan_base_id(asset.bytes.data(), asset.bytes.size(), wanted, &found) !=
                CRISPCAST_OK ||
            !found || memcmp(wanted, id, sizeof wanted) != 0)
            continue;
        asset.pending &= uint8_t(~kBase);
        if (!in_vain)
            prepare_plan(number);
        else if (beside(id) == kNone)
            refuse(number, CRISPCAST_ERROR_PLAN_NEEDS_BASE, false);
    }
}

// Without bytes: what waits for it is refused, and whatever needs it later asks again.
int32_t Assets::base(const uint8_t* id, const uint8_t* bytes, size_t size) {
    if (bytes != nullptr && shipped(id) == nullptr) {
        Digest found;
        crispcast::sha256(bytes, size, found.bytes);
        if (memcmp(found.bytes, id, CRISPCAST_BASE_ID_BYTES) != 0) {
            why_ << "the base is damaged: its SHA-256 is another";
            return CRISPCAST_ERROR_ASSET_DAMAGED;
        }
        ShippedBase made = {};
        memcpy(made.id, id, sizeof made.id);
        made.bytes = new (std::nothrow) Array<uint8_t>;
        if (made.bytes == nullptr || !made.bytes->resize(size) || !shipped_.push(made)) {
            delete made.bytes;
            return CRISPCAST_ERROR_MEMORY;
        }
        memcpy(made.bytes->data(), bytes, size);
    }
    if (manifest_ != nullptr) retry_waiting(id, bytes == nullptr);
    return CRISPCAST_OK;
}

// What its first user says: a piece's region, or a canvas. Chroma is U above V, half as wide.
bool Assets::picture_size(uint32_t number, int& width, int& height) const {
    const AssetFacts& facts = manifest_->assets[number];
    if (facts.rung == kNone) return false;
    const Rung& rung = *manifest_->rungs[facts.rung];
    if (facts.canvas_width != 0) {
        width = facts.canvas_width;
        height = facts.canvas_height;
        return true;
    }
    const RungSegment& segment = rung.segments[facts.segment];
    if (segment.plate == kNone) return false;
    const Plate& plate = rung.plates[segment.plate];
    for (uint32_t i = plate.first; i < plate.first + plate.count; ++i) {
        const Piece& piece = rung.pieces[i];
        if (piece.luma != number && piece.chroma != number) continue;
        width = piece.luma == number ? piece.region.width : piece.region.width / 2;
        height = piece.region.height;
        return true;
    }
    return false;
}

int32_t Assets::picture(uint32_t number, const uint8_t* samples, ptrdiff_t stride, int width,
                        int height) {
    Asset* const asset = table_[number];
    if (asset == nullptr || asset->state != State::decoding) return CRISPCAST_OK;
    int wanted_width = 0, wanted_height = 0;
    picture_size(number, wanted_width, wanted_height);
    if (samples == nullptr || width != wanted_width || height != wanted_height || stride < width) {
        why_ << "the picture " << manifest_->assets[number].sha256 << " is ";
        if (samples == nullptr)
            why_ << "none that this machine reads";
        else
            why_ << int64_t(width) << "x" << int64_t(height) << ", not " << int64_t(wanted_width)
                 << "x" << int64_t(wanted_height);
        return refuse(number, CRISPCAST_ERROR_PICTURE, true);
    }
    asset->width = width;
    asset->height = height;
    if (manifest_->assets[number].canvas_width != 0) {
        const int32_t status =
            crispcast_canvas_create(samples, stride, width, height, &asset->canvas);
        if (status != CRISPCAST_OK) return refuse(number, status, status != CRISPCAST_ERROR_MEMORY);
    } else {
        if (!asset->samples.resize(size_t(width) * size_t(height)))
            return refuse(number, CRISPCAST_ERROR_MEMORY, false);
        for (int y = 0; y < height; ++y)
            memcpy(asset->samples.data() + size_t(y) * size_t(width), samples + y * stride,
                   size_t(width));
    }
    asset->state = State::here;
    asset->pending &= kStore;
    if (asset->pending == 0) asset->bytes.release();
    account(*asset);
    ++version_;
    return CRISPCAST_OK;
}

}  // namespace crispcast::client

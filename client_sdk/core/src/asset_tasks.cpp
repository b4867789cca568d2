// What the app has to do for assets, the most urgent first.
#include <initializer_list>

#include "assets.h"

namespace crispcast::client {

namespace {

constexpr int kMaxWanted = 128;  // assets in one `want`; a longer list goes in several

}  // namespace

// The asset with such a task that is needed first, or kNone.
uint32_t Assets::most_urgent(uint8_t pending) const {
    uint32_t first = kNone;
    for (const uint32_t number : live_) {
        if (!(table_[number]->pending & pending)) continue;
        if (first == kNone || distance(*table_[number]) < distance(*table_[first])) first = number;
    }
    return first;
}

bool Assets::write_want(Text& want) {
    want << "{\"type\":\"want\",\"assets\":[";
    for (int i = 0; i < kMaxWanted; ++i) {
        const uint32_t number = most_urgent(kWant);
        if (number == kNone) break;
        Asset& asset = *table_[number];
        asset.pending &= uint8_t(~kWant);
        char text[CRISPCAST_SHA256_TEXT];
        to_hex(manifest_->assets[number].sha256.bytes, 32, text);
        want << (i == 0 ? "{\"sha256\":\"" : ",{\"sha256\":\"") << text
             << "\",\"offset\":" << uint64_t(asset.have) << "}";
    }
    want << "]}";
    return want.ok();
}

int32_t Assets::next_task(int64_t now_ms, crispcast_task& task, Text& want) {
    if (manifest_ == nullptr) return CRISPCAST_OK;
    watch_channel(now_ms);
    if (connected_ && most_urgent(kWant) != kNone)
        return write_want(want) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
    const uint32_t number = most_urgent(uint8_t(~kWant));
    if (number == kNone) return CRISPCAST_OK;
    const AssetFacts& facts = manifest_->assets[number];
    Asset& asset = *table_[number];
    to_hex(facts.sha256.bytes, 32, task.sha256);
    task.total = facts.bytes;
    task.rung = int32_t(asset.rung);
    task.segment = int32_t(asset.segment);
    task.frame = manifest_->segments[asset.segment].start;
    uint8_t done = kStore;
    for (const uint8_t kind : {kDecode, kBase, kLook, kFetch})
        if (asset.pending & kind) {
            done = kind;
            break;
        }
    if (done == kDecode || done == kStore) {
        // A copy: whatever the app calls meanwhile, the task's bytes stay.
        if (!read_.resize(asset.bytes.size())) return CRISPCAST_ERROR_MEMORY;
        memcpy(read_.data(), asset.bytes.data(), read_.size());
        task.bytes = read_.data();
        task.size = read_.size();
    }
    asset.pending &= uint8_t(~done);
    switch (done) {
        case kDecode:
            task.kind = CRISPCAST_TASK_DECODE;
            picture_size(number, task.width, task.height);
            break;
        case kBase: {
            task.kind = CRISPCAST_TASK_BASE;
            uint8_t id[CRISPCAST_BASE_ID_BYTES];
            int found = 0;
            crispcast_plan_base_id(asset.bytes.data(), asset.bytes.size(), id, &found);
            to_hex(id, sizeof id, task.id);
            break;
        }
        case kLook:
            task.kind = CRISPCAST_TASK_LOOK;
            break;
        case kFetch:
            task.kind = CRISPCAST_TASK_FETCH;
            task.offset = asset.have;
            break;
        default:
            task.kind = CRISPCAST_TASK_STORE;
            // A picture's bytes were only kept for this, and so were those of what is refused.
            if (asset.state == State::refused || asset.samples.size() != 0 ||
                asset.canvas != nullptr) {
                asset.bytes.release();
                account(asset);
            }
    }
    return CRISPCAST_OK;
}

}  // namespace crispcast::client

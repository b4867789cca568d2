// Which assets are held, and for how long. How they come is in arrivals.cpp, what is made of them
// in preparing.cpp, what the app has to do for them in asset_tasks.cpp.
#include "assets.h"

#include <new>

namespace crispcast::client {

namespace {

// A plan prepared takes more than its wire; before it is here, this much is set aside.
constexpr uint64_t kPlanBytes = 160 << 10;
constexpr uint64_t kPlanTimes = 16;
// Looking through them for the most urgent stays quick, whatever a manifest lists.
constexpr size_t kMostLive = 4096;

}  // namespace

Assets::~Assets() {
    for (const uint32_t asset : live_) delete table_[asset];
    for (const ShippedBase& base : shipped_) delete base.bytes;
}

bool Assets::begin(const Manifest& manifest) {
    manifest_ = &manifest;
    return table_.resize(manifest.assets.size()) && needed_.resize(manifest.assets.size());
}

bool Assets::horizon(uint32_t segment, double seconds, bool loops, Array<uint32_t>& ahead) const {
    const Array<Segment>& segments = manifest_->segments;
    const uint32_t count = uint32_t(segments.size());
    const double last = double(segments[segment].start) + seconds * manifest_->rate();
    ahead.clear();
    for (uint32_t i = segment; i < (loops ? segment + count : count); ++i) {
        const int64_t round = i >= count ? manifest_->frames : 0;
        const double start = double(segments[i % count].start + round);
        if (i > segment + 1 && start > last) break;
        if (!ahead.push(i % count)) return false;
    }
    return true;
}

// Bytes that the asset will take, or a little more.
uint64_t Assets::estimate(uint32_t asset) const {
    const AssetFacts& facts = manifest_->assets[asset];
    const uint64_t bytes = sizeof(Asset) + facts.bytes;
    if (facts.kind == Kind::record) return bytes;
    if (facts.kind == Kind::plan) return bytes + kPlanBytes + kPlanTimes * facts.bytes;
    int width = 0, height = 0;
    picture_size(asset, width, height);
    return bytes + uint64_t(width) * uint64_t(height);
}

void Assets::account(Asset& asset) {
    memory_ -= asset.cost;
    asset.cost = sizeof(Asset) + asset.bytes.bytes() + asset.samples.bytes();
    if (asset.canvas != nullptr) asset.cost += uint64_t(asset.width + 4) * (asset.height + 4);
    crispcast_plan_info info;
    if (asset.plan != nullptr && crispcast_plan_get_info(asset.plan, &info) == CRISPCAST_OK)
        asset.cost += kPlanBytes + 5 * info.weights + 16 * info.taps;
    memory_ += asset.cost;
}

Asset* Assets::create(uint32_t asset, uint32_t rung, uint32_t segment) {
    Asset* const made = new (std::nothrow) Asset;
    if (made == nullptr || !live_.push(asset)) {
        delete made;
        return nullptr;
    }
    made->rung = rung;
    made->segment = segment;
    made->pass = pass_;
    made->cost = estimate(asset);
    memory_ += made->cost;
    table_[asset] = made;
    return made;
}

void Assets::free_asset(uint32_t asset) {
    memory_ -= table_[asset]->cost;
    delete table_[asset];
    table_[asset] = nullptr;
    size_t kept = 0;
    for (const uint32_t other : live_)
        if (other != asset) live_[kept++] = other;
    while (live_.size() > kept) live_.pop();
    ++version_;
}

// Segments from where the play is, around the end.
uint32_t Assets::distance(const Asset& asset) const {
    const uint32_t count = uint32_t(manifest_->segments.size());
    return (asset.segment + count - place_) % count;
}

// Lets go of what is needed later than `segment`, the latest first, until so many bytes fit.
bool Assets::make_room(uint64_t bytes, uint32_t segment) {
    const uint32_t count = uint32_t(manifest_->segments.size());
    const uint32_t mine = (segment + count - place_) % count;
    while (memory_ + bytes > options_.memory_limit) {
        uint32_t latest = kNone;
        for (const uint32_t asset : live_) {
            if (distance(*table_[asset]) <= mine) continue;
            if (latest == kNone || distance(*table_[asset]) > distance(*table_[latest]))
                latest = asset;
        }
        if (latest == kNone) return false;
        free_asset(latest);
    }
    return true;
}

int32_t Assets::advance(uint32_t rung, const Array<uint32_t>& ahead) {
    ++pass_;
    int32_t status = CRISPCAST_OK;
    bool full = false;
    for (size_t i = 0; i < ahead.size() && !full && status == CRISPCAST_OK; ++i) {
        const uint32_t segment = ahead[i];
        manifest_->each_asset(rung, segment, [&](uint32_t asset) {
            if (full || status != CRISPCAST_OK) return;
            Asset* found = table_[asset];
            if (found != nullptr) {
                if (found->pass != pass_) {
                    found->pass = pass_;
                    found->rung = rung;
                    found->segment = segment;
                }
                return;
            }
            const uint64_t bytes = estimate(asset);
            const bool later = i > 1;
            full = later && (memory_ + bytes > options_.memory_limit || live_.size() >= kMostLive);
            if (full) return;
            const bool fits = make_room(bytes, segment);
            if (!fits && i > 0) return;  // once this segment is over, there may be room
            found = create(asset, rung, segment);
            if (found == nullptr) {
                status = CRISPCAST_ERROR_MEMORY;
                return;
            }
            if (!fits) {
                refuse(asset, CRISPCAST_ERROR_MEMORY, false);
            } else if (options_.cache) {
                found->pending = kLook;
            } else {
                ask(asset);
            }
        });
    }
    return status;
}

void Assets::let_go(const Part* parts, int count, const Array<uint32_t>& ahead) {
    if (needed_.size() != 0) memset(needed_.data(), 0, needed_.size());
    const auto need = [&](uint32_t asset) { needed_[asset] = 1; };
    for (int i = 0; i < count; ++i)
        if (parts[i].rung != kNone)
            for (uint32_t at = parts[i].segment; at < manifest_->segments.size(); ++at)
                manifest_->each_asset(parts[i].rung, at, need);
    for (const uint32_t at : ahead) manifest_->each_asset(parts[0].rung, at, need);
    for (size_t i = live_.size(); i-- > 0;) {
        const uint32_t asset = live_[i];
        const Asset& held = *table_[asset];
        // What is on its way is taken when it comes, and let go of after that.
        const bool kept = held.state == State::asked || (held.pending & kStore) || held.for_good;
        if (!needed_[asset] && !kept) free_asset(asset);
    }
}

// Nothing more is to come of it for now.
bool Assets::settled(uint32_t asset) const {
    const Asset* const found = table_[asset];
    if (found == nullptr) return false;
    if (found->state != State::waiting)
        return found->state == State::here || found->state == State::refused;
    const Asset* const base = found->base == kNone ? nullptr : table_[found->base];
    return base != nullptr && base->state == State::refused;
}

bool Assets::ready(uint32_t rung, uint32_t segment) const {
    bool all = true;
    manifest_->each_asset(rung, segment, [&](uint32_t asset) { all = all && settled(asset); });
    return all;
}

int32_t Assets::missing(uint32_t rung, uint32_t segment) const {
    // An asset may be named twice; a segment names few.
    uint32_t seen[2 + CRISPCAST_MAX_EXPERTS + 2 * kMaxPieces];
    int32_t count = 0;
    manifest_->each_asset(rung, segment, [&](uint32_t asset) {
        if (settled(asset)) return;
        for (int32_t i = 0; i < count; ++i)
            if (seen[i] == asset) return;
        seen[count++] = asset;
    });
    return count;
}

}  // namespace crispcast::client

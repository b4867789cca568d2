// How assets come: pieces by either way, put together; whole ones from a cache. A lying server can
// neither fill the memory nor slip anything in: only what was asked for is taken, in its size.
#include "assets.h"
#include "sha256.h"

namespace crispcast::client {

namespace {

constexpr int kTries = 2;
constexpr int kSwitches = 2;         // times that an asset may change its way
constexpr int64_t kPatience = 4000;  // milliseconds without a piece: the channel is stuck

bool is_whole(const Digest& sha256, const uint8_t* bytes, size_t size) {
    Digest found;
    crispcast::sha256(bytes, size, found.bytes);
    return found == sha256;
}

}  // namespace

bool Assets::may_fetch(uint32_t asset) const {
    if (options_.delivery == CRISPCAST_DELIVERY_CHANNEL) return false;
    return options_.delivery == CRISPCAST_DELIVERY_HTTP || !connected_ ||
           manifest_->assets[asset].bytes >= options_.http_from;
}

void Assets::ask(uint32_t asset) {
    Asset& wanted = *table_[asset];
    wanted.state = State::asked;
    wanted.by_channel = !may_fetch(asset);
    wanted.pending = uint8_t((wanted.pending & kStore) | (wanted.by_channel ? kWant : kFetch));
    if (wanted.tries == 0) wanted.tries = 1;
}

void Assets::connected() {
    connected_ = true;
    channel_moved_ = true;
    for (const uint32_t number : live_) {
        Asset& asset = *table_[number];
        asset.switched = 0;
        if (asset.state == State::refused && asset.lost) asset.state = State::asked;
        if (asset.state != State::asked) continue;
        if (connected_before_)
            ask(number);
        else if (asset.by_channel)
            asset.pending |= kWant;
    }
    connected_before_ = true;
}

int32_t Assets::piece(uint32_t number, uint64_t offset, uint64_t total, const uint8_t* bytes,
                      size_t size) {
    const AssetFacts& facts = manifest_->assets[number];
    Asset* const asset = table_[number];
    if (asset == nullptr) {
        why_ << "asset " << facts.sha256 << " was not asked for";
        return CRISPCAST_ERROR_ASSET_UNKNOWN;
    }
    if (asset->by_channel) channel_moved_ = true;
    if (asset->state == State::refused && asset->lost) asset->state = State::asked;
    if (asset->state != State::asked) return CRISPCAST_OK;  // it is here by another way
    came_bytes += size;
    if (total != facts.bytes || offset > total || size > total - offset) {
        why_ << "asset " << facts.sha256 << " came with " << int64_t(total) << " bytes, not "
             << int64_t(facts.bytes);
        return bad_piece(number, CRISPCAST_ERROR_ASSET_FRAME);
    }
    if (offset > asset->have) {
        why_ << "asset " << facts.sha256 << " has a hole at " << int64_t(asset->have) << "..."
             << int64_t(offset);
        return bad_piece(number, CRISPCAST_ERROR_ASSET_FRAME);
    }
    if (offset + size > asset->have) {
        // Memory as it comes, not as it was announced.
        if (!asset->bytes.grow(size_t(offset) + size, facts.bytes)) return CRISPCAST_ERROR_MEMORY;
        memcpy(asset->bytes.data() + offset, bytes, size);
        asset->have = size_t(offset) + size;
    }
    if (asset->have < facts.bytes) return CRISPCAST_OK;
    if (is_whole(facts.sha256, asset->bytes.data(), facts.bytes)) {
        // Where it is refused for what it says, a task tells it; the piece was good.
        const int32_t status = take(number, false);
        return status == CRISPCAST_ERROR_MEMORY ? status : int32_t(CRISPCAST_OK);
    }
    asset->have = 0;
    why_ << "asset " << facts.sha256 << " came damaged: its hash is wrong";
    return bad_piece(number, CRISPCAST_ERROR_ASSET_DAMAGED);
}

// Asks once more, or gives it up.
int32_t Assets::bad_piece(uint32_t number, int32_t status) {
    Asset& asset = *table_[number];
    if (asset.tries >= kTries) {
        refuse(number, status, false);
    } else {
        ++asset.tries;
        asset.pending |= asset.by_channel ? kWant : kFetch;
    }
    return status;
}

int32_t Assets::whole(uint32_t number, const uint8_t* bytes, size_t size) {
    const AssetFacts& facts = manifest_->assets[number];
    Asset* asset = table_[number];
    if (asset != nullptr && asset->state != State::looking && asset->state != State::asked)
        return CRISPCAST_OK;
    if (size != facts.bytes || !is_whole(facts.sha256, bytes, size)) {
        why_ << "asset " << facts.sha256 << " is damaged: its SHA-256 is another";
        if (asset != nullptr && asset->state == State::looking) ask(number);
        return CRISPCAST_ERROR_ASSET_DAMAGED;
    }
    if (asset == nullptr) {
        if (!make_room(estimate(number), facts.segment)) {
            why_ << "asset " << facts.sha256 << " would pass the memory limit";
            return CRISPCAST_ERROR_MEMORY;
        }
        asset = create(number, facts.rung, facts.segment);
    }
    if (asset == nullptr || !asset->bytes.resize(size)) return CRISPCAST_ERROR_MEMORY;
    memcpy(asset->bytes.data(), bytes, size);
    cached_bytes += size;
    return take(number, true);
}

// It is whole and true.
int32_t Assets::take(uint32_t number, bool cached) {
    Asset& asset = *table_[number];
    asset.pending = options_.cache && !cached ? kStore : 0;
    asset.have = 0;
    account(asset);
    return prepare(number);
}

int32_t Assets::lacks(uint32_t number) {
    Asset* const asset = table_[number];
    if (asset == nullptr) return CRISPCAST_OK;
    if (asset->state == State::looking) {
        ask(number);
    } else if (asset->state == State::asked && !asset->by_channel && !(asset->pending & kFetch)) {
        // While a FETCH is still to be taken, this is of one before it.
        if (!connected_ && connected_before_) {
            asset->pending &= kStore;  // the next connection asks for it again
        } else if (connected_ && asset->switched++ < kSwitches) {
            asset->by_channel = true;
            asset->pending = kWant;
        } else {
            refuse(number, CRISPCAST_ERROR_ASSET_LOST, false);
        }
    }
    return CRISPCAST_OK;
}

// A channel that brings nothing for a while is taken for stuck.
void Assets::watch_channel(int64_t now_ms) {
    bool waits = false;
    for (const uint32_t number : live_) {
        const Asset& asset = *table_[number];
        waits =
            waits || (asset.state == State::asked && asset.by_channel && !(asset.pending & kWant));
    }
    if (channel_moved_ || !waits) channel_since_ = now_ms;
    channel_moved_ = false;
    if (now_ms - channel_since_ < kPatience || options_.delivery == CRISPCAST_DELIVERY_CHANNEL)
        return;
    channel_since_ = now_ms;
    for (const uint32_t number : live_) {
        Asset& asset = *table_[number];
        if (asset.state != State::asked || !asset.by_channel || asset.switched >= kSwitches)
            continue;
        ++asset.switched;
        asset.by_channel = false;
        asset.pending = kFetch;
    }
}

}  // namespace crispcast::client

// What comes of assets, and of the manifest, by all ways: to whom it belongs, and what was not
// asked for. What is made of it is in arrivals.cpp.
#include "session.h"

namespace crispcast::client {

namespace {

constexpr size_t kPieceHeader = 41;

uint32_t little_endian(const uint8_t* bytes) {
    return uint32_t(bytes[0]) | uint32_t(bytes[1]) << 8 | uint32_t(bytes[2]) << 16 |
           uint32_t(bytes[3]) << 24;
}

}  // namespace

int32_t Session::frame_bytes(const uint8_t* bytes, size_t size) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (size <= kPieceHeader || size > CRISPCAST_MAX_ASSET_FRAME_BYTES || bytes[0] != 1) {
        ++wrong_messages_;
        why << "an asset frame of " << int64_t(size) << " bytes is too short, too long or of "
            << "another version";
        return CRISPCAST_ERROR_ASSET_FRAME;
    }
    Digest sha256;
    memcpy(sha256.bytes, bytes + 1, sizeof sha256.bytes);
    const uint64_t offset = little_endian(bytes + 33), total = little_endian(bytes + 37);
    const uint8_t* const data = bytes + kPieceHeader;
    const size_t count = size - kPieceHeader;
    if (offset + count > total) {
        ++wrong_messages_;
        why << "an asset frame ends at " << int64_t(offset + count) << " of " << int64_t(total)
            << " bytes";
        return CRISPCAST_ERROR_ASSET_FRAME;
    }
    if (has_head_ && sha256 == head_.sha256) return on_manifest_piece(offset, total, data, count);
    if (plain()) return CRISPCAST_OK;
    const uint32_t asset = manifest_ == nullptr ? kNone : manifest_->find(sha256);
    int32_t status = CRISPCAST_ERROR_ASSET_UNKNOWN;
    if (asset == kNone)
        why << "asset " << sha256 << " was not asked for";
    else
        status = assets_.piece(asset, offset, total, data, count);
    if (status != CRISPCAST_OK && status != CRISPCAST_ERROR_MEMORY) ++wrong_messages_;
    const int32_t said = say_when_ready();
    return status == CRISPCAST_OK ? said : status;
}

// The number of an asset that some segment needs.
int32_t Session::find(const char* sha256, uint32_t& asset) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (manifest_ == nullptr) return CRISPCAST_ERROR_NO_MANIFEST;
    if (!trust_.covers(manifest_sha256_)) return CRISPCAST_ERROR_UNTRUSTED;
    Digest digest;
    if (sha256 == nullptr || !from_hex(sha256, strlen(sha256), digest.bytes, 32))
        return CRISPCAST_ERROR_ARGUMENT;
    asset = manifest_->find(digest);
    if (asset != kNone && manifest_->assets[asset].rung != kNone) return CRISPCAST_OK;
    why << "asset " << digest << " belongs to no segment";
    return CRISPCAST_ERROR_ASSET_UNKNOWN;
}

int32_t Session::piece(const char* sha256, uint64_t offset, const uint8_t* bytes, size_t size) {
    uint32_t asset;
    int32_t status = find(sha256, asset);
    if (status != CRISPCAST_OK) return status;
    status = assets_.piece(asset, offset, manifest_->assets[asset].bytes, bytes, size);
    if (status != CRISPCAST_OK && status != CRISPCAST_ERROR_MEMORY) ++wrong_messages_;
    const int32_t said = say_when_ready();
    return status == CRISPCAST_OK ? said : status;
}

int32_t Session::asset(const char* sha256, const uint8_t* bytes, size_t size) {
    uint32_t asset;
    int32_t status = find(sha256, asset);
    if (status != CRISPCAST_OK) return status;
    status = assets_.whole(asset, bytes, size);
    const int32_t said = say_when_ready();
    return status == CRISPCAST_OK ? said : status;
}

int32_t Session::lacks(const char* sha256) {
    uint32_t asset;
    int32_t status = find(sha256, asset);
    if (status == CRISPCAST_OK) status = assets_.lacks(asset);
    return status == CRISPCAST_OK ? say_when_ready() : status;
}

int32_t Session::picture(const char* sha256, const uint8_t* samples, ptrdiff_t stride, int width,
                         int height) {
    uint32_t asset;
    int32_t status = find(sha256, asset);
    if (status != CRISPCAST_OK) return status;
    status = assets_.picture(asset, samples, stride, width, height);
    const int32_t said = say_when_ready();
    return status == CRISPCAST_OK ? said : status;
}

int32_t Session::base(const char* id, const uint8_t* bytes, size_t size) {
    uint8_t wanted[CRISPCAST_BASE_ID_BYTES];
    if (id == nullptr || !from_hex(id, strlen(id), wanted, sizeof wanted))
        return CRISPCAST_ERROR_ARGUMENT;
    const int32_t status = assets_.base(wanted, bytes, size);
    const int32_t said = say_when_ready();
    return status == CRISPCAST_OK ? said : status;
}

}  // namespace crispcast::client

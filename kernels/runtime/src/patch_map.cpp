// Patch maps: docs/patch-maps.md, with every check that it names. The Python twin is
// client_sdk/contract/patch_map.py.
#include "crispcast.h"
#include "range_decoder.h"

namespace crispcast {
namespace {

constexpr size_t kHeaderBytes = 5;
constexpr size_t kMaxMapBytes = 1u << 20;
constexpr int kMinPatch = 8;
constexpr int kMaxColumns = CRISPCAST_MAX_SIDE / kMinPatch;
constexpr int kExpertBits = 7;
constexpr int kMaxGrid = CRISPCAST_MAX_PATCHES / 4;  // each may be split in four

struct Grid {
    int width, height, patch_width, patch_height;

    int columns() const { return width < patch_width ? 1 : width / patch_width; }
    int rows() const { return height < patch_height ? 1 : height / patch_height; }

    // The last column and row absorb the remainder.
    crispcast_patch at(int column, int row) const {
        const int x = column * patch_width, y = row * patch_height;
        return {x, y, column + 1 == columns() ? width - x : patch_width,
                row + 1 == rows() ? height - y : patch_height, 0};
    }
};

crispcast_patch quarter(const crispcast_patch& patch, int index) {
    const int left = patch.width / 2, top = patch.height / 2;
    const bool right = index & 1, low = index & 2;
    return {patch.x + (right ? left : 0), patch.y + (low ? top : 0),
            right ? patch.width - left : left, low ? patch.height - top : top, 0};
}

// The caller's array: counts on beyond its end, so that the caller learns how long it must be.
struct Patches {
    crispcast_patch* out;
    size_t capacity;
    size_t count = 0;

    void push(crispcast_patch patch, int expert) {
        patch.expert = expert;
        if (count < capacity) out[count] = patch;
        ++count;
    }
};

class Decoder {
  public:
    Decoder(const uint8_t* bytes, size_t size, const Grid& grid, int max_expert)
        : in_(bytes, size), grid_(grid), max_expert_(max_expert) {}

    crispcast_status read(Patches& patches) {
        if (in_.truncated()) return CRISPCAST_ERROR_MAP_TRUNCATED;
        const int columns = grid_.columns(), rows = grid_.rows();
        for (int row = 0; row < rows; ++row)
            for (int column = 0; column < columns; ++column) {
                const crispcast_status status = read_patch(column, row, patches);
                // A damaged stream first shows as another error.
                if (in_.truncated()) return CRISPCAST_ERROR_MAP_TRUNCATED;
                if (status != CRISPCAST_OK) return status;
            }
        return in_.at_end() ? CRISPCAST_OK : CRISPCAST_ERROR_MAP_TRAILING;
    }

  private:
    crispcast_status read_patch(int column, int row, Patches& patches) {
        const crispcast_patch patch = grid_.at(column, row);
        // Until this patch is done, row_[column] is the one above it.
        Cell& cell = row_[column];
        const int up = cell.last;
        const int near = (column > 0 && row_[column - 1].split) + cell.split;
        const int split = in_.bit(split_[near]);
        if (split && (patch.width < 2 || patch.height < 2)) return CRISPCAST_ERROR_MAP_SPLIT;
        for (int part = 0; part < (split ? 4 : 1); ++part) {
            if (!in_.bit(same_[2 * split + (before_ == up)])) {
                if (up != before_ && in_.bit(above_[split]))
                    before_ = up;
                else
                    before_ = in_.tree(tree_, kExpertBits);
            }
            if (before_ > max_expert_) return CRISPCAST_ERROR_MAP_EXPERT;
            patches.push(split ? quarter(patch, part) : patch, before_);
        }
        cell = {uint8_t(before_), uint8_t(split)};
        return CRISPCAST_OK;
    }

    struct Cell {
        uint8_t last = 0;  // expert, of its last quarter if it is split
        uint8_t split = 0;
    };

    RangeDecoder in_;
    const Grid grid_;
    const int max_expert_;
    int before_ = 0;  // the expert coded last
    BitContext split_[3], same_[4], above_[2], tree_[1 << kExpertBits];
    Cell row_[kMaxColumns];
};

}  // namespace
}  // namespace crispcast

crispcast_status crispcast_patch_map_decode(const void* record, size_t size, int width, int height,
                                            int max_expert, crispcast_patch* patches,
                                            size_t capacity, size_t* count) {
    using namespace crispcast;
    if (count == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *count = 0;
    if ((record == nullptr && size != 0) || (patches == nullptr && capacity != 0) ||
        max_expert < 0 || max_expert > CRISPCAST_MAX_EXPERTS)
        return CRISPCAST_ERROR_ARGUMENT;
    if (width < 1 || height < 1 || width > CRISPCAST_MAX_SIDE || height > CRISPCAST_MAX_SIDE)
        return CRISPCAST_ERROR_SIZE;
    if (size <= kHeaderBytes) return CRISPCAST_ERROR_MAP_TRUNCATED;
    if (size > kMaxMapBytes) return CRISPCAST_ERROR_MAP_SIZE;
    const uint8_t* bytes = static_cast<const uint8_t*>(record);
    if (bytes[0] != 1) return CRISPCAST_ERROR_MAP_VERSION;
    const Grid grid{width, height, bytes[1] | bytes[2] << 8, bytes[3] | bytes[4] << 8};
    if (grid.patch_width < kMinPatch || grid.patch_width > CRISPCAST_MAX_SIDE ||
        grid.patch_height < kMinPatch || grid.patch_height > CRISPCAST_MAX_SIDE ||
        grid.columns() * grid.rows() > kMaxGrid)
        return CRISPCAST_ERROR_MAP_GRID;
    Patches found{patches, capacity};
    Decoder decoder(bytes + kHeaderBytes, size - kHeaderBytes, grid, max_expert);
    const crispcast_status status = decoder.read(found);
    if (status != CRISPCAST_OK) return status;
    *count = found.count;
    return patches != nullptr && found.count > capacity ? CRISPCAST_ERROR_MAP_CAPACITY
                                                        : CRISPCAST_OK;
}

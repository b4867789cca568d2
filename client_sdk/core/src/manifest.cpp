// What the manifest's parts say of each other: every reference leads to what it names.
#include "manifest.h"

#include <initializer_list>

namespace crispcast::client {

namespace {

constexpr uint32_t kMaxPlanBytes = 4u << 20;
constexpr int64_t kMaxCanvasFrames = 8;  // area of a canvas, in frames

// Heapsort by digest: no memory, and no worst case that somebody could send.
void sift(Array<AssetFacts>& assets, size_t root, size_t size) {
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= size) return;
        if (child + 1 < size && assets[child].sha256 < assets[child + 1].sha256) ++child;
        if (!(assets[root].sha256 < assets[child].sha256)) return;
        const AssetFacts swapped = assets[root];
        assets[root] = assets[child];
        assets[child] = swapped;
        root = child;
    }
}

void sort(Array<AssetFacts>& assets) {
    for (size_t i = assets.size() / 2; i-- > 0;) sift(assets, i, assets.size());
    for (size_t end = assets.size(); end-- > 1;) {
        const AssetFacts swapped = assets[0];
        assets[0] = assets[end];
        assets[end] = swapped;
        sift(assets, 0, end);
    }
}

const char* const kKinds[] = {"plan", "plate", "chroma", "record"};

}  // namespace

uint32_t Manifest::segment_of(int64_t frame) const {
    size_t low = 0, high = segments.size();
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        (segments[middle].start <= frame ? low : high) = middle;
    }
    return uint32_t(low);
}

uint32_t Manifest::find(const Digest& sha256) const {
    size_t low = 0, high = assets.size();
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (assets[middle].sha256 < sha256)
            low = middle + 1;
        else
            high = middle;
    }
    return low < assets.size() && assets[low].sha256 == sha256 ? uint32_t(low) : kNone;
}

bool Manifest::check(Sentence& why) {
    int64_t expected = 0;
    for (size_t i = 0; i < segments.size(); ++i) {
        if (segments[i].start != expected) {
            why << "segment " << int64_t(i) << " starts at frame " << segments[i].start << ", not "
                << expected;
            return false;
        }
        expected = segments[i].end();
    }
    if (expected != frames) {
        why << "the segments cover " << expected << " frames of the source's " << frames;
        return false;
    }
    sort(assets);
    for (size_t i = 1; i < assets.size(); ++i)
        if (assets[i].sha256 == assets[i - 1].sha256) {
            why << "the asset " << assets[i].sha256 << " stands there twice";
            return false;
        }
    if (!add_records(why)) return false;
    for (int i = 0; i < rung_count; ++i)
        if (!check_rung(uint32_t(i), why)) return false;
    named_.clear();
    if (quality_ >= 0 && quality_ != int64_t(segments.size())) {
        why << quality_ << " quality entries, " << int64_t(segments.size()) << " segments";
        return false;
    }
    if (has_audio_ && !source_audio_) {
        why << "there is an audio file and the source is said to have no audio";
        return false;
    }
    note_users();
    return true;
}

// Records become assets too. One hash is one thing, of one size.
bool Manifest::add_records(Sentence& why) {
    const size_t listed = assets.size();
    for (const Named& named : named_)
        if (named.bytes != 0 &&
            !full(assets.push({named.sha256, Kind::record, named.bytes, 0, 0, kNone, 0})))
            return false;
    if (assets.size() == listed) return true;
    sort(assets);
    size_t kept = 1;
    for (size_t i = 1; i < assets.size(); ++i) {
        const AssetFacts& before = assets[kept - 1];
        if (!(assets[i].sha256 == before.sha256)) {
            assets[kept++] = assets[i];
        } else if (assets[i].kind != before.kind || assets[i].bytes != before.bytes) {
            why << "the asset " << before.sha256 << " has two sizes or kinds";
            return false;
        }
    }
    while (assets.size() > kept) assets.pop();
    return true;
}

// From a number of `named_` to one of `assets`, which must be of that kind.
bool Manifest::resolve(uint32_t& number, Kind kind, Sentence& why) {
    const Digest& sha256 = named_[number].sha256;
    const uint32_t found = find(sha256);
    if (found == kNone || assets[found].kind != kind) {
        why << sha256 << " is not a " << kKinds[int(kind)] << " of this package";
        return false;
    }
    if (kind == Kind::plan && assets[found].bytes > kMaxPlanBytes) {
        why << "plan " << sha256 << " of " << int64_t(assets[found].bytes) << " bytes passes "
            << int64_t(kMaxPlanBytes);
        return false;
    }
    number = found;
    return true;
}

bool Manifest::check_rung(uint32_t index, Sentence& why) {
    Rung& rung = *rungs[index];
    why << "rung " << rung.name << ": ";
    for (uint32_t i = 0; i < index; ++i)
        if (strcmp(rungs[i]->name, rung.name) == 0) {
            why << "two rungs share this name";
            return false;
        }
    const int two = 2 * rung.scale;
    const int lr_width = 2 * ((width + two - 1) / two), lr_height = 2 * ((height + two - 1) / two);
    if (rung.width != lr_width || rung.height != lr_height) {
        why << int64_t(rung.width) << "x" << int64_t(rung.height) << "; scale "
            << int64_t(rung.scale) << " of this source asks for " << int64_t(lr_width) << "x"
            << int64_t(lr_height);
        return false;
    }
    if (rung.segments.size() != segments.size()) {
        why << int64_t(rung.segments.size()) << " segments, not " << int64_t(segments.size());
        return false;
    }
    if (rung_quality_[index] >= 0 && rung_quality_[index] != int64_t(segments.size())) {
        why << rung_quality_[index] << " quality entries";
        return false;
    }
    for (uint32_t& expert : rung.experts)
        if (!resolve(expert, Kind::plan, why)) return false;
    if (!check_plates(rung, why)) return false;
    for (uint32_t i = 0; i < rung.segments.size(); ++i) {
        RungSegment& segment = rung.segments[i];
        if (!resolve(segment.map, Kind::record, why)) return false;
        if (segment.motion != kNone && !resolve(segment.motion, Kind::record, why)) return false;
        if (segment.plate != kNone && segment.plate >= rung.plates.size()) {
            why << "segment " << int64_t(i) << ": plate " << int64_t(segment.plate) << " of "
                << int64_t(rung.plates.size());
            return false;
        }
        if (!check_canvas(rung, i, why)) return false;
    }
    why.clear();
    return true;
}

// Every piece is a plate of this package, and one picture has one size.
bool Manifest::check_plates(Rung& rung, Sentence& why) {
    for (uint32_t i = 0; i < rung.plates.size(); ++i)
        if (!check_plate(rung, i, why)) return false;
    struct Size {
        int32_t width, height;
    };
    Array<Size> sizes;
    if (rung.pieces.size() == 0) return true;
    if (!full(sizes.resize(assets.size()))) return false;
    for (const Piece& piece : rung.pieces)
        for (const uint32_t asset : {piece.luma, piece.chroma}) {
            if (asset == kNone) continue;
            Size& size = sizes[asset];
            if (size.width == 0) size = {piece.region.width, piece.region.height};
            if (size.width != piece.region.width || size.height != piece.region.height) {
                why << assets[asset].sha256 << " has two sizes";
                return false;
            }
        }
    return true;
}

bool Manifest::check_plate(Rung& rung, uint32_t index, Sentence& why) {
    const Plate& plate = rung.plates[index];
    bool canvases = false, coloured = false, whole = true;
    for (uint32_t i = plate.first; i < plate.first + plate.count; ++i) {
        Piece& piece = rung.pieces[i];
        Region& region = piece.region;
        whole = region.width == 0;
        if (whole) region = {0, 0, rung.hr_width(), rung.hr_height()};
        if (!resolve(piece.luma, Kind::plate, why)) return false;
        if (piece.chroma != kNone && !resolve(piece.chroma, Kind::chroma, why)) return false;
        if (region.x + region.width > rung.hr_width() ||
            region.y + region.height > rung.hr_height()) {
            why << "plate " << int64_t(index) << ": a piece lies outside of the frame";
            return false;
        }
        canvases = canvases || assets[piece.luma].canvas_width != 0;
        coloured = coloured || piece.chroma != kNone;
        if (piece.chroma != kNone &&
            (region.x % 2 || region.y % 2 || region.width % 2 || region.height % 2)) {
            why << "plate " << int64_t(index) << ": a piece with chroma has odd sides or corners";
            return false;
        }
    }
    if (canvases && (plate.count > 1 || !whole)) {
        why << "plate " << int64_t(index) << ": a canvas is no piece of a plate";
        return false;
    }
    if (coloured && (canvases || rung.tolerance == 0)) {
        why << "plate " << int64_t(index) << ": chroma needs a tolerance, and no canvas";
        return false;
    }
    return true;
}

// A segment has motion exactly where its plate is a canvas, and both are of a sane size.
bool Manifest::check_canvas(const Rung& rung, uint32_t index, Sentence& why) {
    const RungSegment& segment = rung.segments[index];
    const AssetFacts* canvas = nullptr;
    if (segment.plate != kNone) {
        canvas = &assets[rung.pieces[rung.plates[segment.plate].first].luma];
        if (canvas->canvas_width == 0) canvas = nullptr;
    }
    if ((canvas == nullptr) != (segment.motion == kNone)) {
        why << "segment " << int64_t(index) << ": a canvas needs motion, and motion a canvas";
        return false;
    }
    if (canvas == nullptr) return true;
    const int64_t frame = int64_t(rung.hr_width()) * rung.hr_height();
    if (int64_t(canvas->canvas_width) * canvas->canvas_height > kMaxCanvasFrames * frame) {
        why << "segment " << int64_t(index) << ": a canvas passes " << kMaxCanvasFrames
            << " frames";
        return false;
    }
    if (segments[index].frames > kMaxMotionFrames) {
        why << "segment " << int64_t(index) << ": motion of more than " << int64_t(kMaxMotionFrames)
            << " frames";
        return false;
    }
    return true;
}

// Which rung and segment needs each asset first: it is checked as what that says it is.
void Manifest::note_users() {
    for (uint32_t rung = 0; rung < uint32_t(rung_count); ++rung)
        for (uint32_t segment = 0; segment < segments.size(); ++segment)
            each_asset(rung, segment, [&](uint32_t asset) {
                if (assets[asset].rung != kNone) return;
                assets[asset].rung = rung;
                assets[asset].segment = segment;
            });
}

}  // namespace crispcast::client

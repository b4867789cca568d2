// The manifest, read and checked whole: docs/manifest.md. The Python twin is
// client_sdk/contract/manifest.py; both refuse the same, but for texts that nothing here shows.
#pragma once

#include "json.h"

namespace crispcast::client {

constexpr int kMaxRungs = 16;
constexpr int kMaxSegments = 100000;
constexpr int kMaxPieces = 64;
constexpr int64_t kMaxFrames = 0xffffffff;
constexpr int kMaxMotionFrames = 4096;
constexpr size_t kMaxRecordBytes = 1u << 20;
constexpr uint32_t kNone = UINT32_MAX;  // no asset, no plate

enum class Kind : uint8_t { plan, plate, chroma, record };  // a record: patch map, or motion

struct AssetFacts {
    Digest sha256;
    Kind kind;
    uint32_t bytes;
    int32_t canvas_width, canvas_height;  // 0: no canvas
    uint32_t rung, segment;               // the first that needs it; rung kNone: none does
};

struct Segment {
    int64_t start, frames;
    int64_t end() const { return start + frames; }
};

// A rectangle of the HR frame.
struct Region {
    int32_t x, y, width, height;
};

// Numbers of assets; while the manifest is read, of `Manifest::named`.
struct Piece {
    uint32_t luma, chroma;
    Region region;
};

struct Plate {
    uint32_t first, count;  // of the rung's pieces
};

struct RungSegment {
    uint32_t first_expert, experts;
    uint32_t plate;
    uint32_t map, motion;
};

struct Rung {
    char name[33] = {};
    int width = 0, height = 0, scale = 0, tolerance = 0;
    bool av1 = false;
    Array<uint32_t> experts;  // assets
    Array<Piece> pieces;
    Array<Plate> plates;
    Array<RungSegment> segments;

    int hr_width() const { return width * scale; }
    int hr_height() const { return height * scale; }
};

class Manifest {
  public:
    Manifest() = default;
    ~Manifest();
    Manifest(const Manifest&) = delete;
    Manifest& operator=(const Manifest&) = delete;

    // CRISPCAST_OK, CRISPCAST_ERROR_MANIFEST with the fault in `why`, or CRISPCAST_ERROR_MEMORY.
    int32_t parse(const void* bytes, size_t size, Sentence& why);

    uint8_t id[8] = {};
    int width = 0, height = 0;
    int64_t frames = 0;
    int64_t fps[2] = {1, 1};
    bool full_range = false;
    int colour[3] = {2, 2, 2};  // primaries, transfer, matrix
    Array<Segment> segments;
    Array<AssetFacts> assets;  // by digest
    Rung* rungs[kMaxRungs] = {};
    int rung_count = 0;

    double rate() const { return double(fps[0]) / double(fps[1]); }
    // The frame must be one of the video.
    uint32_t segment_of(int64_t frame) const;
    // Number of the asset, or kNone.
    uint32_t find(const Digest& sha256) const;

    // Calls visit(asset) for all that a segment needs, by deadline: patch map, motion, plans,
    // plate, chroma. Some may come twice.
    template <class Visit>
    void each_asset(uint32_t rung_index, uint32_t segment_index, Visit visit) const {
        const Rung& rung = *rungs[rung_index];
        const RungSegment& segment = rung.segments[segment_index];
        visit(segment.map);
        if (segment.motion != kNone) visit(segment.motion);
        for (uint32_t i = 0; i < segment.experts; ++i)
            visit(rung.experts[segment.first_expert + i]);
        if (segment.plate == kNone) return;
        const Plate& plate = rung.plates[segment.plate];
        for (uint32_t i = 0; i < plate.count; ++i) visit(rung.pieces[plate.first + i].luma);
        for (uint32_t i = 0; i < plate.count; ++i)
            if (rung.pieces[plate.first + i].chroma != kNone)
                visit(rung.pieces[plate.first + i].chroma);
    }

  private:
    // A digest as the manifest's text names it, before it is an asset's number.
    struct Named {
        Digest sha256;
        uint32_t bytes;  // of a record; 0: an asset
    };

    void read(Json& json);
    void read_source(Json& json);
    void read_method(Json& json);
    void read_segments(Json& json);
    void read_rungs(Json& json);
    void read_rung(Json& json, Rung& rung);
    void read_plates(Json& json, Rung& rung);
    void read_rung_segments(Json& json, Rung& rung);
    uint32_t read_record(Json& json);
    void read_assets(Json& json);
    void read_audio(Json& json);
    // Decibels of each segment: how many.
    int64_t read_quality(Json& json);
    uint32_t name(Json& json, const Digest& sha256, uint32_t bytes);
    bool check(Sentence& why);
    bool check_rung(uint32_t index, Sentence& why);
    bool check_plates(Rung& rung, Sentence& why);
    bool check_plate(Rung& rung, uint32_t index, Sentence& why);
    bool check_canvas(const Rung& rung, uint32_t index, Sentence& why);
    bool resolve(uint32_t& number, Kind kind, Sentence& why);
    bool add_records(Sentence& why);
    bool full(bool there);
    void note_users();

    Array<Named> named_;
    bool memory_ok_ = true;
    bool has_audio_ = false, source_audio_ = false;
    int64_t quality_ = -1;
    int64_t rung_quality_[kMaxRungs];
};

}  // namespace crispcast::client

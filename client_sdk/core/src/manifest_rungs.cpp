// The rungs of a manifest: what is needed for each segment.
#include <new>

#include "manifest.h"
#include "manifest_fields.h"

namespace crispcast::client {

void Manifest::read_rungs(Json& json) {
    json.begin_array();
    while (json.next_item()) {
        if (rung_count == kMaxRungs) return json.refuse("too many rungs");
        Rung* rung = new (std::nothrow) Rung;
        if (!full(rung != nullptr)) return;
        rungs[rung_count] = rung;
        rung_quality_[rung_count++] = -1;
        read_rung(json, *rung);
        if (!memory_ok_) return;
    }
    if (json.ok() && rung_count == 0) json.refuse("no rungs");
}

void Manifest::read_rung(Json& json, Rung& rung) {
    static const char* const names[] = {"name",     "width",     "height", "scale",
                                        "codec",    "profile",   "file",   "sha256",
                                        "bytes",    "maps_file", "plates", "chroma_tolerance",
                                        "segments", "quality",   "compute"};
    static const char* const codecs[] = {"h264", "av1"};
    static const char* const profiles[] = {"baseline", "constrained-baseline", "main", "high"};
    Keys keys(json, names, 15);
    JsonText key;
    Digest digest;
    json.begin_object();
    while (memory_ok_ && json.next_key(key)) {
        switch (keys.seen(key)) {
            case 0:
                json.string(key);
                if (!json.ok()) return;
                if (key.cut || !plain_name(key.bytes, key.size, 32))
                    return json.refuse("not a plain name of at most 32 characters");
                memcpy(rung.name, key.bytes, key.size);
                break;
            case 1:
                rung.width = int(json.integer(1, CRISPCAST_MAX_SIDE));
                break;
            case 2:
                rung.height = int(json.integer(1, CRISPCAST_MAX_SIDE));
                break;
            case 3:
                rung.scale = int(json.integer(1, 4));
                break;
            case 4:
                rung.av1 = word(json, codecs, 2) == 1;
                break;
            case 5:
                word(json, profiles, 4);
                break;
            case 6:
                read_file(json, "video/");
                break;
            case 7:
                json.digest(digest);
                break;
            case 8:
                json.integer(1, kMaxFileBytes);
                break;
            case 9:
                read_file(json, "maps/");
                break;
            case 10:
                read_plates(json, rung);
                break;
            case 11:
                if (!json.null()) rung.tolerance = int(json.integer(1, CRISPCAST_MAX_TOLERANCE));
                break;
            case 12:
                read_rung_segments(json, rung);
                break;
            case 13:
                if (!json.null()) rung_quality_[rung_count - 1] = read_quality(json);
                break;
            case 14:
                if (!json.null()) json.integer(0, int64_t(1) << 53);
                break;
            default:
                return;
        }
    }
    keys.require(0x13ef);
}

void Manifest::read_plates(Json& json, Rung& rung) {
    static const char* const names[] = {"sha256", "region", "chroma"};
    JsonText key;
    json.begin_array();
    while (memory_ok_ && json.next_item()) {
        if (rung.plates.size() == kMaxSegments) return json.refuse("too many plates");
        Plate plate = {uint32_t(rung.pieces.size()), 0};
        json.begin_array();
        while (memory_ok_ && json.next_item()) {
            if (plate.count == kMaxPieces) return json.refuse("too many pieces");
            Keys keys(json, names, 3);
            Piece piece = {kNone, kNone, {}};
            Digest digest;
            json.begin_object();
            while (json.next_key(key)) {
                const int at = keys.seen(key);
                if (at == 0) {
                    json.digest(digest);
                    piece.luma = name(json, digest, 0);
                } else if (at == 1 && !json.null()) {
                    int32_t sides[4] = {};
                    int count = 0;
                    json.begin_array();
                    while (json.next_item()) {
                        const int64_t value =
                            json.integer(count < 2 ? 0 : 1, CRISPCAST_MAX_SIDE - (count < 2));
                        if (count < 4) sides[count] = int32_t(value);
                        ++count;
                    }
                    if (json.ok() && count != 4) json.refuse("not four numbers");
                    piece.region = {sides[0], sides[1], sides[2], sides[3]};
                } else if (at == 2 && !json.null()) {
                    json.digest(digest);
                    piece.chroma = name(json, digest, 0);
                }
            }
            keys.require(1);
            if (!json.ok() || !full(rung.pieces.push(piece))) return;
            ++plate.count;
        }
        if (json.ok() && plate.count == 0) json.refuse("a plate without pieces");
        if (!full(rung.plates.push(plate))) return;
    }
}

void Manifest::read_rung_segments(Json& json, Rung& rung) {
    static const char* const names[] = {"experts", "plate", "map", "motion"};
    JsonText key;
    json.begin_array();
    while (memory_ok_ && json.next_item()) {
        if (rung.segments.size() == kMaxSegments) return json.refuse("too many segments");
        Keys keys(json, names, 4);
        RungSegment segment = {uint32_t(rung.experts.size()), 0, kNone, kNone, kNone};
        json.begin_object();
        while (json.next_key(key)) {
            const int at = keys.seen(key);
            if (at == 0) {
                json.begin_array();
                while (json.next_item()) {
                    if (segment.experts == CRISPCAST_MAX_EXPERTS)
                        return json.refuse("too many experts");
                    Digest digest;
                    json.digest(digest);
                    const uint32_t number = name(json, digest, 0);
                    if (!json.ok() || !full(rung.experts.push(number))) return;
                    ++segment.experts;
                }
            } else if (at == 1 && !json.null()) {
                segment.plate = uint32_t(json.integer(0, kMaxSegments - 1));
            } else if (at == 2) {
                segment.map = read_record(json);
            } else if (at == 3 && !json.null()) {
                segment.motion = read_record(json);
            }
        }
        keys.require(4);
        if (!json.ok() || !full(rung.segments.push(segment))) return;
    }
    if (json.ok() && rung.segments.size() == 0) json.refuse("no segments");
}

uint32_t Manifest::read_record(Json& json) {
    static const char* const names[] = {"sha256", "offset", "bytes"};
    Keys keys(json, names, 3);
    JsonText key;
    Digest digest = {};
    int64_t bytes = 0;
    json.begin_object();
    while (json.next_key(key)) {
        const int at = keys.seen(key);
        if (at == 0) json.digest(digest);
        if (at == 1) json.integer(0, int64_t(1) << 40);
        if (at == 2) bytes = json.integer(1, kMaxRecordBytes);
    }
    keys.require(7);
    return name(json, digest, uint32_t(bytes));
}

uint32_t Manifest::name(Json& json, const Digest& sha256, uint32_t bytes) {
    if (!json.ok() || !full(named_.push({sha256, bytes}))) return kNone;
    return uint32_t(named_.size() - 1);
}

}  // namespace crispcast::client

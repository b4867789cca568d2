// From the manifest's text to its parts. What they say of each other is checked in manifest.cpp.
#include <new>

#include "manifest.h"

namespace crispcast::client {

namespace {

constexpr int64_t kMaxFileBytes = int64_t(1) << 50;
constexpr int64_t kMaxPlateBytes = 32 << 20;

bool letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

// [A-Za-z0-9][A-Za-z0-9._-]{0,most - 1}
bool plain_name(const char* text, size_t size, size_t most) {
    if (size == 0 || size > most || !letter_or_digit(text[0])) return false;
    for (size_t i = 1; i < size; ++i)
        if (!letter_or_digit(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-')
            return false;
    return true;
}

// One folder and one plain name.
void read_file(Json& json, const char* folder) {
    JsonText text;
    json.string(text);
    if (!json.ok()) return;
    const size_t size = strlen(folder);
    if (text.cut || text.size <= size || memcmp(text.bytes, folder, size) != 0 ||
        !plain_name(text.bytes + size, text.size - size, 64)) {
        Sentence what;
        json.refuse(what << "not a plain file in " << folder);
    }
}

// [0-9]{1,4}\.[0-9]{1,4}
bool is_version(const JsonText& text) {
    size_t dots = 0, digits = 0;
    for (size_t i = 0; i < text.size; ++i) {
        const char c = text.bytes[i];
        if (c == '.' && digits > 0 && dots == 0) {
            ++dots;
            digits = 0;
        } else if (c < '0' || c > '9' || ++digits > 4) {
            return false;
        }
    }
    return !text.cut && dots == 1 && digits > 0;
}

// One of `count` words; which.
int word(Json& json, const char* const* words, int count) {
    JsonText text;
    json.string(text);
    for (int i = 0; i < count; ++i)
        if (text == words[i]) return i;
    json.refuse("not one of the words that may stand here");
    return 0;
}

bool printable(const JsonText& text) {
    for (size_t i = 0; i < text.size; ++i) {
        const uint8_t c = static_cast<uint8_t>(text.bytes[i]);
        const bool control = c < 32 || c == 127;
        const bool second = c == 0xc2 && static_cast<uint8_t>(text.bytes[i + 1]) < 0xa0;
        if (control || second) return false;
    }
    return true;
}

// Which keys of an object were there. Each may come once.
class Keys {
  public:
    Keys(Json& json, const char* const* names, int count)
        : json_(json), names_(names), count_(count) {}

    // The key's place among the names; -1 where it is none, or comes twice, and the text is
    // refused.
    int seen(const JsonText& key) {
        for (int i = 0; i < count_; ++i) {
            if (!(key == names_[i])) continue;
            if (there_ >> i & 1) break;
            there_ |= 1u << i;
            return i;
        }
        json_.refuse("a field that is not known, or comes twice");
        return -1;
    }

    void require(uint32_t wanted) {
        for (int i = 0; i < count_; ++i)
            if ((wanted & ~there_) >> i & 1) {
                Sentence what;
                json_.refuse(what << "the field " << names_[i] << " is missing");
            }
    }

  private:
    Json& json_;
    const char* const* names_;
    int count_;
    uint32_t there_ = 0;
};

}  // namespace

Manifest::~Manifest() {
    for (int i = 0; i < rung_count; ++i) delete rungs[i];
}

int32_t Manifest::parse(const void* bytes, size_t size, Sentence& why) {
    if (size > CRISPCAST_MAX_MANIFEST_BYTES) {
        why << "the manifest has more than " << int64_t(CRISPCAST_MAX_MANIFEST_BYTES) << " bytes";
        return CRISPCAST_ERROR_MANIFEST;
    }
    // What it is, before what may stand in it: another version has other fields.
    Json look(bytes, size);
    JsonText key, format, version;
    look.begin_object();
    while (look.next_key(key)) {
        if (key == "format")
            look.string(format);
        else if (key == "version")
            look.string(version);
        else
            look.skip();
    }
    look.finish();
    if (!look.ok()) {
        why << "manifest.json: " << look.fault().text();
        return CRISPCAST_ERROR_MANIFEST;
    }
    if (!(format == "crispcast")) {
        why << "this is not the manifest of a Crispcast package";
        return CRISPCAST_ERROR_MANIFEST;
    }
    if (!is_version(version) || version.bytes[0] != '1' || version.bytes[1] != '.') {
        why << "the manifest has version ";
        why.quote(version.bytes, version.size < 20 ? version.size : 20)
            << "; this program reads 1.x: use a matching Crispcast";
        return CRISPCAST_ERROR_MANIFEST;
    }
    Json json(bytes, size);
    read(json);
    json.finish();
    if (!memory_ok_) return CRISPCAST_ERROR_MEMORY;
    if (!json.ok()) {
        why << "manifest.json: " << json.fault().text();
        return CRISPCAST_ERROR_MANIFEST;
    }
    Sentence fault;
    const bool sound = check(fault);
    if (!memory_ok_) return CRISPCAST_ERROR_MEMORY;
    if (sound) return CRISPCAST_OK;
    why << "manifest.json: " << fault.text();
    return CRISPCAST_ERROR_MANIFEST;
}

// False, for good, where there was no memory.
bool Manifest::full(bool there) {
    memory_ok_ = memory_ok_ && there;
    return memory_ok_;
}

void Manifest::read(Json& json) {
    static const char* const names[] = {"format", "version", "id",       "name",
                                        "source", "method",  "segments", "rungs",
                                        "assets", "audio",   "quality"};
    Keys keys(json, names, 11);
    JsonText key, text;
    json.begin_object();
    while (memory_ok_ && json.next_key(key)) {
        switch (keys.seen(key)) {
            case 0:
            case 1:
                json.string(text);
                break;
            case 2:
                json.string(text);
                if (json.ok() && (text.cut || !from_hex(text.bytes, text.size, id, sizeof id)))
                    json.refuse("not 16 lower-case hexadecimal digits");
                break;
            case 3:
                json.string(text);
                if (json.ok() &&
                    (text.cut || text.characters < 1 || text.characters > 200 || !printable(text)))
                    json.refuse("not 1 to 200 characters that can be printed");
                break;
            case 4:
                read_source(json);
                break;
            case 5:
                read_method(json);
                break;
            case 6:
                read_segments(json);
                break;
            case 7:
                read_rungs(json);
                break;
            case 8:
                read_assets(json);
                break;
            case 9:
                if (!json.null()) read_audio(json);
                break;
            case 10:
                if (!json.null()) quality_ = read_quality(json);
                break;
            default:
                return;
        }
    }
    keys.require(0xfc);
}

void Manifest::read_source(Json& json) {
    static const char* const names[] = {"sha256", "width",  "height", "frames",
                                        "fps",    "colour", "audio"};
    static const char* const colours[] = {"range", "primaries", "transfer", "matrix"};
    static const char* const ranges[] = {"limited", "full"};
    Keys keys(json, names, 7), inner(json, colours, 4);
    JsonText key;
    Digest digest;
    json.begin_object();
    while (json.next_key(key)) {
        switch (keys.seen(key)) {
            case 0:
                json.digest(digest);
                break;
            case 1:
                width = int(json.integer(1, CRISPCAST_MAX_SIDE));
                break;
            case 2:
                height = int(json.integer(1, CRISPCAST_MAX_SIDE));
                break;
            case 3:
                frames = json.integer(1, kMaxFrames);
                break;
            case 4: {
                int count = 0;
                json.begin_array();
                while (json.next_item()) {
                    const int64_t value = json.integer(1, 1000000);
                    if (count < 2) fps[count] = value;
                    ++count;
                }
                if (json.ok() && count != 2) json.refuse("not two numbers");
                break;
            }
            case 5:
                json.begin_object();
                while (json.next_key(key)) {
                    const int at = inner.seen(key);
                    if (at == 0) full_range = word(json, ranges, 2) == 1;
                    if (at > 0) colour[at - 1] = int(json.integer(0, 255));
                }
                break;
            case 6:
                source_audio_ = json.boolean();
                break;
            default:
                return;
        }
    }
    keys.require(0x1f);
}

// The name of the method is checked; its settings may be anything.
void Manifest::read_method(Json& json) {
    JsonText key, text;
    bool named = false;
    json.begin_object();
    while (json.next_key(key)) {
        if (!(key == "name")) {
            json.skip();
            continue;
        }
        named = true;
        json.string(text);
        bool plain = json.ok() && !text.cut && text.size >= 1 && text.size <= 32;
        for (size_t i = 0; plain && i < text.size; ++i) {
            const char c = text.bytes[i];
            plain = (letter_or_digit(c) && !(c >= 'A' && c <= 'Z')) ||
                    (i > 0 && (c == '_' || c == '-'));
        }
        if (json.ok() && !plain)
            json.refuse("not a name of small letters, digits, dash and underscore");
    }
    if (json.ok() && !named) json.refuse("the field name is missing");
}

void Manifest::read_segments(Json& json) {
    static const char* const names[] = {"start", "frames"};
    JsonText key;
    json.begin_array();
    while (json.next_item()) {
        if (segments.size() == kMaxSegments) return json.refuse("too many segments");
        Keys keys(json, names, 2);
        Segment segment = {};
        json.begin_object();
        while (json.next_key(key)) {
            const int at = keys.seen(key);
            if (at == 0) segment.start = json.integer(0, kMaxFrames);
            if (at == 1) segment.frames = json.integer(1, kMaxFrames);
        }
        keys.require(3);
        if (!full(segments.push(segment))) return;
    }
    if (json.ok() && segments.size() == 0) json.refuse("no segments");
}

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

void Manifest::read_assets(Json& json) {
    static const char* const names[] = {"kind", "bytes", "canvas"};
    static const char* const kinds[] = {"plan", "plate", "chroma"};
    JsonText key;
    json.begin_object();
    while (json.next_key(key)) {
        AssetFacts asset = {};
        if (key.cut || !from_hex(key.bytes, key.size, asset.sha256.bytes, sizeof(Digest)))
            return json.refuse("not 64 lower-case hexadecimal digits");
        Keys keys(json, names, 3);
        json.begin_object();
        while (json.next_key(key)) {
            const int at = keys.seen(key);
            if (at == 0) asset.kind = Kind(word(json, kinds, 3));
            if (at == 1) asset.bytes = uint32_t(json.integer(1, kMaxPlateBytes));
            if (at == 2 && !json.null()) {
                int32_t sides[2] = {};
                int count = 0;
                json.begin_array();
                while (json.next_item()) {
                    const int64_t value = json.integer(1, CRISPCAST_MAX_SIDE);
                    if (count < 2) sides[count] = int32_t(value);
                    ++count;
                }
                if (json.ok() && count != 2) json.refuse("not two numbers");
                asset.canvas_width = sides[0];
                asset.canvas_height = sides[1];
            }
        }
        keys.require(3);
        asset.rung = kNone;
        if (!json.ok() || !full(assets.push(asset))) return;
    }
}

void Manifest::read_audio(Json& json) {
    static const char* const names[] = {"file",  "codec",       "sha256",
                                        "bytes", "sample_rate", "channels"};
    static const char* const codecs[] = {"opus"};
    Keys keys(json, names, 6);
    JsonText key;
    Digest digest;
    has_audio_ = true;
    json.begin_object();
    while (json.next_key(key)) {
        switch (keys.seen(key)) {
            case 0:
                read_file(json, "audio/");
                break;
            case 1:
                word(json, codecs, 1);
                break;
            case 2:
                json.digest(digest);
                break;
            case 3:
                json.integer(1, kMaxFileBytes);
                break;
            case 4:
                json.integer(48000, 48000);
                break;
            case 5:
                json.integer(1, 2);
                break;
            default:
                return;
        }
    }
    keys.require(0x2d);
}

int64_t Manifest::read_quality(Json& json) {
    static const char* const names[] = {"psnr_y", "psnr_y_bicubic"};
    JsonText key;
    int64_t count = 0;
    json.begin_array();
    while (json.next_item()) {
        Keys keys(json, names, 2);
        json.begin_object();
        while (json.next_key(key))
            if (keys.seen(key) >= 0) json.number(0, 200);
        keys.require(3);
        ++count;
    }
    return count;
}

}  // namespace crispcast::client

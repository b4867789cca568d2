// From the manifest's text to its parts; its rungs are read in manifest_rungs.cpp. What they say of
// each other is checked in manifest.cpp.
#include "manifest.h"
#include "manifest_fields.h"

namespace crispcast::client {

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
        why.quote(version.bytes,
                  version.size <= 20 ? version.size : whole_characters(version.bytes, 20))
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
        if (json.ok() && asset.canvas_width != 0 && asset.kind != Kind::plate)
            json.refuse("no plate, and so no canvas");
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

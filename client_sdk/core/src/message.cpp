#include "message.h"

#include "manifest.h"

namespace crispcast::client {

namespace {

enum Field {
    kType,
    kVersion,
    kPackage,
    kRung,
    kSha256,
    kBytes,
    kLive,
    kRtpTime,
    kFrame,
    kWhat,
    kMessage,
    kReason,
    kFrames,
    kSignature,
    kFields
};

const char* const kNames[kFields] = {"type",    "version", "package",  "rung",     "sha256",
                                     "bytes",   "live",    "rtp_time", "frame",    "what",
                                     "message", "reason",  "frames",   "signature"};
const char* const kTypes[] = {"manifest", "anchor", "sought", "refused", "switch", "bye"};
const char* const kReasons[] = {"end", "leaving", "error", "shutdown"};

constexpr uint32_t bit(Field field) {
    return 1u << field;
}

// Of each type, the fields that must and those that may be there.
constexpr uint32_t kMoment = bit(kRtpTime) | bit(kRung) | bit(kFrame);
constexpr uint32_t kMust[] = {bit(kPackage) | bit(kRung) | bit(kSha256) | bit(kBytes),
                              kMoment,
                              kMoment,
                              bit(kWhat),
                              bit(kRung) | bit(kFrame),
                              bit(kReason)};
constexpr uint32_t kMay[] = {bit(kVersion) | bit(kLive) | bit(kSignature),
                             0,
                             0,
                             bit(kMessage),
                             0,
                             bit(kMessage) | bit(kFrames)};

int place_of(const JsonText& text, const char* const* words, int count) {
    for (int i = 0; i < count; ++i)
        if (text == words[i]) return i;
    return -1;
}

// [0-9]{1,4}\.[0-9]{1,4} of major version 1: the minor one.
int read_version(Json& json) {
    JsonText text;
    json.string(text);
    int numbers[2] = {}, digits = 0, part = 0;
    bool good = json.ok() && !text.cut;
    for (size_t i = 0; good && i < text.size; ++i) {
        const char c = text.bytes[i];
        if (c == '.' && part == 0 && digits > 0) {
            part = 1;
            digits = 0;
        } else {
            good = c >= '0' && c <= '9' && ++digits <= 4;
            if (good) numbers[part] = 10 * numbers[part] + (c - '0');
        }
    }
    if (!good || part == 0 || digits == 0)
        json.refuse("not a version");
    else if (numbers[0] != 1)
        json.refuse("another major version of the protocol; this side speaks 1.2");
    return numbers[1];
}

// [a-z_]{1,32}
void read_what(Json& json, Sentence& out) {
    JsonText text;
    json.string(text);
    bool good = !text.cut && text.size >= 1 && text.size <= 32;
    for (size_t i = 0; good && i < text.size; ++i)
        good = (text.bytes[i] >= 'a' && text.bytes[i] <= 'z') || text.bytes[i] == '_';
    if (json.ok() && !good) json.refuse("not a word of small letters");
    if (json.ok()) out.add(text.bytes, text.size);
}

void read_field(Json& json, int field, Message& m, Sentence& what, JsonText& text) {
    switch (field) {
        case kVersion:
            m.minor = read_version(json);
            break;
        case kPackage:
            json.string(text);
            if (json.ok() && (text.cut || !from_hex(text.bytes, text.size, m.package, 8)))
                json.refuse("not 16 lower-case hexadecimal digits");
            break;
        case kRung:
            m.rung = int32_t(json.integer(0, kMaxRungs - 1));
            break;
        case kSha256:
            json.digest(m.sha256);
            break;
        case kBytes:
            m.bytes = json.integer(1, CRISPCAST_MAX_MANIFEST_BYTES);
            break;
        case kLive:
            if (!json.null()) m.live = json.integer(0, kMaxFrames);
            break;
        case kRtpTime:
            m.rtp_time = uint32_t(json.integer(0, 0xffffffff));
            break;
        case kFrame:
            m.frame = json.integer(0, kMaxFrames);
            break;
        case kWhat:
            read_what(json, what);
            break;
        case kMessage:
            json.string(text);
            if (json.ok() && (text.cut || text.characters > 300))
                json.refuse("more than 300 characters");
            break;
        case kReason: {
            JsonText word;
            json.string(word);
            m.reason = place_of(word, kReasons, 4);
            if (json.ok() && m.reason < 0) json.refuse("no reason that there is");
            break;
        }
        case kFrames:
            if (!json.null()) m.frames = json.integer(0, int64_t(1) << 53);
            break;
        case kSignature:
            if (json.null()) break;
            json.string(text);
            m.is_signed =
                json.ok() && !text.cut && read_signature(text.bytes, text.size, m.signature);
            if (!m.is_signed) json.refuse("not ed25519: and 128 lower-case hexadecimal digits");
            break;
        default:
            json.refuse("a field that is not known");
    }
}

}  // namespace

int32_t read_message(const void* bytes, size_t size, Message& message, Sentence& why) {
    if (size > CRISPCAST_MAX_MESSAGE_BYTES) {
        why << "a control message of " << int64_t(size) << " bytes passes "
            << int64_t(CRISPCAST_MAX_MESSAGE_BYTES);
        return CRISPCAST_ERROR_MESSAGE;
    }
    // What it is, before what may stand in it.
    Json look(bytes, size);
    JsonText key, type, text;
    look.begin_object();
    while (look.next_key(key)) {
        if (key == "type")
            look.string(type);
        else
            look.skip();
    }
    look.finish();
    const int says = place_of(type, kTypes, 6);
    if (look.ok() && says < 0) look.refuse("not a type that a server sends");
    if (!look.ok()) {
        why << "not a control message: " << look.fault().text();
        return CRISPCAST_ERROR_MESSAGE;
    }
    message = {};
    message.says = Says(says);
    message.live = message.frames = -1;
    message.minor = 1;
    Sentence what;
    uint32_t there = 0;
    Json json(bytes, size);
    json.begin_object();
    while (json.next_key(key)) {
        const int field = place_of(key, kNames, kFields);
        const bool allowed =
            field == kType || (field > 0 && ((kMust[says] | kMay[says]) >> field & 1));
        if (!allowed || there >> field & 1) {
            json.refuse("a field that is not known, or comes twice");
            break;
        }
        there |= 1u << field;
        if (field == kType)
            json.skip();
        else
            read_field(json, field, message, what, text);
    }
    if (json.ok() && (kMust[says] & ~there) != 0) {
        int missing = 0;
        while (!((kMust[says] & ~there) >> missing & 1)) ++missing;
        Sentence fault;
        json.refuse(fault << "the field " << kNames[missing] << " is missing");
    }
    if (!json.ok()) {
        why << "not a control message: " << json.fault().text();
        return CRISPCAST_ERROR_MESSAGE;
    }
    message.text << what.text();
    if (!what.empty() && text.size != 0) message.text << ": ";
    message.text.quote(text.bytes, text.size);
    return CRISPCAST_OK;
}

}  // namespace crispcast::client

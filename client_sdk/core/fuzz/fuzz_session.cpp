// Any play: manifests, control messages, pieces, coded frames and motion records of any bytes, in
// any order, with decoded frames between them. A libFuzzer target; without libFuzzer replay.cpp
// runs it over files.
//
// An input is a row of events: what (8 bits), how many bytes (16 bits, little-endian), the bytes.
// The app of this play answers every task, with grey pictures and empty hands.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crispcast_session.h"
#include "motion.h"

namespace {

void require(bool holds) {
    if (!holds) abort();
}

enum {
    kManifest,
    kMessage,
    kPiece,
    kIdentify,
    kCoded,
    kFrame,
    kSeek,
    kConnected,
    kMotion,
    kAsset,
    kDisconnected,
    kPause
};

constexpr size_t kMostSamples = 1 << 20;
constexpr char kTrust[] =
    "ed25519:0000000000000000000000000000000000000000000000000000000000000000 "
    "ed25519:1111111111111111111111111111111111111111111111111111111111111111";

bool asks_whose;   // the session trusts these keys only
bool says_yes;     // what the app answers by the second of them
bool was_said_so;  // it has

// In memory of exactly its size, so that the address sanitizer sees one byte too far.
struct Event {
    Event(const uint8_t* data, size_t size)
        : bytes(static_cast<uint8_t*>(malloc(size ? size : 1))), size(size) {
        if (size != 0) memcpy(bytes, data, size);
    }
    ~Event() { free(bytes); }
    uint32_t number(size_t at) const {
        uint32_t value = 0;
        for (size_t i = 0; i < 4 && at + i < size; ++i) value |= uint32_t(bytes[at + i]) << 8 * i;
        return value;
    }
    uint8_t* bytes;
    size_t size;
};

void answer(crispcast_session session, const crispcast_task& task) {
    require(task.text != nullptr && (task.size == 0 || task.bytes != nullptr));
    if (task.size != 0) require(task.bytes[0] + task.bytes[task.size - 1] >= 0);
    if (task.kind == CRISPCAST_TASK_LOOK || task.kind == CRISPCAST_TASK_FETCH)
        require(crispcast_session_lacks(session, task.sha256) == CRISPCAST_OK);
    if (task.kind == CRISPCAST_TASK_BASE)
        require(crispcast_session_base(session, task.id, nullptr, 0) == CRISPCAST_OK);
    if (task.kind == CRISPCAST_TASK_VERIFY) {
        require(asks_whose && task.size == 32 + 64 + 21 + 32);
        const bool yes = says_yes && task.bytes[0] == 0x11;
        was_said_so = was_said_so || yes;
        require(crispcast_session_verified(session, task.count, yes) == CRISPCAST_OK);
    }
    if (task.kind != CRISPCAST_TASK_DECODE) return;
    const size_t samples = size_t(task.width) * size_t(task.height);
    uint8_t* const grey = samples > kMostSamples ? nullptr : static_cast<uint8_t*>(malloc(samples));
    if (grey != nullptr) memset(grey, 99, samples);
    crispcast_session_picture(session, task.sha256, grey, task.width, task.width, task.height);
    free(grey);
}

void do_tasks(crispcast_session session, int64_t now) {
    crispcast_task task;
    do {
        const int32_t status = crispcast_session_next_task(session, now, &task);
        require(status == CRISPCAST_OK || status == CRISPCAST_ERROR_MEMORY);
        if (task.kind != CRISPCAST_TASK_NONE) answer(session, task);
    } while (task.kind != CRISPCAST_TASK_NONE);
}

void show(crispcast_session session, const Event& event) {
    crispcast_session_info info;
    if (crispcast_session_get_info(session, &info) != CRISPCAST_OK) return;
    crispcast_session_frame frame = {};
    frame.rtp_time = event.number(0);
    frame.flags = event.size > 4 ? event.bytes[4] & ~CRISPCAST_FRAME_PADDED : 0;
    frame.width = event.size > 5 ? event.bytes[5] : 1;
    frame.height = event.size > 6 ? event.bytes[6] : 1;
    frame.number = int32_t(event.number(7));
    frame.rung = event.size > 11 ? event.bytes[11] : 0;
    const size_t lr = size_t(frame.width) * size_t(frame.height);
    const size_t hr = size_t(info.width) * size_t(info.height);
    if (lr == 0 || hr > kMostSamples) return;
    uint8_t* const in = static_cast<uint8_t*>(calloc(1, lr));
    uint8_t* const out = static_cast<uint8_t*>(malloc(hr));
    require(in != nullptr && out != nullptr);
    for (int i = 0; i < 3; ++i) {
        frame.in[i] = {in, i == 0 ? frame.width : (frame.width + 1) / 2};
        frame.out[i] = {out, i == 0 ? info.width : (info.width + 1) / 2};
    }
    crispcast_session_result result;
    const int32_t status = crispcast_session_upscale(session, &frame, &result);
    require(crispcast_session_sentence(status) != nullptr);
    require(!result.super_resolved || !asks_whose || was_said_so);
    require(result.frame >= -1 && result.frame < info.frames && result.segment < info.segments);
    size_t count;
    require(crispcast_session_patches(session, nullptr, 0, &count) != CRISPCAST_ERROR_ARGUMENT);
    free(in);
    free(out);
}

void motion(const Event& event) {
    if (event.size < 2) return;
    const int64_t frames = event.bytes[0] | event.bytes[1] << 8;
    crispcast::Array<crispcast::client::CanvasView> views;
    const int32_t status =
        crispcast::client::decode_motion(event.bytes + 2, event.size - 2, frames, views);
    require((status == CRISPCAST_OK) == (views.size() != 0));
    if (status == CRISPCAST_OK) require(int64_t(views.size()) == frames);
}

void happen(crispcast_session session, int what, const Event& event) {
    static const char kName[CRISPCAST_SHA256_TEXT] =
        "0000000000000000000000000000000000000000000000000000000000000000";
    char name[CRISPCAST_SHA256_TEXT];
    memcpy(name, kName, sizeof name);
    switch (what) {
        case kManifest:
            crispcast_session_manifest(session, event.bytes, event.size, 0);
            break;
        case kMessage:
            crispcast_session_message(session, event.bytes, event.size);
            break;
        case kPiece:
            crispcast_session_frame_bytes(session, event.bytes, event.size);
            break;
        case kIdentify:
            if (event.size >= 4)
                crispcast_session_identify(session, event.number(0), event.bytes + 4,
                                           event.size - 4);
            break;
        case kCoded:
            if (event.size >= 5)
                crispcast_session_coded(session, event.number(0), event.bytes[4] & 1,
                                        event.bytes + 5, event.size - 5);
            break;
        case kFrame:
            show(session, event);
            break;
        case kSeek:
            crispcast_session_seek(session, event.number(0));
            break;
        case kConnected:
            crispcast_session_connected(session);
            break;
        case kMotion:
            motion(event);
            break;
        case kAsset:
            if (event.size < 64) break;
            memcpy(name, event.bytes, 64);
            crispcast_session_asset(session, name, event.bytes + 64, event.size - 64);
            break;
        case kDisconnected: {
            int32_t over = 0;
            crispcast_session_disconnected(session, &over);
            break;
        }
        case kPause:
            crispcast_session_pause(session, event.size & 1);
            break;
        default:
            break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    crispcast_session_options options = {};
    options.threads = 1;
    options.isa = "portable";
    options.memory_limit = 8 << 20;
    options.loops = size & 1;
    options.cache = size >> 1 & 1;
    asks_whose = size >> 2 & 1;
    says_yes = size >> 3 & 1;
    was_said_so = false;
    if (asks_whose) options.trust = kTrust;
    crispcast_session session;
    require(crispcast_session_create(&options, &session) == CRISPCAST_OK);
    int64_t now = 0;
    for (size_t at = 0; at + 3 <= size;) {
        const int what = data[at];
        const size_t told = data[at + 1] | data[at + 2] << 8;
        at += 3;
        const size_t count = told < size - at ? told : size - at;
        const Event event(data + at, count);
        at += count;
        happen(session, what, event);
        do_tasks(session, now);
        now += 1500;
    }
    require(crispcast_session_destroy(session) == CRISPCAST_OK);
    return 0;
}

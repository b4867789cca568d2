// The session's contract where no package is needed: `session`. Meant for sanitizers. Prints "ok",
// or says what failed.
//
// A session that was destroyed is refused from any thread; of two threads in one session one is
// refused; no bytes offered as a manifest, a message or a piece do harm; a manifest of another
// version and a frame of another size are told in a sentence, and leave the app its LR frames; what
// met a lack of memory may come again.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <initializer_list>
#include <new>
#include <string>

#include "crispcast_session.h"
#include "json.h"
#include "sha256.h"

static void require(bool holds, const char* what) {
    if (holds) return;
    printf("failed: %s\n", what);
    exit(1);
}

// Objects are made by these, so that a test can say that there is no memory for more.
static std::atomic<bool> memory_is_out{false};
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return memory_is_out ? nullptr : malloc(size ? size : 1);
}
void* operator new(size_t size) {
    return malloc(size ? size : 1);
}
void operator delete(void* object) noexcept {
    free(object);
}
void operator delete(void* object, size_t) noexcept {
    free(object);
}

static unsigned random_state = 1;
static unsigned random_number() {
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
static const char kManifest[] =
    "{\"format\":\"crispcast\",\"version\":\"1.4\",\"id\":\"00112233445566aa\",\"name\":\"one\","
    "\"source\":{\"sha256\":\"" ZEROS
    "\",\"width\":64,\"height\":48,\"frames\":10,\"fps\":[25,1]},\"method\":{\"name\":\"none\","
    "\"deep\":[{\"a\":[1.5e3,null,true,\"\\u00e9\"]}]},\"segments\":[{\"start\":0,\"frames\":10}],"
    "\"rungs\":[{\"name\":\"lr\",\"width\":32,\"height\":24,\"scale\":2,\"profile\":\"main\","
    "\"file\":\"video/lr.mp4\",\"sha256\":\"" ZEROS
    "\",\"bytes\":1,\"maps_file\":\"maps/lr.maps\",\"segments\":[{\"map\":{\"sha256\":\"" ZEROS
    "\",\"offset\":6,\"bytes\":9}}]}]}";

static crispcast_session make_session(int32_t delivery = 0) {
    crispcast_session_options options = {};
    options.threads = 1;
    options.delivery = delivery;
    crispcast_session session;
    require(crispcast_session_create(&options, &session) == CRISPCAST_OK, "a session is made");
    return session;
}

static int32_t give_manifest(crispcast_session session, const void* bytes, size_t size) {
    return crispcast_session_manifest(session, bytes, size, 0);
}

static int drain(crispcast_session session) {
    crispcast_task task;
    int count = 0;
    while (crispcast_session_next_task(session, 0, &task) == CRISPCAST_OK &&
           task.kind != CRISPCAST_TASK_NONE)
        ++count;
    return count;
}

static void lives_end_once() {
    require(crispcast_session_destroy(0) == CRISPCAST_OK, "no session is destroyed in peace");
    crispcast_session session = make_session();
    require(crispcast_session_connected(session) == CRISPCAST_OK, "a session is used");
    require(crispcast_session_destroy(session) == CRISPCAST_OK, "it is destroyed");
    require(crispcast_session_destroy(session) == CRISPCAST_ERROR_CLOSED, "and not twice");
    const crispcast_session next = make_session();
    require(next != session, "a number is not given again");
    require(crispcast_session_connected(session) == CRISPCAST_ERROR_CLOSED, "it stays closed");
    require(crispcast_session_connected(next) == CRISPCAST_OK, "the next one is not");
    require(crispcast_session_connected(12345678) == CRISPCAST_ERROR_CLOSED, "nor was this made");
    require(crispcast_session_destroy(next) == CRISPCAST_OK, "the next one is destroyed");
}

static void there_are_so_many() {
    crispcast_session all[CRISPCAST_MAX_SESSIONS], more;
    for (crispcast_session& session : all) session = make_session();
    require(crispcast_session_create(nullptr, &more) == CRISPCAST_ERROR_SESSIONS && more == 0,
            "one more is refused");
    for (const crispcast_session session : all)
        require(crispcast_session_destroy(session) == CRISPCAST_OK, "each is destroyed");
    crispcast_session_options options = {};
    options.delivery = 3;
    require(crispcast_session_create(&options, &more) == CRISPCAST_ERROR_ARGUMENT, "no such way");
    options.delivery = 0;
    options.isa = "abacus";
    require(crispcast_session_create(&options, &more) == CRISPCAST_ERROR_ISA, "no such processor");
}

struct Upscaling {
    crispcast_session session;
    std::atomic<bool> stop{false};
    std::atomic<int> busy{0}, done{0};
};

// Upscales until it is told to stop; refusals are counted.
static void* upscale(void* context) {
    Upscaling& work = *static_cast<Upscaling*>(context);
    static uint8_t lr[32 * 24 * 3 / 2];
    uint8_t* hr = static_cast<uint8_t*>(malloc(64 * 48 * 3 / 2));
    crispcast_session_frame frame = {};
    frame.flags = CRISPCAST_FRAME_NUMBERED;
    frame.width = 32;
    frame.height = 24;
    const uint8_t* const in[3] = {lr, lr + 32 * 24, lr + 32 * 24 * 5 / 4};
    uint8_t* const out[3] = {hr, hr + 64 * 48, hr + 64 * 48 * 5 / 4};
    for (int i = 0; i < 3; ++i) {
        frame.in[i] = {in[i], i == 0 ? 32 : 16};
        frame.out[i] = {out[i], i == 0 ? 64 : 32};
    }
    crispcast_session_result result;
    while (!work.stop.load()) {
        frame.number = (frame.number + 1) % 10;
        const int32_t status = crispcast_session_upscale(work.session, &frame, &result);
        require(status == CRISPCAST_OK || status == CRISPCAST_ERROR_BUSY, "done, or refused");
        ++(status == CRISPCAST_OK ? work.done : work.busy);
    }
    free(hr);
    return nullptr;
}

static void one_thread_at_a_time() {
    Upscaling work;
    work.session = make_session();
    require(give_manifest(work.session, kManifest, sizeof kManifest - 1) == CRISPCAST_OK,
            "the manifest is good");
    pthread_t threads[2];
    for (pthread_t& thread : threads)
        require(pthread_create(&thread, nullptr, upscale, &work) == 0, "a thread is made");
    while (work.busy.load() == 0 || work.done.load() < 20) drain(work.session);
    work.stop.store(true);
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
    require(crispcast_session_destroy(work.session) == CRISPCAST_OK, "nobody is inside any more");
}

// In memory of exactly their size, so that the address sanitizer sees one byte too far.
struct Copy {
    Copy(const void* data, size_t size) : bytes(malloc(size ? size : 1)), size(size) {
        memcpy(bytes, data, size);
    }
    ~Copy() { free(bytes); }
    void* bytes;
    size_t size;
};

static void no_manifest_does_harm() {
    const size_t size = sizeof kManifest - 1;
    for (size_t cut = 0; cut < size; ++cut) {
        const crispcast_session session = make_session();
        const Copy copy(kManifest, cut);
        require(give_manifest(session, copy.bytes, cut) == CRISPCAST_ERROR_MANIFEST,
                "the beginning of a manifest is none");
        char why[CRISPCAST_WHY_BYTES];
        require(crispcast_session_why(session, why, sizeof why) == CRISPCAST_OK && why[0] != 0,
                "it says why");
        crispcast_session_destroy(session);
    }
    for (int round = 0; round < 3000; ++round) {
        const crispcast_session session = make_session();
        const Copy copy(kManifest, size);
        for (unsigned i = 0; i <= round % 3u; ++i)
            static_cast<uint8_t*>(copy.bytes)[random_number() % size] = uint8_t(random_number());
        give_manifest(session, copy.bytes, size);
        drain(session);
        crispcast_session_destroy(session);
    }
}

static void no_message_does_harm() {
    static const char* const good[] = {
        "{\"type\":\"anchor\",\"rtp_time\":4294967295,\"rung\":0,\"frame\":3}",
        "{\"type\":\"sought\",\"rtp_time\":0,\"rung\":0,\"frame\":9}",
        "{\"type\":\"switch\",\"rung\":0,\"frame\":0}",
        "{\"type\":\"refused\",\"what\":\"seek\",\"message\":\"n\\u00f6\"}",
        "{\"type\":\"bye\",\"reason\":\"end\",\"frames\":10}",
        "{\"type\":\"manifest\",\"version\":\"1.1\",\"package\":\"00112233445566aa\",\"rung\":0,"
        "\"sha256\":\"" ZEROS "\",\"bytes\":5,\"signature\":\"ed25519:" ZEROS ZEROS "\"}"};
    crispcast_session session = make_session(CRISPCAST_DELIVERY_CHANNEL);
    require(crispcast_session_connected(session) == CRISPCAST_OK, "connected");
    require(give_manifest(session, kManifest, sizeof kManifest - 1) == CRISPCAST_OK, "a manifest");
    for (int i = 0; i < 5; ++i)
        require(crispcast_session_message(session, good[i], strlen(good[i])) == CRISPCAST_OK,
                "a good message is taken");
    for (int round = 0; round < 20000; ++round) {
        const char* const text = good[random_number() % 6];
        const size_t size = strlen(text);
        const Copy copy(text, size - random_number() % 3);
        uint8_t* const bytes = static_cast<uint8_t*>(copy.bytes);
        for (unsigned i = 0; i <= round % 3u; ++i)
            bytes[random_number() % copy.size] = uint8_t(random_number());
        crispcast_session_message(session, bytes, copy.size);
        uint8_t piece[60] = {1};
        for (size_t i = 33; i < sizeof piece; ++i) piece[i] = uint8_t(random_number() % 4);
        const Copy part(piece, random_number() % sizeof piece);
        crispcast_session_frame_bytes(session, part.bytes, part.size);
        crispcast_session_coded(session, random_number(), round & 1, bytes, copy.size);
        if (round % 64 == 0) drain(session);
    }
    require(crispcast_session_destroy(session) == CRISPCAST_OK, "destroyed");
}

static void json_is_strict() {
    static const char* const bad[] = {"{\"a\":01}",
                                      "{\"a\":+1}",
                                      "{\"a\":1.}",
                                      "{\"a\":.5}",
                                      "{\"a\":1e}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\t\"}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\":1}x",
                                      "{\"a\" 1}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":nul}",
                                      "{\"a\":[1 2]}",
                                      "{\"a\":\"\xc0\x80\"}",
                                      "{\"a\":\"\xed\xa0\x80\"}",
                                      "{\"a\":\"\xf5\"}",
                                      "[1,]",
                                      "\"abc",
                                      ""};
    static const char* const good[] = {"{\"a\":-0.5e-3}", "[ ]",
                                       " {\"\":[{},[[]],\"\\ud83d\\ude00\"]} ",
                                       "\"\xf0\x9f\x98\x80\"", "-0"};
    for (const char* text : bad) {
        crispcast::client::Json json(text, strlen(text));
        json.skip();
        json.finish();
        require(!json.ok() && json.fault().text()[0] != 0, text);
    }
    for (const char* text : good) {
        crispcast::client::Json json(text, strlen(text));
        json.skip();
        json.finish();
        require(json.ok(), text);
    }
    static const struct {
        const char* text;
        int64_t value;
    } numbers[] = {{"9223372036854775807", INT64_MAX}, {"-12", -12}, {"0", 0}};
    for (const auto& number : numbers) {
        crispcast::client::Json json(number.text, strlen(number.text));
        require(json.integer(INT64_MIN, INT64_MAX) == number.value && json.ok(), number.text);
    }
    for (const char* text : {"9223372036854775808", "99999999999999999999999", "1.0", "1e3"}) {
        crispcast::client::Json json(text, strlen(text));
        json.integer(INT64_MIN, INT64_MAX);
        require(!json.ok(), text);
    }
}

// 32x24 samples of an LR frame, and room for the HR one of 64x48.
struct Frame {
    explicit Frame(int height = 24) {
        record.flags = CRISPCAST_FRAME_NUMBERED;
        record.number = -1;
        record.width = 32;
        record.height = height;
        for (int i = 0; i < 3; ++i) {
            record.in[i] = {in, 32};
            record.out[i] = {out, 64};
        }
        memset(out, 7, sizeof out);
    }
    bool written() const {
        for (const uint8_t code : out)
            if (code != 7) return true;
        return false;
    }
    uint8_t in[32 * 32] = {}, out[64 * 48];
    crispcast_session_frame record = {};
};

static std::string why_of(crispcast_session session) {
    char why[CRISPCAST_WHY_BYTES];
    require(crispcast_session_why(session, why, sizeof why) == CRISPCAST_OK, "it says why");
    return why;
}

static void a_frame_of_another_size_is_left_to_the_app() {
    const crispcast_session session = make_session();
    require(give_manifest(session, kManifest, sizeof kManifest - 1) == CRISPCAST_OK, "it is good");
    crispcast_session_result result;
    Frame other(25), good;
    require(
        crispcast_session_upscale(session, &other.record, &result) == CRISPCAST_ERROR_FRAME_SIZE,
        "another size is refused");
    require(why_of(session).find("32x25") != std::string::npos && !other.written(), "it says so");
    require(
        crispcast_session_upscale(session, &good.record, &result) == CRISPCAST_OK && good.written(),
        "and the next one is interpolated");
    crispcast_session_destroy(session);
}

// What a server says and sends of a manifest that fits into one piece.
struct Offered {
    Offered(const char* body, uint32_t size) : piece(41 + size, '\1') {
        uint8_t sha256[32];
        crispcast::sha256(reinterpret_cast<const uint8_t*>(body), size, sha256);
        char hex[65], text[300];
        for (int i = 0; i < 32; ++i) snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
        snprintf(text, sizeof text,
                 "{\"type\":\"manifest\",\"version\":\"1.1\",\"package\":\"0011223344556677\","
                 "\"rung\":0,\"sha256\":\"%s\",\"bytes\":%u}",
                 hex, size);
        head = text;
        memcpy(&piece[1], sha256, 32);
        memset(&piece[33], 0, 4);
        memcpy(&piece[37], &size, 4);
        memcpy(&piece[41], body, size);
    }
    int32_t announce(crispcast_session session) const {
        return crispcast_session_message(session, head.data(), head.size());
    }
    int32_t send(crispcast_session session) const {
        return crispcast_session_frame_bytes(session, piece.data(), piece.size());
    }
    std::string head, piece;
};

static void another_version_is_told_and_frames_are_left_to_the_app() {
    const char body[] = "{\"format\":\"crispcast\",\"version\":\"9.0\"}";
    const Offered offered(body, sizeof body - 1);
    const crispcast_session session = make_session();
    require(crispcast_session_connected(session) == CRISPCAST_OK, "it is connected");
    require(offered.announce(session) == CRISPCAST_OK, "announced");
    require(offered.send(session) == CRISPCAST_ERROR_MANIFEST, "another version is refused");
    crispcast_task task;
    bool told = false;
    while (crispcast_session_next_task(session, 0, &task) == CRISPCAST_OK &&
           task.kind != CRISPCAST_TASK_NONE)
        told = told ||
               (task.kind == CRISPCAST_TASK_FAILED && task.status == CRISPCAST_ERROR_MANIFEST &&
                strstr(task.text, "version") != nullptr);
    require(told, "a task tells it in a sentence");
    crispcast_session_result result;
    Frame frame;
    require(
        crispcast_session_upscale(session, &frame.record, &result) == CRISPCAST_ERROR_NO_MANIFEST &&
            !frame.written(),
        "frames are left as they came");
    require(offered.announce(session) == CRISPCAST_ERROR_OVER, "and nothing more is heard");
    crispcast_session_destroy(session);
}

static void a_manifest_for_which_there_was_no_memory_may_come_again() {
    const Offered offered(kManifest, sizeof kManifest - 1);
    const crispcast_session session = make_session();
    require(crispcast_session_connected(session) == CRISPCAST_OK, "it is connected");
    require(offered.announce(session) == CRISPCAST_OK, "announced");
    memory_is_out = true;
    require(offered.send(session) == CRISPCAST_ERROR_MEMORY, "it is too much");
    memory_is_out = false;
    require(offered.send(session) == CRISPCAST_OK, "it comes again");
    crispcast_session_info info;
    require(crispcast_session_get_info(session, &info) == CRISPCAST_OK && info.frames == 10,
            "and is taken");
    crispcast_session_destroy(session);
}

int main() {
    lives_end_once();
    there_are_so_many();
    one_thread_at_a_time();
    a_frame_of_another_size_is_left_to_the_app();
    another_version_is_told_and_frames_are_left_to_the_app();
    a_manifest_for_which_there_was_no_memory_may_come_again();
    no_manifest_does_harm();
    no_message_does_harm();
    json_is_strict();
    puts("ok");
    return 0;
}

// The C functions: each enters its session, does its work and leaves, so that a session that was
// destroyed, or that another thread is in, is told from one that can be used.
//
//     a session's number = generation of its place, times 64, plus its place
//     state of a place   = generation, open?, busy?       in one atomic word
#include <atomic>
#include <new>

#include "session.h"

using crispcast::client::Session;

namespace {

constexpr uint32_t kBusy = 1, kOpen = 2;
constexpr uint32_t kLastGeneration = (1u << 26) - 1;
static_assert(CRISPCAST_MAX_SESSIONS == 64, "a session's number has 6 bits for its place");

struct Place {
    std::atomic<uint32_t> state{0};
    Session* session = nullptr;
};

Place places[CRISPCAST_MAX_SESSIONS];

uint32_t open_state(uint32_t generation) {
    return generation << 2 | kOpen;
}

// In a session while it lives, or `status` says why not.
class Visit {
  public:
    explicit Visit(crispcast_session number)
        : place_(places[number % CRISPCAST_MAX_SESSIONS]),
          open_(open_state(number / CRISPCAST_MAX_SESSIONS)) {
        uint32_t expected = open_;
        if (number != 0 && place_.state.compare_exchange_strong(expected, open_ | kBusy,
                                                                std::memory_order_acquire)) {
            session = place_.session;
            session->why.clear();
            return;
        }
        status = number != 0 && expected == (open_ | kBusy) ? CRISPCAST_ERROR_BUSY
                                                            : CRISPCAST_ERROR_CLOSED;
    }

    ~Visit() {
        if (session != nullptr) place_.state.store(open_, std::memory_order_release);
    }

    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    explicit operator bool() const { return session != nullptr; }

    // What the call gives; what was wrong is kept for crispcast_session_why.
    int32_t done(int32_t result) {
        if (result == CRISPCAST_OK) return result;
        session->fault.clear();
        session->fault << (session->why.empty() ? crispcast_session_sentence(result)
                                                : session->why.text());
        return result;
    }

    // The session is over: nobody enters its number again.
    void close() {
        delete session;
        session = nullptr;
        place_.session = nullptr;
        place_.state.store(open_ & ~kOpen, std::memory_order_release);
    }

    Session* session = nullptr;
    int32_t status = CRISPCAST_OK;

  private:
    Place& place_;
    const uint32_t open_;
};

// A place of its own, which is busy until the session is in it.
Place* take_place(uint32_t& index, uint32_t& generation) {
    for (index = 0; index < CRISPCAST_MAX_SESSIONS; ++index) {
        uint32_t state = places[index].state.load(std::memory_order_relaxed);
        generation = (state >> 2) + 1;
        if ((state & (kOpen | kBusy)) || generation > kLastGeneration) continue;
        if (places[index].state.compare_exchange_strong(state, generation << 2 | kBusy,
                                                        std::memory_order_acquire))
            return &places[index];
    }
    return nullptr;
}

bool is_valid(const crispcast_session_options& options) {
    return options.delivery >= CRISPCAST_DELIVERY_AUTO &&
           options.delivery <= CRISPCAST_DELIVERY_HTTP && options.horizon >= 0 &&
           options.horizon <= 600;
}

const uint8_t* as_bytes(const void* data) {
    return static_cast<const uint8_t*>(data);
}

}  // namespace

int32_t crispcast_session_create(const crispcast_session_options* options,
                                 crispcast_session* session) {
    if (session == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *session = 0;
    const crispcast_session_options defaults = {};
    if (options == nullptr) options = &defaults;
    if (!is_valid(*options)) return CRISPCAST_ERROR_ARGUMENT;
    Session* const made = new (std::nothrow) Session(*options);
    if (made == nullptr) return CRISPCAST_ERROR_MEMORY;
    const int32_t status = made->start(options->threads, options->isa, options->trust);
    uint32_t index, generation;
    Place* const place = status == CRISPCAST_OK ? take_place(index, generation) : nullptr;
    if (place == nullptr) {
        delete made;
        return status == CRISPCAST_OK ? int32_t(CRISPCAST_ERROR_SESSIONS) : status;
    }
    place->session = made;
    place->state.store(open_state(generation), std::memory_order_release);
    *session = generation * CRISPCAST_MAX_SESSIONS + index;
    return CRISPCAST_OK;
}

int32_t crispcast_session_destroy(crispcast_session session) {
    if (session == 0) return CRISPCAST_OK;
    Visit visit(session);
    if (!visit) return visit.status;
    visit.close();
    return CRISPCAST_OK;
}

int32_t crispcast_session_why(crispcast_session session, char* text, size_t capacity) {
    if (text == nullptr || capacity == 0) return CRISPCAST_ERROR_ARGUMENT;
    text[0] = 0;
    Visit visit(session);
    if (!visit) return visit.status;
    const char* const fault = visit.session->fault.text();
    const size_t size = strlen(fault), room = capacity - 1;
    const size_t some = size <= room ? size : crispcast::client::whole_characters(fault, room);
    memcpy(text, fault, some);
    text[some] = 0;
    return CRISPCAST_OK;
}

int32_t crispcast_session_manifest(crispcast_session session, const void* bytes, size_t size,
                                   int32_t rung) {
    return crispcast_session_signed_manifest(session, bytes, size, nullptr, rung);
}

int32_t crispcast_session_signed_manifest(crispcast_session session, const void* bytes, size_t size,
                                          const char* signature, int32_t rung) {
    if (bytes == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    uint8_t made[crispcast::client::kSignatureBytes];
    if (signature != nullptr &&
        !crispcast::client::read_signature(signature, strlen(signature), made))
        return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->set_manifest(
                       bytes, size, signature == nullptr ? nullptr : made, rung))
                 : visit.status;
}

int32_t crispcast_session_verified(crispcast_session session, int64_t question, int32_t answer) {
    Visit visit(session);
    return visit ? visit.done(visit.session->verified(question, answer)) : visit.status;
}

int32_t crispcast_session_connected(crispcast_session session) {
    Visit visit(session);
    return visit ? visit.done(visit.session->connected()) : visit.status;
}

int32_t crispcast_session_disconnected(crispcast_session session, int32_t* over) {
    if (over == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *over = 0;
    Visit visit(session);
    return visit ? visit.done(visit.session->disconnected(*over)) : visit.status;
}

int32_t crispcast_session_message(crispcast_session session, const void* text, size_t size) {
    if (text == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->message(text, size)) : visit.status;
}

int32_t crispcast_session_frame_bytes(crispcast_session session, const void* bytes, size_t size) {
    if (bytes == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->frame_bytes(as_bytes(bytes), size)) : visit.status;
}

int32_t crispcast_session_piece(crispcast_session session, const char* sha256, uint64_t offset,
                                const void* bytes, size_t size) {
    if (sha256 == nullptr || bytes == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->piece(sha256, offset, as_bytes(bytes), size))
                 : visit.status;
}

int32_t crispcast_session_asset(crispcast_session session, const char* sha256, const void* bytes,
                                size_t size) {
    if (sha256 == nullptr || bytes == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->asset(sha256, as_bytes(bytes), size)) : visit.status;
}

int32_t crispcast_session_lacks(crispcast_session session, const char* sha256) {
    if (sha256 == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->lacks(sha256)) : visit.status;
}

int32_t crispcast_session_picture(crispcast_session session, const char* sha256,
                                  const uint8_t* samples, ptrdiff_t stride, int32_t width,
                                  int32_t height) {
    if (sha256 == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->picture(sha256, samples, stride, width, height))
                 : visit.status;
}

int32_t crispcast_session_base(crispcast_session session, const char* id, const void* bytes,
                               size_t size) {
    if (id == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->base(id, as_bytes(bytes), size)) : visit.status;
}

int32_t crispcast_session_next_task(crispcast_session session, int64_t now_ms,
                                    crispcast_task* task) {
    if (task == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *task = {};
    task->text = "";
    Visit visit(session);
    return visit ? visit.done(visit.session->next_task(now_ms, *task)) : visit.status;
}

int32_t crispcast_session_seek(crispcast_session session, int64_t frame) {
    Visit visit(session);
    return visit ? visit.done(visit.session->seek(frame)) : visit.status;
}

int32_t crispcast_session_pause(crispcast_session session, int32_t on) {
    Visit visit(session);
    return visit ? visit.done(visit.session->pause(on != 0)) : visit.status;
}

int32_t crispcast_session_loop(crispcast_session session, int32_t on) {
    Visit visit(session);
    return visit ? visit.done(visit.session->loop(on != 0)) : visit.status;
}

int32_t crispcast_session_choose_rung(crispcast_session session, int32_t rung) {
    Visit visit(session);
    return visit ? visit.done(visit.session->choose_rung(rung)) : visit.status;
}

int32_t crispcast_session_report(crispcast_session session, double upscale_ms, double fps,
                                 int32_t interpolating) {
    Visit visit(session);
    return visit ? visit.done(visit.session->report(upscale_ms, fps, interpolating != 0))
                 : visit.status;
}

int32_t crispcast_session_leave(crispcast_session session) {
    Visit visit(session);
    return visit ? visit.done(visit.session->leave()) : visit.status;
}

int32_t crispcast_session_get_info(crispcast_session session, crispcast_session_info* info) {
    if (info == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *info = {};
    Visit visit(session);
    return visit ? visit.done(visit.session->info(*info)) : visit.status;
}

int32_t crispcast_session_get_rung(crispcast_session session, int32_t rung,
                                   crispcast_rung_info* info) {
    if (info == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *info = {};
    Visit visit(session);
    return visit ? visit.done(visit.session->rung_info(rung, *info)) : visit.status;
}

int32_t crispcast_session_get_figures(crispcast_session session,
                                      crispcast_session_figures* figures) {
    if (figures == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *figures = {};
    Visit visit(session);
    return visit ? visit.done(visit.session->figures(*figures)) : visit.status;
}

int32_t crispcast_session_ready(crispcast_session session, int32_t rung, int32_t segment,
                                int32_t* ready) {
    if (ready == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *ready = 0;
    Visit visit(session);
    return visit ? visit.done(visit.session->ready(rung, segment, *ready)) : visit.status;
}

int32_t crispcast_session_segment_of(crispcast_session session, int64_t frame, int32_t* segment) {
    if (segment == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *segment = -1;
    Visit visit(session);
    return visit ? visit.done(visit.session->segment_of(frame, *segment)) : visit.status;
}

int32_t crispcast_session_coded(crispcast_session session, uint32_t rtp_time, int32_t codec,
                                const void* bytes, size_t size) {
    if (bytes == nullptr || (codec != CRISPCAST_CODEC_H264 && codec != CRISPCAST_CODEC_AV1))
        return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->coded(rtp_time, codec == CRISPCAST_CODEC_AV1,
                                                   as_bytes(bytes), size))
                 : visit.status;
}

int32_t crispcast_session_identify(crispcast_session session, uint32_t rtp_time,
                                   const void* payload, size_t size) {
    if (payload == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    Visit visit(session);
    return visit ? visit.done(visit.session->identify(rtp_time, as_bytes(payload), size))
                 : visit.status;
}

int32_t crispcast_session_wants(crispcast_session session, uint32_t rtp_time, int32_t* wanted) {
    if (wanted == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *wanted = 1;
    Visit visit(session);
    return visit ? visit.done(visit.session->wants(rtp_time, *wanted)) : visit.status;
}

int32_t crispcast_session_upscale(crispcast_session session, const crispcast_session_frame* frame,
                                  crispcast_session_result* result) {
    if (frame == nullptr || result == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *result = {};
    Visit visit(session);
    return visit ? visit.done(visit.session->upscale(*frame, *result)) : visit.status;
}

int32_t crispcast_session_place(crispcast_session session, const crispcast_session_frame* frame,
                                crispcast_session_result* result) {
    if (frame == nullptr || result == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *result = {};
    Visit visit(session);
    return visit ? visit.done(visit.session->place(*frame, *result)) : visit.status;
}

int32_t crispcast_session_patches(crispcast_session session, crispcast_patch* patches,
                                  size_t capacity, size_t* count) {
    if (count == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *count = 0;
    Visit visit(session);
    return visit ? visit.done(visit.session->patches(patches, capacity, *count)) : visit.status;
}

int32_t crispcast_session_expert(crispcast_session session, int32_t expert,
                                 char sha256[CRISPCAST_SHA256_TEXT], int32_t* here) {
    if (sha256 == nullptr || here == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *here = 0;
    Visit visit(session);
    return visit ? visit.done(visit.session->expert(expert, sha256, *here)) : visit.status;
}

int32_t crispcast_session_plate(crispcast_session session, uint8_t* luma, ptrdiff_t stride,
                                int32_t* here) {
    if (luma == nullptr || here == nullptr) return CRISPCAST_ERROR_ARGUMENT;
    *here = 0;
    Visit visit(session);
    return visit ? visit.done(visit.session->plate(luma, stride, *here)) : visit.status;
}

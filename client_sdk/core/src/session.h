// One play of a stream: crispcast_session.h behind its C functions.
//
//     control messages ─► Message ─┬─► FrameClock, Landing
//     pieces of assets ─► Assets   └─► which segments come next ─► Assets ─► tasks
//     decoded frames ─► FrameClock ─► Landing ─► Recipe of the segment ─► engine ─► HR frame
#pragma once

#include "landing.h"
#include "message.h"
#include "recipe.h"

namespace crispcast::client {

class Session {
  public:
    explicit Session(const crispcast_session_options& options);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // CRISPCAST_OK, CRISPCAST_ERROR_KEYS, or what crispcast_engine_create gives.
    int32_t start(int threads, const char* isa, const char* trust);

    // `signature`: 64 bytes, or NULL for none.
    int32_t set_manifest(const void* bytes, size_t size, const uint8_t* signature, int64_t rung);
    int32_t verified(int64_t question, int32_t answer);
    int32_t connected();
    int32_t disconnected(int32_t& over);
    int32_t message(const void* text, size_t size);
    int32_t frame_bytes(const uint8_t* bytes, size_t size);
    int32_t piece(const char* sha256, uint64_t offset, const uint8_t* bytes, size_t size);
    int32_t asset(const char* sha256, const uint8_t* bytes, size_t size);
    int32_t lacks(const char* sha256);
    int32_t picture(const char* sha256, const uint8_t* samples, ptrdiff_t stride, int width,
                    int height);
    int32_t base(const char* id, const uint8_t* bytes, size_t size);
    int32_t next_task(int64_t now_ms, crispcast_task& task);

    int32_t seek(int64_t frame);
    int32_t pause(bool on);
    int32_t loop(bool on);
    int32_t choose_rung(int rung);
    int32_t report(double upscale_ms, double fps, bool interpolating);
    int32_t leave();

    int32_t info(crispcast_session_info& info) const;
    int32_t rung_info(int rung, crispcast_rung_info& info) const;
    int32_t figures(crispcast_session_figures& figures) const;
    int32_t ready(int rung, int segment, int32_t& ready) const;
    int32_t segment_of(int64_t frame, int32_t& segment) const;

    int32_t coded(uint32_t rtp_time, bool av1, const uint8_t* bytes, size_t size);
    int32_t identify(uint32_t rtp_time, const uint8_t* payload, size_t size);
    int32_t wants(uint32_t rtp_time, int32_t& wanted) const;
    int32_t upscale(const crispcast_session_frame& frame, crispcast_session_result& result);
    int32_t place(const crispcast_session_frame& frame, crispcast_session_result& result);

    int32_t patches(crispcast_patch* patches, size_t capacity, size_t& count);
    int32_t expert(int expert, char* sha256, int32_t& here);
    int32_t plate(uint8_t* luma, ptrdiff_t stride, int32_t& here);

    // What was wrong in the last call that failed. A call begins with an empty one.
    Sentence fault;
    Sentence why;

  private:
    bool plain() const;
    int32_t find(const char* sha256, uint32_t& asset);
    int32_t on_head(const Message& message);
    int32_t on_manifest_piece(uint64_t offset, uint64_t total, const uint8_t* bytes, size_t size);
    void part();
    int64_t resumes_at() const;
    int32_t join();
    int32_t advance(uint32_t rung, uint32_t segment);
    int32_t say_when_ready();
    int32_t fail(int32_t status, const char* text);
    int32_t send(const Text& text);
    int32_t send_word(const char* type);
    int32_t send_seek(int64_t frame);
    int32_t send_rung(int rung);
    int32_t come(int64_t rung, int64_t frame);
    int32_t tell(int32_t kind, int64_t count, const char* text);

    int32_t locate(const crispcast_session_frame& frame, crispcast_session_result& result);
    int32_t move_on(const Identified& identified, bool landed);
    int32_t enter();
    bool rung_of_size(int width, int height, uint32_t& rung) const;
    int32_t look();
    int32_t make(const crispcast_session_frame& frame, crispcast_session_result& result);
    int32_t run(const crispcast_session_frame& frame, const Rung& rung, crispcast_frame_job& job);
    bool remember(const crispcast_session_frame& frame, const crispcast_session_result& result,
                  bool pixels);

    const bool plain_, offline_;
    bool loops_;
    const double horizon_;
    crispcast_engine* engine_ = nullptr;
    Notes notes_;
    Trust trust_;
    Assets assets_;
    Text want_;

    // The manifest, or how far it has come.
    Manifest* manifest_ = nullptr;
    Digest manifest_sha256_ = {};
    bool has_head_ = false;
    Message head_ = {};
    Array<uint8_t> head_bytes_;
    size_t head_have_ = 0;
    Message early_ = {};  // a `sought` that came before the manifest

    int chosen_ = -1;         // the rung that the app chose
    bool announced_ = false;  // the manifest, on this connection
    bool joined_ = false, connected_ = false, paused_ = false, over_ = false;
    int64_t live_ = -1;
    FrameClock clock_;
    Landing landing_;
    int64_t next_ = 0;  // the frame after the last one shown
    uint32_t rung_ = 0, segment_ = 0;
    uint32_t coming_rung_ = kNone, coming_segment_ = 0;
    bool wants_ready_ = false;
    uint32_t ready_for_ = 0;

    // Frames.
    uint32_t entered_rung_ = kNone, entered_segment_ = kNone;  // that frames came from last
    uint32_t before_rung_ = kNone;
    Recipe recipe_;
    int64_t last_frame_ = -1;  // of `last_luma_`; -1: none
    uint32_t last_rung_ = 0;
    Array<uint8_t> last_luma_;  // empty: only its number is known
    Array<uint8_t> padded_;
    bool placed_ = false;
    crispcast_session_result last_ = {};
    int last_columns_ = 0;
    uint64_t frames_ = 0, frames_sr_ = 0, frames_lost_ = 0, late_assets_ = 0, wrong_messages_ = 0;
};

}  // namespace crispcast::client

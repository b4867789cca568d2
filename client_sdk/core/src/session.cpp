// What client and server say to each other, and what the play needs next. What the app asks for is
// in requests.cpp, what comes of assets in pieces.cpp, what happens to frames in frames.cpp.
#include "session.h"

#include <new>

#include "sha256.h"

namespace crispcast::client {

namespace {

constexpr double kHorizon = 30;  // seconds
constexpr double kMaxHorizon = 600;
constexpr uint64_t kMemoryLimit = uint64_t(512) << 20;

AssetOptions asset_options(const crispcast_session_options& options) {
    AssetOptions out;
    out.delivery = options.delivery;
    out.cache = options.cache != 0;
    out.memory_limit = options.memory_limit == 0 ? kMemoryLimit : options.memory_limit;
    if (options.http_from != 0) out.http_from = options.http_from;
    return out;
}

}  // namespace

Session::Session(const crispcast_session_options& options)
    : plain_(options.plain != 0),
      offline_(options.offline != 0),
      loops_(options.loops != 0),
      horizon_(options.horizon > 0 && options.horizon < kMaxHorizon ? options.horizon
               : options.horizon > 0                                ? kMaxHorizon
                                                                    : kHorizon),
      trust_(notes_),
      assets_(asset_options(options), notes_, why) {}

Session::~Session() {
    delete manifest_;
    crispcast_engine_destroy(engine_);
}

int32_t Session::start(int threads, const char* isa, const char* trust) {
    if (!trust_.read(trust)) return CRISPCAST_ERROR_KEYS;
    return crispcast_engine_create(threads, isa, &engine_);
}

// No super-resolution: it is not wanted, or what there is may not be used.
bool Session::plain() const {
    return plain_ || (manifest_ != nullptr && !trust_.covers(manifest_sha256_));
}

// -- what is said -----------------------------------------------------------------------------

int32_t Session::send(const Text& text) {
    if (!connected_) return CRISPCAST_OK;
    return notes_.send(text) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

int32_t Session::send_word(const char* type) {
    Text text;
    return send(text << "{\"type\":\"" << type << "\"}");
}

int32_t Session::send_seek(int64_t frame) {
    Text text;
    return send(text << "{\"type\":\"seek\",\"frame\":" << uint64_t(frame) << "}");
}

int32_t Session::send_rung(int rung) {
    Text text;
    text << "{\"type\":\"rung\",\"rung\":";
    if (rung < 0) return send(text << "null}");
    return send(text << uint64_t(rung) << "}");
}

int32_t Session::tell(int32_t kind, int64_t count, const char* text) {
    crispcast_task task = {};
    task.kind = kind;
    task.rung = int32_t(rung_);
    task.segment = int32_t(segment_);
    task.frame = -1;
    task.count = count;
    return notes_.tell(task, text) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

int32_t Session::fail(int32_t status, const char* text) {
    over_ = true;
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_FAILED;
    task.status = status;
    task.rung = task.segment = -1;
    task.frame = -1;
    notes_.tell(task, text);
    return status;
}

int32_t Session::connected() {
    if (over_) return CRISPCAST_ERROR_OVER;
    part();
    connected_ = true;
    announced_ = false;
    Text text;
    return send(text << "{\"type\":\"hello\",\"version\":\"1.2\",\"sr\":"
                     << (plain_ ? "false}" : "true}"));
}

int32_t Session::disconnected(int32_t& over) {
    if (over_) return CRISPCAST_ERROR_OVER;
    over = manifest_ != nullptr && next_ >= manifest_->frames;
    part();
    connected_ = false;
    assets_.disconnected();
    return CRISPCAST_OK;
}

// What comes from now on has nothing to do with what came before: until the server has said where
// the play goes on, frames are of somewhere else.
void Session::part() {
    if (!joined_) return;
    clock_.forget();
    landing_.reconnected();
    if (live_ >= 0)
        landing_.begin(-1);
    else if (resumes_at() != 0)
        landing_.begin(resumes_at());
}

int64_t Session::resumes_at() const {
    return next_ < manifest_->frames ? next_ : 0;
}

int32_t Session::message(const void* bytes, size_t size) {
    if (over_) return CRISPCAST_ERROR_OVER;
    Message m;
    int32_t status = read_message(bytes, size, m, why);
    if (status == CRISPCAST_OK && m.says != Says::manifest && m.says != Says::bye && !has_head_ &&
        manifest_ == nullptr) {
        why << "a message came before the manifest";
        status = CRISPCAST_ERROR_MESSAGE;
    }
    if (status != CRISPCAST_OK) {
        ++wrong_messages_;
        return status;
    }
    FrameIdentity identity = {{}, m.rung, m.frame};
    memcpy(identity.package, manifest_ != nullptr ? manifest_->id : head_.package, 8);
    switch (m.says) {
        case Says::manifest:
            return on_head(m);
        case Says::sought:
            landing_.sought(m.rtp_time, m.frame);
            if (manifest_ == nullptr) early_ = m;
            clock_.set_anchor(m.rtp_time, identity, manifest_);
            // A seek may end on another rung.
            if (manifest_ == nullptr || m.frame >= manifest_->frames ||
                m.rung >= manifest_->rung_count || uint32_t(m.rung) == rung_)
                break;
            return come(m.rung, m.frame);
        case Says::anchor:
            // Until `sought` comes, they are of frames that were on their way.
            if (!landing_.awaits()) clock_.set_anchor(m.rtp_time, identity, manifest_);
            break;
        case Says::change:
            if (manifest_ == nullptr) break;
            if (m.rung >= manifest_->rung_count || m.frame >= manifest_->frames) {
                why << "a switch to rung " << int64_t(m.rung) << " at frame " << m.frame
                    << ", which is not there";
                ++wrong_messages_;
                return CRISPCAST_ERROR_MESSAGE;
            }
            return come(m.rung, m.frame);
        case Says::refused:
            landing_.cancel();
            return tell(CRISPCAST_TASK_NOT_DONE, 0, m.text.text());
        case Says::bye:
            if (m.reason == 0) return tell(CRISPCAST_TASK_ENDED, m.frames, m.text.text());
            Sentence goodbye;
            goodbye << "the server ended the play";
            if (!m.text.empty()) goodbye << ": " << m.text.text();
            if (m.reason == 3) return tell(CRISPCAST_TASK_LOST, 0, goodbye.text());
            fail(CRISPCAST_ERROR_OVER, goodbye.text());
    }
    return CRISPCAST_OK;
}

// Another rung will play from that frame on.
int32_t Session::come(int64_t rung, int64_t frame) {
    coming_rung_ = uint32_t(rung);
    coming_segment_ = manifest_->segment_of(frame);
    return advance(coming_rung_, coming_segment_);
}

int32_t Session::on_head(const Message& message) {
    const bool again = manifest_ != nullptr;
    if (again && !(message.sha256 == manifest_sha256_)) {
        why << "the server plays another video by now; start anew";
        return fail(CRISPCAST_ERROR_HAS_MANIFEST, why.text());
    }
    if (announced_) {
        why << "the manifest was announced twice";
        ++wrong_messages_;
        return CRISPCAST_ERROR_MESSAGE;
    }
    announced_ = has_head_ = true;
    head_ = message;
    head_have_ = 0;
    const int32_t status = trust_.check(head_.sha256, head_.is_signed ? head_.signature : nullptr);
    if (!again || status != CRISPCAST_OK) return status;
    // The app had the manifest already, and nothing was shown yet.
    if (entered_rung_ == kNone && message.rung < manifest_->rung_count)
        rung_ = uint32_t(message.rung);
    return join();
}

// A piece of the manifest: all of it is here once its hash is right.
int32_t Session::on_manifest_piece(uint64_t offset, uint64_t total, const uint8_t* bytes,
                                   size_t size) {
    if (manifest_ != nullptr) return CRISPCAST_OK;
    if (total != uint64_t(head_.bytes) || offset > head_have_) {
        ++wrong_messages_;
        why << "a piece of the manifest does not come as it was announced";
        return CRISPCAST_ERROR_ASSET_FRAME;
    }
    // Memory as it comes: the size is only what somebody said.
    if (offset + size > head_have_) {
        if (!head_bytes_.grow(size_t(offset) + size, size_t(total))) return CRISPCAST_ERROR_MEMORY;
        memcpy(head_bytes_.data() + offset, bytes, size);
        head_have_ = size_t(offset) + size;
    }
    if (head_have_ < total) return CRISPCAST_OK;
    Digest found;
    crispcast::sha256(head_bytes_.data(), head_have_, found.bytes);
    if (!(found == head_.sha256)) {
        ++wrong_messages_;
        head_have_ = 0;
        why << "the manifest came damaged: its hash is wrong";
        return CRISPCAST_ERROR_ASSET_DAMAGED;
    }
    const int32_t status = set_manifest(head_bytes_.data(), head_have_,
                                        head_.is_signed ? head_.signature : nullptr, head_.rung);
    head_bytes_.release();
    head_have_ = 0;
    if (status == CRISPCAST_ERROR_MANIFEST || status == CRISPCAST_ERROR_RUNG)
        fail(status, why.text());
    return status;
}

int32_t Session::set_manifest(const void* bytes, size_t size, const uint8_t* signature,
                              int64_t rung) {
    if (over_) return CRISPCAST_ERROR_OVER;
    if (manifest_ != nullptr) return CRISPCAST_ERROR_HAS_MANIFEST;
    Manifest* const made = new (std::nothrow) Manifest;
    if (made == nullptr) return CRISPCAST_ERROR_MEMORY;
    int32_t status = made->parse(bytes, size, why);
    if (status == CRISPCAST_OK && (rung < 0 || rung >= made->rung_count)) {
        why << "rung " << rung << " is not there";
        status = CRISPCAST_ERROR_RUNG;
    }
    if (status == CRISPCAST_OK && !assets_.begin(*made)) status = CRISPCAST_ERROR_MEMORY;
    if (status != CRISPCAST_OK) {
        delete made;
        return status;
    }
    manifest_ = made;
    crispcast::sha256(static_cast<const uint8_t*>(bytes), size, manifest_sha256_.bytes);
    clock_.check(*made);
    rung_ = uint32_t(rung);
    status = trust_.check(manifest_sha256_, signature);
    crispcast_task told = {};
    told.kind = CRISPCAST_TASK_MANIFEST;
    told.rung = int32_t(rung_);
    told.frame = -1;
    if (status == CRISPCAST_OK && !notes_.give(told, bytes, size)) status = CRISPCAST_ERROR_MEMORY;
    if (status == CRISPCAST_OK) status = join();
    if (early_.says == Says::sought) landing_.sought(early_.rtp_time, early_.frame);
    return status;
}

int32_t Session::verified(int64_t question, int32_t answer) {
    if (over_) return CRISPCAST_ERROR_OVER;
    const int32_t status = trust_.answered(question, answer);
    if (status != CRISPCAST_OK || manifest_ == nullptr || trust_.pending()) return status;
    if (coming_rung_ != kNone && !plain()) {
        const int32_t said = advance(coming_rung_, coming_segment_);
        if (said != CRISPCAST_OK) return said;
    }
    return advance(rung_, segment_);
}

// This connection's manifest is here: go on, or begin.
int32_t Session::join() {
    live_ = has_head_ ? head_.live : -1;
    joined_ = true;
    landing_.reconnected();
    // At once: a server begins by itself where it hears nothing for a while.
    int32_t status = paused_ ? send_word("pause") : int32_t(CRISPCAST_OK);
    if (chosen_ >= 0 && status == CRISPCAST_OK) status = send_rung(chosen_);
    if (loops_ && status == CRISPCAST_OK)
        status = send(Text() << "{\"type\":\"loop\",\"on\":true}");
    int64_t at = resumes_at();
    if (live_ >= 0) {
        loops_ = true;
        landing_.begin(-1);
        at = live_ < manifest_->frames ? live_ : 0;
    } else if (at != 0 && connected_) {
        landing_.begin(at);
        if (status == CRISPCAST_OK) status = send_seek(at);
    }
    segment_ = manifest_->segment_of(at);
    crispcast_task told = {};
    told.kind = CRISPCAST_TASK_JOINED;
    told.rung = int32_t(rung_);
    told.segment = int32_t(segment_);
    told.frame = live_;
    if (connected_ && !notes_.tell(told, "")) status = CRISPCAST_ERROR_MEMORY;
    wants_ready_ = true;
    ready_for_ = segment_;
    if (connected_) assets_.connected();
    return status == CRISPCAST_OK ? advance(rung_, segment_) : status;
}

// -- what is needed ---------------------------------------------------------------------------

// A rung comes to a segment: ask for what is needed from there on.
int32_t Session::advance(uint32_t rung, uint32_t segment) {
    if (rung == rung_) assets_.set_place(segment);
    if (!plain() && !offline_) {
        Array<uint32_t> ahead;
        if (!assets_.horizon(segment, horizon_, loops_, ahead)) return CRISPCAST_ERROR_MEMORY;
        const int32_t status = assets_.advance(rung, ahead);
        if (status != CRISPCAST_OK) return status;
    }
    return say_when_ready();
}

int32_t Session::say_when_ready() {
    if (!wants_ready_ || manifest_ == nullptr || trust_.pending()) return CRISPCAST_OK;
    if (!plain() && !assets_.ready(rung_, ready_for_)) return CRISPCAST_OK;
    wants_ready_ = false;
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_READY;
    task.rung = int32_t(rung_);
    task.segment = int32_t(ready_for_);
    task.frame = manifest_->segments[ready_for_].start;
    if (!notes_.tell(task, "")) return CRISPCAST_ERROR_MEMORY;
    return paused_ ? int32_t(CRISPCAST_OK) : send_word("resume");
}

int32_t Session::next_task(int64_t now_ms, crispcast_task& task) {
    if (notes_.next(task)) return CRISPCAST_OK;
    task.rung = task.segment = -1;
    task.frame = -1;
    if (over_) return CRISPCAST_OK;
    want_.clear();
    const int32_t status = assets_.next_task(now_ms, task, want_);
    if (status == CRISPCAST_OK && want_.bytes().size() != 0) {
        task.kind = CRISPCAST_TASK_SEND;
        task.bytes = reinterpret_cast<const uint8_t*>(want_.bytes().data());
        task.size = want_.bytes().size();
    }
    return status;
}

}  // namespace crispcast::client

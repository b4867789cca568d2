// The assets of a play: which are on their way, and what was made of those that are here.
//
//     absent ─► looking ─► asked ─────────────► here          a record, or a plan
//        ▲         │         │  └─► decoding ──►  │           a picture, by the app
//        │         └─ cache ─┤  └─► waiting ───►  │           a difference, for its base
//        │                   └─► refused          │
//        └──────────── let go, behind the play ───┘
//
// One asset is prepared once, whichever rungs and segments need it; what it is for is decided by
// who uses it (recipe.h). Every byte is hashed before it is looked at.
#pragma once

#include "manifest.h"
#include "tasks.h"

namespace crispcast::client {

enum class State : uint8_t { looking, asked, decoding, waiting, here, refused };

// What an asset waits for the app to do; each becomes a task.
enum Pending : uint8_t {
    kDecode = 1,
    kBase = 2,
    kLook = 4,
    kWant = 8,  // on the data channel: a part of a message `want`
    kFetch = 16,
    kStore = 32
};

struct Asset {
    State state = State::looking;
    uint8_t pending = 0;
    uint8_t tries = 0;
    uint8_t switched = 0;            // times that it changed its way
    bool by_channel = false;         // asked for on the data channel
    bool for_good = false;           // refused for what it says, not for how it came
    bool lost = false;               // refused since it did not come: it still may
    uint32_t rung = 0, segment = 0;  // that need it next
    uint32_t base = kNone;           // a plan of this package, of which it is a difference
    uint32_t pass = 0;
    uint64_t cost = 0;  // bytes of memory
    Array<uint8_t> bytes;
    size_t have = 0;  // of `bytes`, while it comes
    crispcast_plan* plan = nullptr;
    crispcast_canvas* canvas = nullptr;
    Array<uint8_t> samples;  // of a picture, without gaps
    int width = 0, height = 0;

    ~Asset() {
        crispcast_plan_destroy(plan);
        crispcast_canvas_destroy(canvas);
    }
};

struct AssetOptions {
    int delivery = CRISPCAST_DELIVERY_AUTO;
    bool cache = false;
    uint64_t memory_limit = uint64_t(512) << 20;
    uint32_t http_from = 64 << 10;
};

class Assets {
  public:
    Assets(const AssetOptions& options, Notes& notes, Sentence& why)
        : options_(options), notes_(notes), why_(why) {}
    ~Assets();
    Assets(const Assets&) = delete;
    Assets& operator=(const Assets&) = delete;

    bool begin(const Manifest& manifest);

    // -- where the play is ------------------------------------------------------------------

    // The segments of the next seconds after `segment`; after the last comes the first where the
    // play loops. The segment at hand and the next are always in, however long they are.
    bool horizon(uint32_t segment, double seconds, bool loops, Array<uint32_t>& ahead) const;
    // Looks or asks for what these segments of a rung need and is not here, by deadline.
    int32_t advance(uint32_t rung, const Array<uint32_t>& ahead);
    // A rung from a segment on; rung kNone: none.
    struct Part {
        uint32_t rung, segment;
    };
    // Lets go of what none of these `count` parts needs, nor the segments `ahead` of the first.
    void let_go(const Part* parts, int count, const Array<uint32_t>& ahead);
    // What the next task is for follows from where the play is.
    void set_place(uint32_t segment) { place_ = segment; }
    // A data channel is there: what was asked before another one will not come by it.
    void connected();
    // There is none until the next.
    void disconnected() { connected_ = false; }

    // -- what comes -------------------------------------------------------------------------

    int32_t piece(uint32_t asset, uint64_t offset, uint64_t total, const uint8_t* bytes,
                  size_t size);
    int32_t whole(uint32_t asset, const uint8_t* bytes, size_t size);
    int32_t lacks(uint32_t asset);
    int32_t picture(uint32_t asset, const uint8_t* samples, ptrdiff_t stride, int width,
                    int height);
    // A shipped base, or none by that id.
    int32_t base(const uint8_t* id, const uint8_t* bytes, size_t size);

    // -- what is to be done -----------------------------------------------------------------

    // False where there is nothing. A message `want` is written into `text` instead.
    int32_t next_task(int64_t now_ms, crispcast_task& task, Text& want);

    // -- what is here -----------------------------------------------------------------------

    // The asset where it is prepared, else NULL.
    const Asset* here(uint32_t asset) const {
        const Asset* const found = asset == kNone ? nullptr : table_[asset];
        return found != nullptr && found->state == State::here ? found : nullptr;
    }
    // Whether all that the segment needs is prepared or refused. A difference to what is refused
    // counts as that, until its base comes after all.
    bool ready(uint32_t rung, uint32_t segment) const;
    // How many assets of the segment did not come yet; those refused are not among them.
    int32_t missing(uint32_t rung, uint32_t segment) const;
    // Another number whenever something came or went.
    uint64_t version() const { return version_; }
    uint64_t memory_bytes() const { return memory_; }

    uint64_t came_bytes = 0, cached_bytes = 0, refused_count = 0;

  private:
    struct ShippedBase {
        uint8_t id[CRISPCAST_BASE_ID_BYTES];
        Array<uint8_t>* bytes;
    };

    Asset* create(uint32_t asset, uint32_t rung, uint32_t segment);
    void free_asset(uint32_t asset);
    uint64_t estimate(uint32_t asset) const;
    bool make_room(uint64_t bytes, uint32_t segment);
    void account(Asset& asset);
    void ask(uint32_t asset);
    bool may_fetch(uint32_t asset) const;
    int32_t bad_piece(uint32_t asset, int32_t status);
    int32_t take(uint32_t asset, bool cached);
    int32_t prepare(uint32_t asset);
    int32_t prepare_record(uint32_t asset);
    int32_t prepare_plan(uint32_t asset);
    void retry_waiting(const uint8_t* id, bool in_vain);
    int32_t refuse(uint32_t asset, int32_t status, bool for_good);
    bool settled(uint32_t asset) const;
    bool picture_size(uint32_t asset, int& width, int& height) const;
    const ShippedBase* shipped(const uint8_t* id) const;
    uint32_t beside(const uint8_t* id) const;
    uint32_t distance(const Asset& asset) const;
    uint32_t most_urgent(uint8_t pending) const;
    bool write_want(Text& want);
    void watch_channel(int64_t now_ms);

    const AssetOptions options_;
    Notes& notes_;
    Sentence& why_;
    const Manifest* manifest_ = nullptr;
    Array<Asset*> table_;   // by the manifest's number; NULL: absent
    Array<uint32_t> live_;  // numbers of those that are not
    Array<uint8_t> needed_;
    Array<ShippedBase> shipped_;
    Array<uint8_t> read_;  // bytes of the task at hand
    uint32_t pass_ = 0;
    uint32_t place_ = 0;
    uint64_t version_ = 1;
    uint64_t memory_ = 0;
    bool connected_ = false, connected_before_ = false;
    bool channel_moved_ = false;
    int64_t channel_since_ = 0;
};

}  // namespace crispcast::client

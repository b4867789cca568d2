// Whose a manifest must be, and whose it is found to be: docs/signing.md. Signatures are checked by
// the app, which has a library or a platform for that; what follows from an answer is decided here.
//
//     check ─► VERIFY by the first key ─ no ─► by the next ─ no, no more ─► untrusted
//                        └───────── yes ──────────┴─► trusted
#pragma once

#include "tasks.h"

namespace crispcast::client {

constexpr size_t kKeyBytes = 32, kSignatureBytes = 64;

// `ed25519:` and 128 digits; false on anything else.
bool read_signature(const char* text, size_t size, uint8_t* signature);

class Trust {
  public:
    explicit Trust(Notes& notes) : notes_(notes) {}

    // The keys as options.trust has them; NULL: none. False where they are not 1 to 8 keys.
    bool read(const char* keys);

    // A manifest of this hash came, or is announced, with this signature (NULL: with none): ask
    // whose it is. It may come again, with another; one that is trusted stays so.
    int32_t check(const Digest& manifest, const uint8_t* signature);
    // The app's answer to a VERIFY: 1 it is, 0 it is not, -1 this machine cannot say. One to what
    // is no longer asked is passed over.
    int32_t answered(int64_t question, int32_t answer);

    // Whether what a manifest of this hash names may be used.
    bool covers(const Digest& manifest) const;
    bool pending() const { return state_ == State::asking; }

  private:
    enum class State { unasked, asking, trusted, untrusted };

    bool settles(const Digest& manifest, const uint8_t* signature) const;
    int32_t ask();
    int32_t distrust(const char* why);

    static constexpr size_t kMostKeys = 8;

    Notes& notes_;
    uint8_t keys_[kMostKeys][kKeyBytes] = {};
    size_t count_ = 0, key_ = 0;
    State state_ = State::unasked;
    Digest manifest_ = {};
    bool signed_ = false;
    uint8_t signature_[kSignatureBytes] = {};
    int64_t question_ = 0;
};

}  // namespace crispcast::client

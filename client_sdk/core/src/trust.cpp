#include "trust.h"

namespace crispcast::client {

namespace {

constexpr char kAlgorithm[] = "ed25519:";
constexpr size_t kAlgorithmSize = sizeof kAlgorithm - 1;
constexpr char kDomain[] = "crispcast manifest 1";  // its 0 is signed too

// After the algorithm, exactly `count` bytes.
bool read_text(const char* text, size_t size, uint8_t* out, size_t count) {
    return size > kAlgorithmSize && memcmp(text, kAlgorithm, kAlgorithmSize) == 0 &&
           from_hex(text + kAlgorithmSize, size - kAlgorithmSize, out, count);
}

bool separates(char c) {
    return c == ' ' || c == ',' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

bool read_signature(const char* text, size_t size, uint8_t* signature) {
    return read_text(text, size, signature, kSignatureBytes);
}

bool Trust::read(const char* keys) {
    if (keys == nullptr) return true;
    while (*keys != 0) {
        size_t size = 0;
        while (keys[size] != 0 && !separates(keys[size])) ++size;
        if (size == 0) {
            ++keys;
            continue;
        }
        if (count_ == kMostKeys || !read_text(keys, size, keys_[count_], kKeyBytes)) return false;
        ++count_;
        keys += size;
    }
    return count_ != 0;
}

bool Trust::covers(const Digest& manifest) const {
    return count_ == 0 || (state_ == State::trusted && manifest == manifest_);
}

// Whether what was asked about that manifest answers this too, or will.
bool Trust::settles(const Digest& manifest, const uint8_t* signature) const {
    if (state_ == State::unasked || !(manifest == manifest_)) return false;
    return state_ != State::untrusted || signature == nullptr ||
           (signed_ && memcmp(signature, signature_, kSignatureBytes) == 0);
}

int32_t Trust::check(const Digest& manifest, const uint8_t* signature) {
    if (count_ == 0 || settles(manifest, signature)) return CRISPCAST_OK;
    manifest_ = manifest;
    signed_ = signature != nullptr;
    state_ = State::asking;
    key_ = 0;
    ++question_;  // what was asked before is of another
    if (!signed_) return distrust("the manifest is not signed, and a signature is asked for");
    memcpy(signature_, signature, kSignatureBytes);
    return ask();
}

int32_t Trust::ask() {
    uint8_t bytes[kKeyBytes + kSignatureBytes + sizeof kDomain + sizeof manifest_.bytes];
    uint8_t* next = bytes;
    const auto put = [&next](const void* data, size_t size) {
        memcpy(next, data, size);
        next += size;
    };
    put(keys_[key_], kKeyBytes);
    put(signature_, kSignatureBytes);
    put(kDomain, sizeof kDomain);
    put(manifest_.bytes, sizeof manifest_.bytes);
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_VERIFY;
    task.rung = task.segment = -1;
    task.frame = -1;
    task.count = ++question_;
    return notes_.give(task, bytes, sizeof bytes) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

int32_t Trust::answered(int64_t question, int32_t answer) {
    if (state_ != State::asking || question != question_) return CRISPCAST_OK;
    if (answer == 1) {
        state_ = State::trusted;
        return CRISPCAST_OK;
    }
    if (answer != 0) return distrust("this machine cannot check signatures of Ed25519");
    if (++key_ < count_) return ask();
    return distrust("the manifest's signature is by none of the trusted keys");
}

int32_t Trust::distrust(const char* why) {
    state_ = State::untrusted;
    crispcast_task task = {};
    task.kind = CRISPCAST_TASK_UNTRUSTED;
    task.status = CRISPCAST_ERROR_UNTRUSTED;
    task.rung = task.segment = -1;
    task.frame = -1;
    return notes_.tell(task, why) ? CRISPCAST_OK : CRISPCAST_ERROR_MEMORY;
}

}  // namespace crispcast::client

// A strict JSON reader (RFC 8259) for what comes from the network: it pulls one value after another
// out of the text and makes no tree, so that no text can make it take memory or nest too deep.
//
//     json.begin_object();
//     while (json.next_key(key)) {
//         if (key == "width") width = json.integer(1, 16384);
//         else json.refuse("unknown field");
//     }
//
// The first fault sticks, with the place where it is; after it every call gives nothing.
#pragma once

#include "digest.h"

namespace crispcast::client {

constexpr int kMaxJsonDepth = 32;

// A key or a short text; longer ones are cut, and equal nothing.
struct JsonText {
    static constexpr size_t kMost = 1200;
    char bytes[kMost];
    size_t size = 0;        // in bytes
    size_t characters = 0;  // code points
    bool cut = false;

    bool operator==(const char* other) const {
        return !cut && size == strlen(other) && memcmp(bytes, other, size) == 0;
    }
};

class Json {
  public:
    Json(const void* text, size_t size)
        : next_(static_cast<const char*>(text)), end_(next_ + size) {}

    bool ok() const { return ok_; }
    // Place and fault, "rungs.0.width: ..."; empty where all is well.
    const Sentence& fault() const { return fault_; }
    // Says that the value at hand is wrong.
    void refuse(const char* what);
    // The same with a sentence that is made beside.
    void refuse(const Sentence& what) { refuse(what.text()); }

    void begin_object();
    // Whether there is another key; it reads that and the colon.
    bool next_key(JsonText& key);
    void begin_array();
    bool next_item();

    // Whether a null is next, which is then read.
    bool null();
    bool boolean();
    // A whole number without fraction or exponent, within bounds.
    int64_t integer(int64_t least, int64_t most);
    // Any finite number within bounds. Good to a few parts in 2^53: for checks, not for keeping.
    double number(double least, double most);
    void string(JsonText& out);
    void digest(Digest& out);
    // Reads past any value.
    void skip();
    // Nothing but space may follow.
    void finish();

  private:
    struct Level {
        bool object, first;
        int64_t index;
        char key[33];  // cut: for the sentence only
    };

    void space();
    bool literal(const char* text);
    bool digits();
    bool number_text(const char** begin, bool* whole);
    uint32_t hex4();
    bool escape(uint32_t& code);
    bool utf8(uint32_t& code);
    bool push(bool object);

    const char* next_;
    const char* end_;
    Level levels_[kMaxJsonDepth];
    int depth_ = 0;
    bool ok_ = true;
    Sentence fault_;
};

}  // namespace crispcast::client

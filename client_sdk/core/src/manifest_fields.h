// Fields of the manifest: names, files and words, and which of them an object has.
#pragma once

#include "json.h"

namespace crispcast::client {

constexpr int64_t kMaxFileBytes = int64_t(1) << 50;
constexpr int64_t kMaxPlateBytes = 32 << 20;

inline bool letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

// [A-Za-z0-9][A-Za-z0-9._-]{0,most - 1}
inline bool plain_name(const char* text, size_t size, size_t most) {
    if (size == 0 || size > most || !letter_or_digit(text[0])) return false;
    for (size_t i = 1; i < size; ++i)
        if (!letter_or_digit(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-')
            return false;
    return true;
}

// One folder and one plain name.
inline void read_file(Json& json, const char* folder) {
    JsonText text;
    json.string(text);
    if (!json.ok()) return;
    const size_t size = strlen(folder);
    if (text.cut || text.size <= size || memcmp(text.bytes, folder, size) != 0 ||
        !plain_name(text.bytes + size, text.size - size, 64)) {
        Sentence what;
        json.refuse(what << "not a plain file in " << folder);
    }
}

// [0-9]{1,4}\.[0-9]{1,4}
inline bool is_version(const JsonText& text) {
    size_t dots = 0, digits = 0;
    for (size_t i = 0; i < text.size; ++i) {
        const char c = text.bytes[i];
        if (c == '.' && digits > 0 && dots == 0) {
            ++dots;
            digits = 0;
        } else if (c < '0' || c > '9' || ++digits > 4) {
            return false;
        }
    }
    return !text.cut && dots == 1 && digits > 0;
}

// One of `count` words; which.
inline int word(Json& json, const char* const* words, int count) {
    JsonText text;
    json.string(text);
    for (int i = 0; i < count; ++i)
        if (text == words[i]) return i;
    json.refuse("not one of the words that may stand here");
    return 0;
}

inline bool printable(const JsonText& text) {
    for (size_t i = 0; i < text.size; ++i) {
        const uint8_t c = static_cast<uint8_t>(text.bytes[i]);
        const bool control = c < 32 || c == 127;
        const bool second = c == 0xc2 && static_cast<uint8_t>(text.bytes[i + 1]) < 0xa0;
        if (control || second) return false;
    }
    return true;
}

// Which keys of an object were there. Each may come once.
class Keys {
  public:
    Keys(Json& json, const char* const* names, int count)
        : json_(json), names_(names), count_(count) {}

    // The key's place among the names; -1 where it is none, or comes twice, and the text is
    // refused.
    int seen(const JsonText& key) {
        for (int i = 0; i < count_; ++i) {
            if (!(key == names_[i])) continue;
            if (there_ >> i & 1) break;
            there_ |= 1u << i;
            return i;
        }
        json_.refuse("a field that is not known, or comes twice");
        return -1;
    }

    void require(uint32_t wanted) {
        for (int i = 0; i < count_; ++i)
            if ((wanted & ~there_) >> i & 1) {
                Sentence what;
                json_.refuse(what << "the field " << names_[i] << " is missing");
            }
    }

  private:
    Json& json_;
    const char* const* names_;
    int count_;
    uint32_t there_ = 0;
};

}  // namespace crispcast::client

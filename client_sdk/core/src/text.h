// Text without a C library's printf: sentences of bounded length, messages of any.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "array.h"
#include "crispcast_session.h"

namespace crispcast::client {

inline char hex_digit(int value) {
    return "0123456789abcdef"[value & 15];
}

// Digits of `value` into `out`, which has room for 20; how many.
inline size_t digits_of(uint64_t value, char* out) {
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = char('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; ++i) out[i] = reversed[count - 1 - i];
    return count;
}

// How many of the first `size` bytes of a text in UTF-8 are whole characters.
inline size_t whole_characters(const char* text, size_t size) {
    size_t begun = 0;  // bytes of the last character
    while (begun < size && begun < 4 && (text[size - 1 - begun] & 0xc0) == 0x80) ++begun;
    if (begun == size) return size;
    const unsigned char first = static_cast<unsigned char>(text[size - 1 - begun]);
    const size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return begun + 1 < wanted ? size - begun - 1 : size;
}

// One sentence, cut after a whole character where it would pass CRISPCAST_WHY_BYTES; always with a
// 0 at its end.
class Sentence {
  public:
    void clear() { size_ = 0, text_[0] = 0, cut_ = false; }
    const char* text() const { return text_; }
    bool empty() const { return size_ == 0; }

    Sentence& add(const char* text, size_t size) {
        if (cut_) return *this;
        const size_t room = sizeof text_ - 1 - size_;
        cut_ = size > room;
        const size_t some = cut_ ? room : size;
        if (some != 0) memcpy(text_ + size_, text, some);
        size_ += some;
        if (cut_) size_ = whole_characters(text_, size_);
        text_[size_] = 0;
        return *this;
    }
    Sentence& operator<<(const char* text) { return add(text, strlen(text)); }
    Sentence& operator<<(int64_t value) {
        char digits[20];
        if (value < 0) add("-", 1);
        const uint64_t size = value < 0 ? 0 - uint64_t(value) : uint64_t(value);
        return add(digits, digits_of(size, digits));
    }
    // What somebody sent: characters that cannot be printed become '?'.
    Sentence& quote(const char* text, size_t size) {
        for (size_t i = 0; i < size; ++i) {
            const unsigned char c = static_cast<unsigned char>(text[i]);
            const char shown = c < 32 || c == 127 ? '?' : text[i];
            add(&shown, 1);
        }
        return *this;
    }

  private:
    char text_[CRISPCAST_WHY_BYTES] = {};
    size_t size_ = 0;
    bool cut_ = false;
};

// A message that grows; `ok` says whether there was memory for all of it.
class Text {
  public:
    bool ok() const { return ok_; }
    void clear() { bytes_.clear(), ok_ = true; }
    const Array<char>& bytes() const { return bytes_; }

    Text& add(const char* text, size_t size) {
        for (size_t i = 0; i < size && ok_; ++i) ok_ = bytes_.push(text[i]);
        return *this;
    }
    Text& operator<<(const char* text) { return add(text, strlen(text)); }
    Text& operator<<(uint64_t value) {
        char digits[20];
        return add(digits, digits_of(value, digits));
    }
    // A number from 0 on, to a thousandth.
    Text& decimal(double value) {
        const uint64_t thousandths = uint64_t(value * 1000 + 0.5);
        *this << thousandths / 1000;
        const int rest = int(thousandths % 1000);
        if (rest == 0) return *this;
        const char after[4] = {'.', char('0' + rest / 100), char('0' + rest / 10 % 10),
                               char('0' + rest % 10)};
        return add(after, 4);
    }

  private:
    Array<char> bytes_;
    bool ok_ = true;
};

}  // namespace crispcast::client

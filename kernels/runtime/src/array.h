// A growing array without exceptions: `push` and `resize` say whether there was memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace crispcast {

// Plain data only; begins on a cache line, so that vectors of weights never straddle two.
template <class T>
class Array {
    static_assert(std::is_trivially_copyable<T>::value, "elements are copied as bytes");

  public:
    Array() = default;
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() { std::free(raw_); }

    bool reserve(size_t capacity) {
        if (capacity <= capacity_) return true;
        if (capacity > (SIZE_MAX - kAlign) / sizeof(T)) return false;
        void* raw = std::malloc(capacity * sizeof(T) + kAlign);
        if (raw == nullptr) return false;
        const uintptr_t aligned = (reinterpret_cast<uintptr_t>(raw) + kAlign - 1) & ~(kAlign - 1);
        T* data = reinterpret_cast<T*>(aligned);
        if (size_ != 0) std::memcpy(data, data_, size_ * sizeof(T));
        std::free(raw_);
        raw_ = raw;
        data_ = data;
        capacity_ = capacity;
        return true;
    }

    // New elements are zero bytes.
    bool resize(size_t size) {
        if (!reserve(size)) return false;
        if (size > size_)
            std::memset(static_cast<void*>(data_ + size_), 0, (size - size_) * sizeof(T));
        size_ = size;
        return true;
    }

    // The same for what comes piece by piece, `most` elements in all.
    bool grow(size_t size, size_t most) {
        const size_t twice = capacity_ < most / 2 ? 2 * capacity_ : most;
        return reserve(size > twice ? size : size > capacity_ ? twice : 0) && resize(size);
    }

    bool push(const T& value) {
        if (size_ == capacity_ && !reserve(capacity_ == 0 ? 16 : capacity_ * 2)) return false;
        data_[size_++] = value;
        return true;
    }

    void pop() { --size_; }
    void clear() { size_ = 0; }
    // Empty, and without memory.
    void release() {
        std::free(raw_);
        raw_ = nullptr;
        data_ = nullptr;
        size_ = capacity_ = 0;
    }
    size_t size() const { return size_; }
    size_t bytes() const { return capacity_ * sizeof(T); }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }

  private:
    static constexpr uintptr_t kAlign = 64;
    void* raw_ = nullptr;
    T* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace crispcast

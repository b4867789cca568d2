// What the runtime and the core use of the C++ library besides its headers, all without exceptions.
// With it here the library itself, with its terminate handlers and demangler, is not linked in.
#include <stdlib.h>

#include <new>

namespace std {
const nothrow_t nothrow{};
}  // namespace std

void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return malloc(size == 0 ? 1 : size);
}

void* operator new[](size_t size, const std::nothrow_t&) noexcept {
    return malloc(size == 0 ? 1 : size);
}

void operator delete(void* memory) noexcept {
    free(memory);
}

void operator delete[](void* memory) noexcept {
    free(memory);
}

void operator delete(void* memory, size_t) noexcept {
    free(memory);
}

void operator delete[](void* memory, size_t) noexcept {
    free(memory);
}

void operator delete(void* memory, const std::nothrow_t&) noexcept {
    free(memory);
}

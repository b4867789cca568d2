// The module's heap: first fit in a list of free blocks in the order of their addresses, neighbours
// joined. Allocation is rare (plans, plates, planes of a new size), so simple and small is right.
//
// Only the thread that calls the API allocates; workers run strips, which never do.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <new>

extern "C" unsigned char __heap_base;  // the linker's: the first byte after data and stack

namespace {

constexpr size_t kAlign = 16;
constexpr size_t kPage = 65536;

struct Block {
    size_t size;  // bytes of the whole block
    Block* next;  // of the free list; unused while taken
};

constexpr size_t kHeader = kAlign;
static_assert(sizeof(Block) <= kHeader, "a taken block starts with its size");

Block* free_list;
uintptr_t heap_end;  // up to where memory has been made blocks

Block* after(Block* block) {
    return reinterpret_cast<Block*>(reinterpret_cast<uintptr_t>(block) + block->size);
}

void give(Block* block) {
    Block** link = &free_list;
    Block* before = nullptr;
    while (*link != nullptr && *link < block) {
        before = *link;
        link = &before->next;
    }
    block->next = *link;
    *link = block;
    if (block->next != nullptr && after(block) == block->next) {
        block->size += block->next->size;
        block->next = block->next->next;
    }
    if (before != nullptr && after(before) == block) {
        before->size += block->size;
        before->next = block->next;
    }
}

bool grow(size_t size) {
    if (heap_end == 0) {
        heap_end = (reinterpret_cast<uintptr_t>(&__heap_base) + kAlign - 1) & ~(kAlign - 1);
        const size_t there = __builtin_wasm_memory_size(0) * kPage - heap_end;
        if (there >= kHeader) {
            Block* block = reinterpret_cast<Block*>(heap_end);
            block->size = there;
            heap_end += there;
            give(block);
        }
        if (there >= size) return true;
    }
    const size_t pages = (size + kPage - 1) / kPage;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return false;
    Block* block = reinterpret_cast<Block*>(heap_end);
    block->size = pages * kPage;
    heap_end += block->size;
    give(block);
    return true;
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return nullptr;
    const size_t size = (bytes + kHeader + kAlign - 1) & ~(kAlign - 1);
    do {
        for (Block** link = &free_list; *link != nullptr; link = &(*link)->next) {
            Block* block = *link;
            if (block->size < size) continue;
            if (block->size - size >= 2 * kHeader) {
                Block* rest = reinterpret_cast<Block*>(reinterpret_cast<uintptr_t>(block) + size);
                rest->size = block->size - size;
                rest->next = block->next;
                *link = rest;
                block->size = size;
            } else {
                *link = block->next;
            }
            return reinterpret_cast<char*>(block) + kHeader;
        }
    } while (grow(size));
    return nullptr;
}

void free(void* data) {
    if (data != nullptr) give(reinterpret_cast<Block*>(static_cast<char*>(data) - kHeader));
}

}  // extern "C"

const std::nothrow_t std::nothrow{};
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return malloc(size);
}
void operator delete(void* data) noexcept {
    free(data);
}
void operator delete(void* data, size_t) noexcept {
    free(data);
}

// Large scratch memory that is handed back and forth instead of being unmapped and page-faulted in every iteration.
#pragma once
#include <cstddef>

namespace endogs {

// At least `bytes` of uninitialized memory, 64-byte aligned. Throws std::bad_alloc.
void* borrow_buffer(std::size_t bytes);
void return_buffer(void* memory);

// Around a fork (fork.cpp): nobody borrows or returns between the two calls.
void hold_buffers();
void let_go_of_buffers();

// Always inlined: a copy compiled for a wide instruction set must not serve as everybody's.
struct Buffer {
    void* memory;
    __attribute__((always_inline)) explicit Buffer(std::size_t bytes) : memory(borrow_buffer(bytes)) {}
    __attribute__((always_inline)) ~Buffer() {
        if (memory) return_buffer(memory);
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    void* release() {
        void* taken = memory;
        memory = nullptr;
        return taken;
    }
};

}  // namespace endogs

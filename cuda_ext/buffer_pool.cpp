#include "buffer_pool.h"

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

namespace endogs {
namespace {

constexpr std::size_t kHeader = 64;  // keeps the capacity in front of the aligned memory
constexpr std::size_t kKept = 12;

std::mutex mutex;
std::vector<void*> idle;

std::size_t& capacity(void* memory) { return *reinterpret_cast<std::size_t*>(static_cast<char*>(memory) - kHeader); }

void release(void* memory) { std::free(static_cast<char*>(memory) - kHeader); }

}  // namespace

void* borrow_buffer(std::size_t bytes) {
    {
        std::lock_guard lock(mutex);
        std::size_t best = idle.size();
        for (std::size_t i = 0; i < idle.size(); ++i) {
            const std::size_t size = capacity(idle[i]);
            if (size >= bytes && size <= 4 * bytes + 65536 && (best == idle.size() || size < capacity(idle[best])))
                best = i;
        }
        if (best < idle.size()) {
            void* memory = idle[best];
            idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(best));
            return memory;
        }
    }
    const std::size_t grown = (bytes + bytes / 4 + 4095) / 4096 * 4096;
    void* block = std::aligned_alloc(64, grown + kHeader + (64 - kHeader % 64) % 64);
    if (!block) throw std::bad_alloc();
    void* memory = static_cast<char*>(block) + kHeader;
    capacity(memory) = grown;
    return memory;
}

void return_buffer(void* memory) {
    void* dropped = nullptr;
    {
        std::lock_guard lock(mutex);
        idle.push_back(memory);
        if (idle.size() > kKept) {
            dropped = idle.front();
            idle.erase(idle.begin());
        }
    }
    if (dropped) release(dropped);
}

void hold_buffers() { mutex.lock(); }

void let_go_of_buffers() { mutex.unlock(); }

}  // namespace endogs

#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace endogs {
namespace {

inline void relax() {
#if defined(__x86_64__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
}

class Pool {
   public:
    explicit Pool(int threads) {
        workers_.reserve(static_cast<std::size_t>(threads));
        try {
            for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {  // the system allows no more: those that started do the work
        }
    }

    ~Pool() {
        stop_.store(true);
        { std::lock_guard lock(mutex_); }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    void run(int chunks, ChunkFunction function, void* context) {
        if (workers_.empty() || chunks <= 1) {
            for (int chunk = 0; chunk < chunks; ++chunk) function(context, chunk);
            return;
        }
        function_ = function;
        context_ = context;
        chunks_ = chunks;
        next_.store(0, std::memory_order_relaxed);
        busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
        generation_.fetch_add(1, std::memory_order_seq_cst);
        if (sleeping_.load(std::memory_order_seq_cst) > 0) {
            { std::lock_guard lock(mutex_); }
            wake_.notify_all();
        }
        drain();
        // On a machine with other work, a worker may have lost its core: let it have this one.
        for (int spin = 0; busy_.load(std::memory_order_acquire) > 0; ++spin) {
            if (spin < 4000) relax();
            else std::this_thread::yield();
        }
    }

   private:
    void drain() {
        for (int chunk; (chunk = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) function_(context_, chunk);
    }

    void work() {
        unsigned seen = 0;
        for (;;) {
            // An iteration of a fit is a chain of short regions: spin through the gaps (some 50 us), then sleep.
            for (int spin = 0; spin < 2000 && generation_.load(std::memory_order_acquire) == seen; ++spin) relax();
            if (generation_.load(std::memory_order_acquire) == seen) {
                std::unique_lock lock(mutex_);
                sleeping_.fetch_add(1, std::memory_order_seq_cst);
                wake_.wait(lock, [&] { return stop_.load() || generation_.load(std::memory_order_seq_cst) != seen; });
                sleeping_.fetch_sub(1, std::memory_order_seq_cst);
            }
            if (stop_.load()) return;
            seen = generation_.load(std::memory_order_acquire);
            drain();
            busy_.fetch_sub(1, std::memory_order_release);
        }
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> generation_{0};
    std::atomic<int> next_{0}, busy_{0}, sleeping_{0};
    std::atomic<bool> stop_{false};
    ChunkFunction function_ = nullptr;
    void* context_ = nullptr;
    int chunks_ = 0;
};

std::mutex pool_mutex;  // one parallel region at a time, from whichever Python thread
Pool* pool = nullptr;  // never destroyed at exit, where its threads may already be gone
int wanted_threads = 0;

Pool& current_pool() {
    if (wanted_threads == 0) wanted_threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    if (!pool || pool->threads() != wanted_threads) {
        delete pool;
        pool = nullptr;
        pool = new Pool(wanted_threads);
        wanted_threads = pool->threads();  // a system that allows no more has given fewer
    }
    return *pool;
}

}  // namespace

void parallel_chunks(int chunks, ChunkFunction function, void* context) {
    std::lock_guard lock(pool_mutex);
    current_pool().run(chunks, function, context);
}

int thread_count() {
    std::lock_guard lock(pool_mutex);
    return current_pool().threads();
}

void set_thread_count(int count) {
    std::lock_guard lock(pool_mutex);
    wanted_threads = count;
}

void hold_pool() { pool_mutex.lock(); }

void let_go_of_pool(bool in_child) {
    // A child inherits the object but not its threads: it leaves the old one alone and starts anew.
    if (in_child) pool = nullptr;
    pool_mutex.unlock();
}

}  // namespace endogs

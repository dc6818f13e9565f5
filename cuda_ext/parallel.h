// A small persistent thread pool. Work is cut into chunks that do not depend on the number of threads, so that results
// are bit-identical for any number of them. Not OpenMP: torch brings its own OpenMP runtime, and two of them fight.
#pragma once

namespace endogs {

using ChunkFunction = void (*)(void* context, int chunk);

// Calls function(context, chunk) once for every chunk in [0, chunks), on all threads; returns when all are done.
void parallel_chunks(int chunks, ChunkFunction function, void* context);

int thread_count();
void set_thread_count(int count);

// Around a fork (fork.cpp): no region runs between the two calls; in the child the pool is made anew.
void hold_pool();
void let_go_of_pool(bool in_child);

template <class Body>
inline void parallel_for(int chunks, Body& body) {
    parallel_chunks(chunks, [](void* context, int chunk) { (*static_cast<Body*>(context))(chunk); }, &body);
}

}  // namespace endogs

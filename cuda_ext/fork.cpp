#include "fork.h"

#include <pthread.h>

#include "buffer_pool.h"
#include "parallel.h"

namespace endogs {
namespace {

// A child has only the thread that forked. A lock that another thread held stays locked in it for ever, so the forking
// thread takes both first (and waits for the region under way). The pool comes first: regions borrow buffers.
void before_fork() {
    hold_pool();
    hold_buffers();
}

void after_fork_in_parent() {
    let_go_of_buffers();
    let_go_of_pool(false);
}

void after_fork_in_child() {
    let_go_of_buffers();
    let_go_of_pool(true);
}

}  // namespace

void survive_forks() { pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

}  // namespace endogs

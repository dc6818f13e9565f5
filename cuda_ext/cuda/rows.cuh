// Blocks of packed rows in shared memory.
#pragma once
#include "cuda/memory_layout.h"

namespace endogs::cuda {

constexpr int kRows = 128;                   // rows, and threads, of a block
constexpr int kPaddedRow = kChannels + 1;    // odd, so that threads reading their own rows meet no bank twice

}  // namespace endogs::cuda

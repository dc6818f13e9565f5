// A forked child can use the kernels, whatever the parent's threads were doing when it was made.
#pragma once

namespace endogs {

// Called once, when the module is loaded.
void survive_forks();

}  // namespace endogs

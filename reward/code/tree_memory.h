// How much memory a tree of processes holds, where no control group counts it.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace cohort {

// Bytes of anonymous memory of `root` and all its descendants, pages that several of them share counted for each.
// Memory in files is left out: the sandbox bounds it by the size of its tmpfs and allows no shared memory without a
// file. 0 for a dead tree.
int64_t tree_memory(pid_t root);

// Bytes of anonymous memory of one process; 0 when it is gone.
int64_t process_memory(pid_t process);

// Whether the kernel lists the children of processes (CONFIG_PROC_CHILDREN), which tree_memory needs.
bool can_see_trees();

}  // namespace cohort

// How much memory a tree of processes holds, where no control group counts it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace cohort {

// Bytes of anonymous memory of `root` and all its descendants, pages that several of them share counted for each.
// Memory in files is left out: the sandbox bounds it by the size of its tmpfs and allows no shared memory without a
// file. 0 for a tree that has died and was not waited for. Nothing when /proc does not show `root`: where it hides
// processes (hidepid), or for a root that was waited for.
std::optional<int64_t> tree_memory(pid_t root);

// Bytes of anonymous memory of one process; 0 when it is gone.
int64_t process_memory(pid_t process);

// What tree_memory lacks on this machine, or "": that the kernel lists the children of processes
// (CONFIG_PROC_CHILDREN), and that /proc shows those which, like the first process of a sandbox, hide their memory.
std::string unseen_trees();

}  // namespace cohort

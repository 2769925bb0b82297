// The system calls that a program in the sandbox may make, as a seccomp filter.
//
// It is a list of what is allowed. A list of what is forbidden would be open to each call that a later kernel adds, and
// the calls worth fearing (io_uring, bpf, userfaultfd, keyctl, new mounts) keep growing. What is not on the list
// answers ENOSYS, as on an older kernel, and run times fall back by themselves. Calls whose arguments decide (clone,
// ioctl, prctl, mmap) are allowed for some arguments only.
#pragma once

#include <linux/filter.h>

#include <vector>

namespace cohort {

// The compiled filter, to be built once: libseccomp needs a millisecond. Throws (exit code 1) when libseccomp refuses.
std::vector<sock_filter> build_syscall_filter();

// Puts it on the calling thread, for good. Needs no_new_privs. Allocates nothing; false with errno where the kernel
// refuses.
bool install_syscall_filter(const std::vector<sock_filter>& filter);

}  // namespace cohort

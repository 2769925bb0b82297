// What a program in the sandbox sees of the file system: a few folders of the host, read-only, and a small scratch of
// its own.
#pragma once

#include "core/fd.h"
#include "reward/code/sandbox.h"

namespace cohort {

// Gives the calling process, which has a mount namespace of its own and may mount, this root and nothing else:
//   /usr, /bin, /lib, ... and program.binds   the host's, read-only, without set-uid programs and devices
//   /dev/null, /dev/urandom, /dev/random      the host's
//   /box, /tmp, /dev/shm                     one tmpfs of limits.scratch_bytes; program.files lie in /box
// There is no /proc and no /sys. The working directory is /box. Returns an open descriptor of /box. Throws (exit code
// 1) naming what the system refused, or (exit code 2) a bind that does not exist or a file name that is no plain name.
Fd enter_file_view(const SandboxProgram& program);

// The regular file `name` in `folder`, of at most `max_bytes`; nothing for anything else: a symbolic link, a pipe, a
// folder. For a folder whose processes are all dead.
std::optional<SandboxFile> take_file(int folder, const std::string& name, int64_t max_bytes);

bool is_plain_name(const std::string& name);

}  // namespace cohort

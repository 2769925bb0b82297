// Landlock, a second fence around files and networks that holds even if the first (the mount namespace) were broken.
#pragma once

namespace cohort {

// The version of the kernel's Landlock; 0: there is none.
int landlock_version();

// From now on the calling thread may read and execute everywhere, write only in /box, /tmp, /dev/shm and /dev/null,
// connect and bind no TCP port, and signal only its own. Needs no_new_privs. Allocates nothing; does nothing where
// there is no Landlock; false with errno where the kernel has it and refuses.
bool install_landlock();

}  // namespace cohort

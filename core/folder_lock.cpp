#include "core/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace cohort {

namespace fs = std::filesystem;

Fd lock_folder(const fs::path& folder, const char* busy) {
  const fs::path file = folder / ".lock";
  Fd lock(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock) {
    const int error = errno;
    fail(error == ENOSPC || error == EDQUOT ? ExitCode::kResources : ExitCode::kUsage, "{}: cannot be opened: {}", file.string(), std::strerror(error));
  }
  CHECK_USAGE(flock(lock.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK, "{}: {}", folder.string(), busy);
  return lock;
}

fs::path move_aside(const fs::path& folder) {
  for (int i = 1;; ++i) {
    fs::path target = folder;
    target += fmt::format(".{}", i);
    if (fs::exists(target)) continue;
    fs::rename(folder, target);
    return target;
  }
}

}  // namespace cohort

#include "model/formats/unfinished_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <string>

#include "core/check.h"
#include "core/files.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

ExitCode code_of(const std::error_code& error) {
  return error == std::errc::no_space_on_device ? ExitCode::kResources : ExitCode::kInput;
}

// Absolute, links resolved, without a slash at the end.
fs::path new_folder(const fs::path& wanted) {
  std::error_code error;
  fs::path target = fs::weakly_canonical(fs::absolute(wanted), error);
  CHECK_INPUT(!error, "{}: {}", wanted.string(), error.message());
  if (!target.has_filename()) target = target.parent_path();
  CHECK_INPUT(target.has_filename(), "{}: is no place for a new folder", wanted.string());
  if (!fs::exists(target)) return target;
  CHECK_INPUT(fs::is_directory(target), "{}: exists and is no folder; give a new or empty one", wanted.string());
  const bool empty = fs::is_empty(target, error);
  CHECK_INPUT(!error && empty, "{}: is not empty; give a new or empty folder", wanted.string());
  return target;
}

// The folder, locked for this process alone; -1 when another process holds it, or locks are not known here.
int lock_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return -1;
}

// What killed processes left of the same target: the lock of a folder goes with whoever made it, also one of another host or
// container, where numbers of processes mean nothing.
void remove_leftovers(const fs::path& parent, const std::string& prefix) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || name.find_first_not_of("0123456789", prefix.size()) != name.npos) continue;
    if (!fs::is_directory(entry.symlink_status(ignored))) continue;
    const int lock = lock_folder(entry.path());
    if (lock < 0) continue;
    fs::remove_all(entry.path(), ignored);
    ::close(lock);
  }
}

}  // namespace

UnfinishedFolder::UnfinishedFolder(const fs::path& target) : target_(new_folder(target)) {
  const fs::path parent = target_.parent_path();
  std::error_code error;
  fs::create_directories(parent, error);
  if (error) fail(code_of(error), "{}: cannot be created: {}", parent.string(), error.message());
  const std::string prefix = fmt::format(".{}.import-", target_.filename().string());
  remove_leftovers(parent, prefix);
  const fs::path path = parent / fmt::format("{}{}", prefix, ::getpid());
  const bool fresh = fs::create_directory(path, error);
  if (error) fail(code_of(error), "{}: cannot be created: {}", path.string(), error.message());
  CHECK_INPUT(fresh, "{}: is left from an import that was killed; remove it", path.string());
  path_ = path;
  lock_ = lock_folder(path_);
}

UnfinishedFolder::~UnfinishedFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void UnfinishedFolder::finish() {
  std::error_code error;
  fsync_path(path_);
  fs::rename(path_, target_, error);
  if (error)
    fail(code_of(error), "{}: cannot be made from {}: {}", target_.string(), path_.string(), error.message());
  path_.clear();
  fsync_path(target_.parent_path());
}

}  // namespace cohort

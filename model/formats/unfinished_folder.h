// A folder that appears whole or not at all.
#pragma once

#include <filesystem>

namespace cohort {

// A new folder beside `target` that becomes `target` when it is finished, and disappears otherwise. What a process that was
// killed left of the same target is removed by the next one.
class UnfinishedFolder {
 public:
  // `target` must not exist, or be an empty folder; its parents are made. Exit code 3 otherwise.
  explicit UnfinishedFolder(const std::filesystem::path& target);
  ~UnfinishedFolder();
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  // Where the files go until then: each of them flushed by whoever writes it.
  const std::filesystem::path& path() const { return path_; }
  // Flushes the folder and renames it. An empty folder at the target is replaced; anything else there stops it.
  void finish();

 private:
  std::filesystem::path target_, path_;
  int lock_ = -1;  // of path_: says that its maker is alive
};

}  // namespace cohort

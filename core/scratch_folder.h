// ScratchFolder: a new folder of this process, gone with its owner.
#pragma once

#include <filesystem>

namespace cohort {

class ScratchFolder {
 public:
  // Made in `parent`, or where the system keeps temporary files (TMPDIR). Throws (exit code 3) naming it and why.
  explicit ScratchFolder(const std::filesystem::path& parent = {});
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cohort

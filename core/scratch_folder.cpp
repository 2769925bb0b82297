#include "core/scratch_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/check.h"

namespace cohort {

ScratchFolder::ScratchFolder(const std::filesystem::path& parent) {
  std::string name = ((parent.empty() ? std::filesystem::temp_directory_path() : parent) / "cohort-XXXXXX").string();
  CHECK_INPUT(mkdtemp(name.data()) != nullptr, "a temporary folder {} cannot be made: {}", name, std::strerror(errno));
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace cohort

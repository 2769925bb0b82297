// The download cache of Hugging Face: models--NAME/snapshots/REVISION/ holds links into models--NAME/blobs/.
#pragma once

#include <filesystem>

namespace cohort {

// Whether `file` is a link of such a snapshot to a blob of the same model: as much a part of the folder as a plain file, where
// links that lead elsewhere are not.
bool is_hub_link(const std::filesystem::path& file);

}  // namespace cohort

// A folder that one process at a time works in.
#pragma once

#include <filesystem>

#include "core/fd.h"

namespace cohort {

// Holds FOLDER/.lock for as long as it lives. Exit code 2 with "FOLDER: BUSY" where another process holds it, and where the file cannot
// be opened (6: no space). On a file system without locks nothing is held.
Fd lock_folder(const std::filesystem::path& folder, const char* busy);

// Renames the folder to the first of FOLDER.1, FOLDER.2, ... that is not there, and returns that.
std::filesystem::path move_aside(const std::filesystem::path& folder);

}  // namespace cohort

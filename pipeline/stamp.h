// What a stage of a pipeline was made from, beside what it left: a stage is run again only where that has changed.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/json.h"

namespace cohort {

struct Stamp {
  std::string key;     // fingerprint of all that decides what the stage leaves
  bool done = false;   // false: begun, and to be gone on with
  std::string output;  // content_fingerprint of what it left
  double seconds = 0;
  Json result = Json::object();  // what it says about itself, for the table at the end
};

// Nothing when there is no such file. A file that is no stamp: exit code 3.
std::optional<Stamp> read_stamp(const std::filesystem::path& file);
void write_stamp(const std::filesystem::path& file, const Stamp& stamp);

// Of a file's bytes, or of the names and bytes of all files under a folder. Exit code 3, naming it, when there is none.
std::string content_fingerprint(const std::filesystem::path& path);

}  // namespace cohort

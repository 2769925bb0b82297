// Reads a golden file: one JSON value a line.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/json.h"

namespace cohort {

inline std::vector<Json> read_lines(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  std::vector<Json> lines;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    lines.push_back(parse_json(std::string_view(text).substr(start, end - start), path.string()));
    start = end + 1;
  }
  return lines;
}

}  // namespace cohort

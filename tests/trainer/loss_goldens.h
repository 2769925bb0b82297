// Rows of tests/golden/loss, a JSON object a line.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"

namespace cohort {

inline std::vector<Json> golden(const std::string& name) {
  std::vector<Json> rows;
  const std::string text = read_file(std::string(GOLDEN_DIR) + "/loss/" + name);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    rows.push_back(parse_json(text.substr(begin, end - begin), name));
    begin = end + 1;
  }
  return rows;
}

}  // namespace cohort

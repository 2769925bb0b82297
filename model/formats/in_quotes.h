// Names from hostile files, made fit for a message: short, printable, in quotes.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace cohort {

// At most 80 bytes of `name`; everything but printable ASCII is escaped, so that no name writes to
// a terminal.
inline std::string in_quotes(std::string_view name) {
  constexpr size_t kMostBytes = 80;
  std::string shown = Json(name.substr(0, kMostBytes))
                          .dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  shown.front() = shown.back() = '\'';
  for (char& c : shown)
    if (c == 0x7F) c = '?';
  return name.size() <= kMostBytes ? shown : shown + "...";
}

}  // namespace cohort

// gzip files (RFC 1952), told by their first two bytes, which no text begins with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cohort {

bool is_gzip(std::string_view bytes);

// What a gzip file holds, all its members one after the other. `where` leads the messages (exit code 3): cut off, damaged, bytes behind
// its end, or more than `max_bytes` of text.
std::string gunzip(std::string_view bytes, std::string_view where, size_t max_bytes);

}  // namespace cohort

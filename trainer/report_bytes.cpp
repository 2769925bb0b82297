#include "trainer/report_bytes.h"

#include <algorithm>
#include <numeric>

namespace cohort {

// Within a script element only "</" and "<!--" mean something to HTML, and JSON needs no "<" outside of its texts.
std::string script_safe(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

int64_t bytes_in_page(const Json& value) {
  const std::string json = dump_json(value);
  return static_cast<int64_t>(json.size()) + 5 * std::ranges::count(json, '<');
}

std::vector<size_t> evenly(size_t size, size_t count) {
  std::vector<size_t> places;
  if (count == 0 || size == 0) return places;
  if (count >= size) {
    places.resize(size);
    std::iota(places.begin(), places.end(), size_t{0});
    return places;
  }
  if (count == 1) return {size - 1};
  for (size_t i = 0; i < count; ++i) places.push_back(i * (size - 1) / (count - 1));
  return places;
}

}  // namespace cohort

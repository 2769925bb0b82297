#include "core/bounds.h"

#include <fmt/format.h>

#include <cmath>

namespace cohort {
namespace {

// 1048576, not 1.04858e+06.
std::string number(double value) {
  const bool whole = std::abs(value) < 1e15 && value == std::trunc(value);
  return whole ? fmt::format("{}", static_cast<int64_t>(value)) : fmt::format("{}", value);
}

}  // namespace

bool Bounds::contain(double value) const {
  if (or_be && value == *or_be) return true;
  const bool low_enough = below ? value < high : value <= high;
  return low_enough && (above ? value > low : value >= low);  // false for NaN
}

std::string Bounds::text() const {
  std::string text;
  if (std::isfinite(low) && std::isfinite(high) && !above && !below) {
    text = fmt::format("from {} to {}", number(low), number(high));
  } else {
    if (std::isfinite(low)) text = fmt::format("{} {}", above ? "above" : "at least", number(low));
    if (std::isfinite(high)) {
      text += fmt::format("{}{} {}", text.empty() ? "" : " and ", below ? "below" : "at most",
                          number(high));
    }
  }
  return or_be ? fmt::format("{}, or {}", text, number(*or_be)) : text;
}

}  // namespace cohort

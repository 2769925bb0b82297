// Which numbers a key of the config, or an option of a reward, takes.
#pragma once

#include <limits>
#include <optional>
#include <string>

namespace cohort {

// Integers are compared as doubles: bounds stay below 2^53.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above = false;           // `low` itself is not allowed
  bool below = false;           // `high` itself is not allowed
  std::optional<double> or_be;  // a value outside that is allowed as well

  bool contain(double value) const;
  std::string text() const;  // "above 0 and at most 1"
};

}  // namespace cohort

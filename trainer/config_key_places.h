// How rows of the table of config keys name their places and bounds (config_keys.cpp, config_keys_algorithm.cpp).
#pragma once

#include "trainer/config_schema.h"

namespace cohort::config_keys_detail {

// The place of a key: a member of a section, or of a map inside a section that is present.
template <auto Section, auto Member>
ValuePointer in(Config& config) {
  return &((config.*Section).*Member);
}
template <auto Section, auto Map, auto Member>
ValuePointer inside(Config& config) {
  return &(((config.*Section).*Map).value().*Member);
}

// The place of a key of a section that may be absent.
template <auto Section, auto Member>
ValuePointer in_optional(Config& config) {
  return &((config.*Section).value().*Member);
}

inline Bounds from(double low, double high) { return {.low = low, .high = high}; }
inline const Bounds kFraction = from(0, 1);
inline const Bounds kDecay = {.low = 0, .high = 1, .below = true};
inline const Bounds kPositive = {.low = 0, .above = true};
inline const Bounds kNotNegative = {.low = 0};
inline const Bounds kSeconds = {.low = 0, .high = 1e7, .above = true};
constexpr double kMaxSize = 1 << 24, kMaxLength = 1 << 20, kMaxSteps = 1e9;

}  // namespace cohort::config_keys_detail

namespace cohort {

// The rows of section `algorithm`.
std::vector<KeyRow> algorithm_keys();

}  // namespace cohort

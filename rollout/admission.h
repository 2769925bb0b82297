// In which order requests are taken in when there are more than fit: no result depends on it, the time does.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "rollout/generator.h"

namespace cohort {

// Indices of requests: groups whose longest member is expected to be longest come first (Graham 1969, longest processing
// time first), so that no long one begins when the others are done; groups of unknown length before all, and equal ones in
// the order given. A group's requests follow each other, as they share their prompt. O(n log n).
std::vector<size_t> admission_order(std::span<const GenerateRequest> requests);

}  // namespace cohort

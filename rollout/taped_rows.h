// Which completions leave their activations on a tape that is too small for all: whole ones, since a pack is run forward
// unless all of its rows are there.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rollout/generator.h"

namespace cohort {

// Of each request, whether its rows go on a tape of `slots`: all, when the longest completions would fit; else the first of
// them that fit if each is a quarter longer than expected (the longest where nothing is known).
std::vector<bool> taped_requests(std::span<const GenerateRequest> requests, int64_t slots, int64_t max_completion_length);

}  // namespace cohort

// What is known to fail before the first stage runs: an hour of stages is not spent on it.
#pragma once

#include <span>

#include "pipeline/stages.h"

namespace cohort {

// Exit code 2 or 3, led by "FILE:LINE: stage 'NAME'", for a file that neither is there nor is left by a stage before, for training on an
// adapter without its base, and for data to sample with columns that a sampled row has itself.
void check_start(std::span<const ReadyStage> stages);

}  // namespace cohort

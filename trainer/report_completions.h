// The completions that a report shows: a sample of what a run has written.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/json.h"

namespace cohort {

// {"found": lines in completions/, "note": what of them is shown, "rows": [{"step", "problem", "sample", "reward", "rewards", "advantage",
// "finish_reason", "pieces": [text of each token], "logprobs": [...]}]}. At most `most` rows and `bytes` of JSON: steps evenly over the run, and of each
// step the best, the worst and others in between. Without the model's tokenizer `pieces` is the whole text, and there are no log-probs.
Json report_completions(const std::filesystem::path& run, int64_t most, int64_t bytes, int64_t longest_text);

}  // namespace cohort

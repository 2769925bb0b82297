// The completions that a report shows: a sample of what a run has written.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/json.h"

namespace cohort {

// {"found": lines in completions/, "note": what of them is shown, "rows": [{"step", "problem", "sample", "reward", "rewards", "explain", "advantage",
// "finish_reason", "prompt", "pieces": [text of each token], "logprobs": [...]}]}. At most `most` rows (at least 2) and `bytes` of the page
// (trainer/report_bytes.h): as many steps as their best and worst completions fit for, evenly over the run, and others in between with what is
// left; where that would be very few steps, texts are cut shorter than `longest_text` bytes. Without the model's tokenizer, or a log-prob, `pieces`
// is the whole text, and there are no log-probs. Exit code 3 names file and line where a row of a shown step has a value of another type.
Json report_completions(const std::filesystem::path& run, int64_t most, int64_t bytes, int64_t longest_text);

}  // namespace cohort

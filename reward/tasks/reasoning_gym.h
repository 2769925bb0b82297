// The scorers of reasoning-gym's tasks (Stojanovski et al. 2025, REASONING GYM), which give what its own Python gives but
// for the differences in docs/rewards.md. An answer is what stands in the answer tags, or nothing when there are none.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "reward/verdict.h"

namespace cohort::tasks {

// What its extract_answer takes out of a completion: the last <answer>...</answer>, stripped.
std::optional<std::string_view> extract_answer(std::string_view completion);

// The data row: its answer as text ("" where it has none) and its metadata.
struct Entry {
  std::string answer;
  const Json& metadata;
  bool strict = false;  // 1 is for what is wholly right, also where reasoning-gym's own scorer gives it to more
};

using Answer = std::optional<std::string_view>;
using TaskScorer = Verdict (*)(const Answer& answer, const Entry& entry);

// A row that lacks what its task needs has no score.
Verdict score_countdown(const Answer& answer, const Entry& entry);       // numbers, target
Verdict score_chain_sum(const Answer& answer, const Entry& entry);       // the answer
Verdict score_number_sorting(const Answer& answer, const Entry& entry);  // the answer, direction
Verdict score_word_sorting(const Answer& answer, const Entry& entry);    // sorted_words
Verdict score_spell_backward(const Answer& answer, const Entry& entry);  // the answer
Verdict score_by_text(const Answer& answer, const Entry& entry);         // the answer

struct Task {
  std::string_view name;  // reasoning-gym's own
  TaskScorer score;
};
std::span<const Task> tasks();

}  // namespace cohort::tasks

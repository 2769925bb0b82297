#include "pipeline/sampled_row.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/check.h"
#include "reward/score_json.h"
#include "trainer/jsonl_rows.h"

namespace cohort {
namespace {

constexpr std::array kAdded = {"sample", "completion", "ids", "finish_reason", "reward", "rewards"};
constexpr const char *kSet = "set", *kOpensThinking = "opens_thinking";  // of some rows

}  // namespace

bool was_sampled(const Json& columns) {
  return std::ranges::all_of(kAdded, [&](const char* name) { return columns.contains(name); });
}

Json sampled_row(const EvalResult& result, const Problem& problem, size_t i, const std::vector<RewardSpec>& rewards) {
  Json row = {{"id", problem.id}, {"prompt", problem.messages.empty() ? Json(problem.prompt) : problem.messages}};
  const bool again = was_sampled(problem.columns), named = !result.set.empty();
  if (named) row[kSet] = result.set;
  for (const auto& [name, value] : problem.columns.items()) {
    if (name == "messages") continue;  // fine-tuning would take them for an example of their own
    if (again && (name == kOpensThinking || (named && name == kSet))) continue;  // of the earlier stage's model, or source
    row[name] = value;
  }
  row["sample"] = i % static_cast<size_t>(result.samples);
  row["completion"] = result.completions[i];
  row["ids"] = result.rollouts[i].tokens;
  row["finish_reason"] = finish_reason_name(result.rollouts[i].finish_reason);
  if (problem.opens_thinking) row[kOpensThinking] = true;
  row["reward"] = or_null(result.scores[i].total), row["rewards"] = scores_by_name(result.scores[i], rewards);
  return row;
}

void check_own_columns(std::span<const Problem> problems, const std::string& file, bool named) {
  for (const Problem& problem : problems) {
    if (was_sampled(problem.columns)) continue;
    std::vector<const char*> own(kAdded.begin(), kAdded.end());
    own.push_back(kOpensThinking);
    if (named) own.push_back(kSet);
    for (const char* name : own)
      CHECK_INPUT(!problem.columns.contains(name),
                  "{}: problem {} has a column '{}', which a 'sample' stage adds itself ({}): the data's own would be lost; name it otherwise there, or by "
                  "data.columns: {{other_name: {}}}",
                  file, shown(problem.id), name, fmt::join(own, ", "), name);
  }
}

void check_own_columns(const Dataset& data) {
  if (data.parts.empty()) return check_own_columns(data.problems, data.name, false);
  for (const DataPart& part : data.parts)
    check_own_columns(std::span(data.problems).subspan(static_cast<size_t>(part.begin), static_cast<size_t>(part.size())), part.file, true);
}

}  // namespace cohort

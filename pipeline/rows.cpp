#include "pipeline/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "core/check.h"
#include "core/rng.h"
#include "trainer/jsonl_rows.h"

namespace cohort {
namespace {

// Where row `index` (from 0) of a filtered file stood, for messages: blank lines do not count.
std::string row_name(const std::string& file, size_t index) { return fmt::format("{}, row {}", file, index + 1); }

// By what rows are of one prompt: ids of several files may be the same ("line 1"), so the prompt counts as well.
std::string prompt_of(const Json& row, const std::string& where) {
  const auto id = row.find("id"), prompt = row.find("prompt");
  const bool has_id = id != row.end() && !id->is_null();
  CHECK_INPUT(has_id || prompt != row.end(), "{}: neither 'id' nor 'prompt' says whose completion it is", where);
  return fmt::format("id {} prompt {}", has_id ? dump_json(*id) : "", prompt != row.end() ? dump_json(*prompt) : "");
}

std::optional<double> reward_of(const Json& row, const std::string& where) {
  const auto reward = row.find("reward");
  CHECK_INPUT(reward != row.end() && (reward->is_number() || reward->is_null()), "{}: no 'reward', a number or null; sample and score give it",
              where);
  return reward->is_null() ? std::nullopt : std::optional<double>(reward->get<double>());
}

}  // namespace

std::vector<Json> read_rows(const std::filesystem::path& file) {
  std::vector<Json> rows;
  read_rows(file, 0, "a completion", RowIds::any, [&](Json row, const std::string&, const std::string&) { rows.push_back(std::move(row)); });
  return rows;
}

std::string rows_text(const std::vector<Json>& rows) {
  std::string text;
  for (const Json& row : rows) text += dump_json(row) + "\n";
  return text;
}

std::string FilterCounts::text() const {
  std::string out = fmt::format("{} of {} rows of {} prompts", kept, rows, prompts), left;
  const auto add = [&](int64_t count, const char* why) {
    if (count > 0) left += fmt::format("{}{} {}", left.empty() ? "; left out: " : ", ", count, why);
  };
  add(unfinished, "unfinished, empty or with a NUL"), add(unmixed, "of prompts with equal rewards"), add(below, "below min_reward");
  add(equal, "equal to another"), add(beyond, "beyond per_prompt");
  return out + left;
}

std::vector<Json> filter_rows(std::vector<Json> rows, const FilterRules& rules, const std::string& file, FilterCounts& counts) {
  counts = {.rows = static_cast<int64_t>(rows.size())};
  struct Row {
    size_t index;
    std::optional<double> reward;
  };
  const bool rewards = rules.min_reward || rules.mixed || rules.per_prompt > 0;
  std::map<std::string, std::vector<Row>> prompts;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string where = row_name(file, i);
    prompts[prompt_of(rows[i], where)].push_back({i, rewards ? reward_of(rows[i], where) : std::nullopt});
  }
  counts.prompts = static_cast<int64_t>(prompts.size());

  std::vector<size_t> kept;
  for (auto& [prompt, of_prompt] : prompts) {
    const auto keep_if = [&](int64_t& left_out, const auto& wanted) {
      left_out += static_cast<int64_t>(std::erase_if(of_prompt, [&](const Row& row) { return !wanted(row); }));
    };
    if (rules.finished)
      keep_if(counts.unfinished, [&](const Row& row) {
        const std::string where = row_name(file, row.index);
        if (get_string(rows[row.index], "finish_reason", where) != "stop") return false;
        const std::string text = get_string(rows[row.index], "completion", where);
        return !text.empty() && text.find('\0') == std::string::npos;
      });
    if (rules.mixed) {
      // As dynamic sampling does (is_mixed), which is to draw the same prompts: a score that is missing says nothing.
      const auto scored = std::ranges::find_if(of_prompt, [](const Row& row) { return row.reward.has_value(); });
      const bool mixed = std::any_of(scored, of_prompt.end(), [&](const Row& row) { return row.reward && row.reward != scored->reward; });
      keep_if(counts.unmixed, [&](const Row&) { return mixed; });
    }
    if (rules.min_reward) keep_if(counts.below, [&](const Row& row) { return row.reward && *row.reward >= *rules.min_reward; });
    if (rules.dedupe) {
      std::set<std::string> seen;
      keep_if(counts.equal,
              [&](const Row& row) { return seen.insert(get_string(rows[row.index], "completion", row_name(file, row.index))).second; });
    }
    if (rules.per_prompt > 0 && std::ssize(of_prompt) > rules.per_prompt) {
      std::ranges::stable_sort(of_prompt, [](const Row& a, const Row& b) {
        return a.reward.has_value() != b.reward.has_value() ? a.reward.has_value() : a.reward && *a.reward > *b.reward;
      });
      counts.beyond += std::ssize(of_prompt) - rules.per_prompt;
      of_prompt.resize(static_cast<size_t>(rules.per_prompt));
    }
    for (const Row& row : of_prompt) kept.push_back(row.index);
  }
  std::ranges::sort(kept);
  counts.kept = std::ssize(kept);
  std::vector<Json> out;
  for (size_t index : kept) out.push_back(std::move(rows[index]));
  return out;
}

std::vector<Json> merge_rows(const std::vector<std::filesystem::path>& files, const MergeRules& rules) {
  std::vector<Json> rows;
  for (const std::filesystem::path& file : files) std::ranges::move(read_rows(file), std::back_inserter(rows));
  if (rules.shuffle) {
    Random random(*rules.shuffle, Stream::kShuffle);
    for (size_t i = rows.size(); i > 1; --i)
      std::swap(rows[i - 1], rows[static_cast<size_t>(random.between(0, static_cast<int64_t>(i) - 1))]);
  }
  if (rules.max_rows > 0 && std::ssize(rows) > rules.max_rows) rows.resize(static_cast<size_t>(rules.max_rows));
  return rows;
}

}  // namespace cohort

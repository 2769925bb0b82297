// Filtering and merging rows of JSONL.
#include "pipeline/rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/check.h"
#include "core/files.h"
#include "core/scratch_folder.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

Json row(const std::string& id, const std::string& completion, const Json& reward, const std::string& end = "stop") {
  return {{"id", id}, {"completion", completion}, {"reward", reward}, {"finish_reason", end}};
}

std::vector<std::string> completions(const std::vector<Json>& rows) {
  std::vector<std::string> texts;
  for (const Json& row : rows) texts.push_back(row["completion"]);
  return texts;
}

using Texts = std::vector<std::string>;

TEST(PipelineRows, EachRuleOfAFilter) {
  const std::vector<Json> rows{row("p", "a", 1.0), row("q", "b", 0.5), row("p", "a", 1.0), row("p", "c", 0.0, "length"),
                               row("q", "d", 0.5), row("r", "e", nullptr), row("p", "f", 0.25), row("r", "g", 0)};
  const auto filter = [&](FilterRules rules) {
    FilterCounts counts;
    const std::vector<Json> kept = filter_rows(rows, rules, "x.jsonl", counts);
    EXPECT_EQ(counts.rows, 8);
    EXPECT_EQ(counts.prompts, 3);
    EXPECT_EQ(counts.kept, std::ssize(kept));
    EXPECT_EQ(counts.kept + counts.unfinished + counts.unmixed + counts.below + counts.equal + counts.beyond, 8);
    return completions(kept);
  };
  EXPECT_EQ(filter({.finished = true}), (Texts{"a", "b", "a", "d", "e", "f", "g"}));
  EXPECT_EQ(filter({.min_reward = 0.5}), (Texts{"a", "b", "a", "d"}));
  FilterCounts counts;
  filter_rows({row("p", "", 1.0), row("p", std::string("a\0b", 3), 1.0), row("p", "c", 1.0)}, {.finished = true}, "x.jsonl", counts);
  EXPECT_EQ(counts.unfinished, 2) << "what fine-tuning would refuse";
  EXPECT_EQ(filter({.mixed = true}), (Texts{"a", "a", "c", "f"})) << "of 'r' one completion alone has a score";
  EXPECT_EQ(filter({.dedupe = true}), (Texts{"a", "b", "c", "d", "e", "f", "g"}));
  EXPECT_EQ(filter({.per_prompt = 1}), (Texts{"a", "b", "g"})) << "any score beats none";
  EXPECT_EQ(filter({.dedupe = true, .per_prompt = 2}), (Texts{"a", "b", "d", "e", "f", "g"}));
  EXPECT_EQ(filter({.finished = true, .min_reward = 0.2, .mixed = true, .dedupe = true, .per_prompt = 5}), (Texts{"a", "f"}));
}

// As in dynamic sampling, where a score that is missing is neither another one nor the same.
TEST(PipelineRows, MissingScoresMakeNoPromptMixed) {
  const auto kept = [](const std::vector<Json>& rewards) {
    std::vector<Json> rows;
    for (const Json& reward : rewards) rows.push_back(row("p", "a", reward));
    FilterCounts counts;
    const int64_t left = std::ssize(filter_rows(rows, {.mixed = true}, "x.jsonl", counts));
    EXPECT_EQ(left + counts.unmixed, std::ssize(rows));
    return left;
  };
  EXPECT_EQ(kept({1.0, 1.0, nullptr, 1.0}), 0);
  EXPECT_EQ(kept({nullptr, 1.0, 1.0}), 0);
  EXPECT_EQ(kept({nullptr, nullptr}), 0);
  EXPECT_EQ(kept({nullptr, 1.0, 0.0}), 3) << "the rule is of prompts, and keeps all rows of one";
  EXPECT_EQ(kept({0.0, nullptr, 1.0}), 3);
}

TEST(PipelineRows, AFilterSaysWhatItLeftOut) {
  FilterCounts counts;
  filter_rows({row("p", "a", 1.0), row("p", "b", 0.0), row("q", "c", 1.0, "length")}, {.finished = true, .min_reward = 0.5}, "x", counts);
  EXPECT_EQ(counts.text(), "1 of 3 rows of 2 prompts; left out: 1 unfinished, empty or with a NUL, 1 below min_reward");
}

TEST(PipelineRows, PromptsAreToldApartByIdAndPrompt) {
  FilterCounts counts;
  const std::vector<Json> rows{{{"prompt", "x"}, {"completion", "a"}, {"reward", 1}},
                               {{"prompt", {{{"role", "user"}, {"content", "x"}}}}, {"completion", "b"}, {"reward", 1}},
                               {{"prompt", "x"}, {"completion", "c"}, {"reward", 2}},
                               {{"id", 1}, {"prompt", "x"}, {"completion", "d"}, {"reward", 1}},
                               {{"id", "1"}, {"prompt", "x"}, {"completion", "e"}, {"reward", 1}},
                               {{"id", "1"}, {"prompt", "y"}, {"completion", "f"}, {"reward", 1}}};
  EXPECT_EQ(completions(filter_rows(rows, {.per_prompt = 1}, "x", counts)), (Texts{"b", "c", "d", "e", "f"})) << "ids of two files may be the same";
}

TEST(PipelineRows, AFilterRefusesRowsWithoutWhatARuleAsksFor) {
  FilterCounts counts;
  const auto filter = [&](Json bad, FilterRules rules) { return filter_rows({row("p", "a", 1), std::move(bad)}, rules, "x.jsonl", counts); };
  EXPECT_ERROR(filter({{"completion", "a"}}, {.dedupe = true}), kInput, "x.jsonl, row 2: neither 'id' nor 'prompt'");
  EXPECT_ERROR(filter({{"id", "p"}}, {.dedupe = true}), kInput, "completion");
  EXPECT_ERROR(filter({{"id", "p"}}, {.min_reward = 1.0}), kInput, "x.jsonl, row 2: no 'reward', a number or null");
  EXPECT_ERROR(filter({{"id", "p"}, {"reward", "high"}}, {.mixed = true}), kInput, "no 'reward'");
  EXPECT_ERROR(filter({{"id", "p"}}, {.finished = true}), kInput, "finish_reason");
}

TEST(PipelineRows, MergesInOrderOrShuffledByASeed) {
  const ScratchFolder folder;
  const std::filesystem::path a = folder.path() / "a.jsonl", b = folder.path() / "b.jsonl";
  std::string text;
  for (int i = 0; i < 20; ++i) text += fmt::format("{{\"n\": {}}}\r\n\n", i);
  write_file_atomic(a, text);
  write_file_atomic(b, "{\"n\": 20}");
  const auto numbers = [&](MergeRules rules) {
    std::vector<int> n;
    for (const Json& row : merge_rows({a, b}, rules)) n.push_back(row["n"]);
    return n;
  };
  std::vector<int> all(21);
  for (int i = 0; i < 21; ++i) all[static_cast<size_t>(i)] = i;
  EXPECT_EQ(numbers({}), all);
  EXPECT_EQ(numbers({.max_rows = 3}), (std::vector<int>{0, 1, 2}));
  const std::vector<int> shuffled = numbers({.shuffle = 5});
  EXPECT_EQ(numbers({.shuffle = 5}), shuffled);
  EXPECT_NE(shuffled, all);
  EXPECT_NE(numbers({.shuffle = 6}), shuffled);
  EXPECT_TRUE(std::is_permutation(shuffled.begin(), shuffled.end(), all.begin()));
  EXPECT_EQ(numbers({.shuffle = 5, .max_rows = 4}), std::vector<int>(shuffled.begin(), shuffled.begin() + 4));
}

TEST(PipelineRows, ReadingNamesTheLine) {
  const ScratchFolder folder;
  const std::filesystem::path file = folder.path() / "bad.jsonl";
  write_file_atomic(file, "{}\n\n[1]\n");
  EXPECT_ERROR(read_rows(file), kInput, "bad.jsonl:3: a row is an object with a completion, found array");
  write_file_atomic(file, "{}\n{\n");
  EXPECT_ERROR(read_rows(file), kInput, "bad.jsonl:2");
  EXPECT_ERROR(read_rows(folder.path() / "none.jsonl"), kInput, "none.jsonl");
}

}  // namespace
}  // namespace cohort

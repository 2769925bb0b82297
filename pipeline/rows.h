// The stages of a pipeline that are about rows of JSONL alone: which go on, and in which order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "pipeline/plan.h"

namespace cohort {

// The rows of a file (trainer/jsonl_rows.h), which several may be of one id.
std::vector<Json> read_rows(const std::filesystem::path& file);
std::string rows_text(const std::vector<Json>& rows);

// What a filter left out, by rule, in their order.
struct FilterCounts {
  int64_t rows = 0, prompts = 0, unfinished = 0, unmixed = 0, below = 0, equal = 0, beyond = 0, kept = 0;
  std::string text() const;  // "12 of 64 rows of 8 prompts; left out: 30 below min_reward, ..."
};
// `file` leads the messages (exit code 3) about rows that lack what a rule asks for: 'completion', 'reward', 'finish_reason', and
// 'id' or 'prompt', by which rows are of one prompt. The rows that are left keep their order.
std::vector<Json> filter_rows(std::vector<Json> rows, const FilterRules& rules, const std::string& file, FilterCounts& counts);

// Files one after the other, or, with a seed, all rows in an order that is a pure function of it.
std::vector<Json> merge_rows(const std::vector<std::filesystem::path>& files, const MergeRules& rules);

}  // namespace cohort

// A row of what a `sample` stage leaves: the problem as its file had it, and what came of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "trainer/dataset.h"
#include "trainer/evaluate.h"

namespace cohort {

// What fine-tuning learns from, and rewards score.
Json sampled_row(const EvalResult& result, const Problem& problem, size_t i, const std::vector<RewardSpec>& rewards);

// Whether the row has all that a stage adds: one that sampled, so that another one may replace it.
bool was_sampled(const Json& columns);

// Columns of the data with names of a sampled row's own would be lost: exit code 3, naming `file`, problem and column. Rows that were sampled
// before are taken again, with what comes of them now. `named`: the data have several sources, whose name is the row's `set`.
void check_own_columns(std::span<const Problem> problems, const std::string& file, bool named);
// Of all problems of a data set.
void check_own_columns(const Dataset& data);

}  // namespace cohort

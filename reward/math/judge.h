// The whole check: a completion and a gold answer in, a verdict out.
#pragma once

#include <string_view>

#include "reward/math/compare.h"
#include "reward/verdict.h"

namespace cohort::math {

struct JudgeOptions {
  bool flexible = true;  // also the last formula or number counts as the answer (extract.h)
  CompareOptions compare;
};

// 1: the answer of `completion` is `gold`; 0: it is not, there is none, it cannot be read or the budgets do not suffice
// to tell; nothing: the gold is empty or cannot be read. A pure function, safe on several threads, bounded in time and
// memory (budget.h) but for the one pass that looks for the answer.
Verdict judge(std::string_view completion, std::string_view gold, const JudgeOptions& options);

// The same for an answer by itself, without extraction.
Verdict judge_answer(std::string_view answer, std::string_view gold, const JudgeOptions& options);

}  // namespace cohort::math

// What evaluations found, as a table for people.
#pragma once

#include <string>
#include <vector>

#include "trainer/grpo.h"

namespace cohort {

// A row for each set and metric that is a part of problems (accuracy, pass@k, maj@k), a column for each stage; with 95 % intervals.
// Nothing was measured: an empty text.
std::string eval_table(const std::vector<EvalStage>& stages);

}  // namespace cohort

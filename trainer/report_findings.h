// What is remarkable about a run's metrics, each with what to change.
#pragma once

#include <cstdint>
#include <map>

#include "core/json.h"

namespace cohort {

// [{"step": where it begins, "text"}], in the order of the rules.
Json report_findings(const std::map<int64_t, Json>& steps);

}  // namespace cohort

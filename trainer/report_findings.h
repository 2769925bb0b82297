// What is remarkable about a run's metrics, each with what to change: what the run itself warns of (trainer/metric_warnings.h), and scores that
// are missing.
#pragma once

#include <cstdint>
#include <map>

#include "core/json.h"

namespace cohort {

// [{"step", "text"}]: warnings in the order of their steps.
Json report_findings(const std::map<int64_t, Json>& steps);

}  // namespace cohort

// Elements of a table by where a store on the CPU has them: what ranks send each other as it lies, and what they lay out for that.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/policy.h"

namespace cohort {

struct StoredSpan {
  std::vector<std::span<std::byte>> in_place;  // memory of these elements alone, the same bytes in every process of a program: whole panels, in order
  std::vector<ParamSpan> rest;                 // all other elements of the span, gaps too
};

StoredSpan stored_span(WeightStore& store, ParamSpan span);

}  // namespace cohort

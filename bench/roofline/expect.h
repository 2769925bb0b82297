// The page of expected times, docs/gpu_roofline.md, and what it adds up to.
#pragma once

#include <span>
#include <string>

#include "bench/roofline/limits.h"
#include "bench/roofline/steps.h"

namespace cohort::roofline {

// Of a list of ops, all `times` of each.
struct Total {
  double us = 0, work_us = 0;  // as Bound's
  Sums sums;
};
Total total_of(std::span<const Op> ops, const Limits& limits);

// What a decode step cannot do without, however it is computed: all weights and all keys and values that are there, read once.
double decode_bytes(const Shape& shape);

struct Expected {
  double decode_us, decode_work_us, decode_floor_us;  // a step; without launches; memory for decode_bytes alone
  double update_us, update_work_us;                   // all passes and the optimizer
  double decode_tokens, update_tokens;                // of a step, of an update
};
Expected expected(const Shape& shape, const Limits& limits);

// What an op works on: "4160 x 896", "4160 x 896 -> 1152", "8 x (64 + 512), 14 heads on 2 of 64", ...
std::string shape_text(const Op& op);
// A product's: "qkv forward"; else the op's, "swiglu backward".
std::string op_text(const Op& op);

// What tells ops apart, but for how often they are done.
std::string op_key(const Op& op);
// Each op once, in the order of their first places, `times` added up.
std::vector<Op> merged(const std::vector<Op>& ops);

std::string roofline_page();

}  // namespace cohort::roofline

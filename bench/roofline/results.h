// What each op gives on fixed inputs of the tiny shape: kept of the emulator (tests/emulated/op_results.json), so that a GPU's can
// be compared with them.
#pragma once

#include <string>
#include <vector>

#include "bench/roofline/measure.h"
#include "core/json.h"

namespace cohort::roofline {

// The ops of all lists of a shape, each once.
std::vector<Op> all_ops(const Shape& shape);

// {op: {output: {"dtype", "numbers", "rms", "along", "some": [...]}}}: the root mean square, the sum along random signs, and some
// of the numbers; integers as they are.
Json results_of(const Shape& shape, cuda::Stream stream, cuda::Products& products);

struct Difference {
  std::string output;  // "op, output"
  double largest;      // of |got - wanted| / tolerance: good to 1
};
// Every output of `wanted`, and those that only one of the two has as infinitely different. Integers and copies must be equal; else
// the tolerance is a few roundings of what is rounded on the way, of the number's size or of the root mean square.
std::vector<Difference> differences(const Json& got, const Json& wanted);

}  // namespace cohort::roofline

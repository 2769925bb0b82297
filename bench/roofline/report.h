// Measurements as lines of JSON and as Markdown.
#pragma once

#include <functional>
#include <string>

#include "bench/roofline/measure.h"
#include "core/json.h"

namespace cohort::roofline {

constexpr double kWantedShare = 0.7;  // of its bound, for each hot kernel

Json limits_json(const Limits& limits);
std::string limits_text(const Limits& limits);

struct Report {
  std::string markdown;
};
// Measures every list of the shape; line(json) as soon as an op, or a step's sum, is known:
//   {"shape", "step", "op", "on", "times", "us", "us_fast", "gb_s", "tflop_s", "bound_us", "bound_by", "share", "below"}
//   {"shape", "step", "us", "us_fast", "bound_us", "launches", "products"}: all ops of the step, `times` of each
//   {"shape", "step", "op", "left_out"}: why an op was not measured; its step then has no sum
Report measure_shape(const Shape& shape, Meter& meter, const std::function<void(const Json&)>& line);

}  // namespace cohort::roofline

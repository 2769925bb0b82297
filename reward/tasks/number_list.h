// Lists of numbers as number_sorting reads them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace cohort::tasks {

// [float(x) for x in json.loads(text.replace("'", '"'))], with Python's JSON (NaN and Infinity are numbers); nothing where
// that raises, and for lists that hold anything but numbers and texts of numbers.
std::optional<std::vector<double>> parse_number_list(std::string_view text);

}  // namespace cohort::tasks

// Runs a parsed template over its variables.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/text/jinja_ast.h"

namespace cohort::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

// now: what strftime_now prints; without it a template that asks for the time is refused.
// Errors, budgets among them: exit code 3, "WHERE:LINE: what".
std::string run_template(const Block& block, const Variables& variables, std::string_view where,
                         const std::tm* now);

}  // namespace cohort::jinja

// Data of a report as they stand in its page: written and measured by one rule, so that a limit is one of the page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace cohort {

// JSON for an HTML script element: "<" as an escape of JSON, six bytes.
std::string script_safe(std::string_view json);
// Bytes of script_safe(dump_json(value)).
int64_t bytes_in_page(const Json& value);
// Up to `count` of `size` places, evenly, the first and the last among them; of one place it is the last.
std::vector<size_t> evenly(size_t size, size_t count);

}  // namespace cohort

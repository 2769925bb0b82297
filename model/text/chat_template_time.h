// The time that a chat template prints (strftime_now): given by the caller, never asked for inside.
#pragma once

#include <ctime>
#include <string_view>

namespace cohort {

// "2026-01-31" or "2026-01-31T09:30:00", years 1000 to 9999. `where` names the option or key in the
// message; exit code 2 for anything else.
std::tm parse_iso_time(std::string_view text, std::string_view where);

std::tm local_time_now();

}  // namespace cohort

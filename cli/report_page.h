// The report's page: its parts (cli/report/) and data in one HTML text.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace cohort {

// The files of cli/report, compiled in (report/assets.cpp.in).
struct ReportAssets {
  std::string_view page, style, charts, script;
};
const ReportAssets& report_assets();

// `data` as report_data gives it. Its texts are the model's: none of them can end the element that holds it, or be run.
std::string report_page(const Json& data);

}  // namespace cohort

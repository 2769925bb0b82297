#include "cli/report_page.h"

#include "core/check.h"
#include "trainer/report_bytes.h"

namespace cohort {
namespace {

void put(std::string& page, std::string_view name, std::string_view text) {
  const size_t at = page.find(name);
  CHECK(at != std::string::npos, "the report's page has no place {}", name);
  page.replace(at, name.size(), text);
}

}  // namespace

std::string report_page(const Json& data) {
  const ReportAssets& assets = report_assets();
  std::string page(assets.page);
  put(page, "@CONNECT@", data.contains("live") ? "; connect-src 'self'" : "");  // cohort watch: it asks for newer data
  put(page, "@STYLE@", assets.style);
  put(page, "@CHARTS@", assets.charts);
  put(page, "@SCRIPT@", assets.script);
  put(page, "@DATA@", script_safe(dump_json(data)));  // last: nothing is looked for in it
  return page;
}

}  // namespace cohort

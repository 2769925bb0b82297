#include "trainer/run_events.h"

#include <fmt/chrono.h>

#include <ctime>

#include "core/files.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

fs::path file_of(const fs::path& run) { return run / "events.jsonl"; }

RunEvent parse_event(const std::string& line, const std::string& where) {
  const Json event = parse_json(line, where);
  return {.step = get_int(event, "step", where, 0, INT64_MAX), .kind = get_string(event, "event", where), .text = get_string(event, "text", where),
          .cause = get_string_or(event, "cause", where, "")};
}

}  // namespace

void append_run_event(const fs::path& run, const RunEvent& event) {
  Json line = {{"step", event.step}, {"event", event.kind}, {"text", event.text}};
  if (!event.cause.empty()) line["cause"] = event.cause;
  line["time"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  append_file(file_of(run), dump_json(line) + "\n");
}

std::vector<RunEvent> read_run_events(const fs::path& run) {
  std::vector<RunEvent> events;
  if (!fs::exists(file_of(run))) return events;
  for (const std::string& line : read_whole_lines(file_of(run)))
    events.push_back(parse_event(line, fmt::format("{}:{}", file_of(run).string(), events.size() + 1)));
  return events;
}

std::string drop_run_events_after(const fs::path& run, int64_t step) {
  return truncate_lines(file_of(run), [&](const std::string& line, const std::string& where) {
    const RunEvent event = parse_event(line, where);
    return event.step <= step || event.kind == "start";
  });
}

}  // namespace cohort

#include "cli/watch_page.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/report_page.h"
#include "core/check.h"
#include "core/files.h"
#include "trainer/report_data.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kBetweenLooks{1};
constexpr std::string_view kText = "text/plain; charset=utf-8";

// In a time that tells nothing about how much of it is right.
bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char different = 0;
  for (size_t i = 0; i < a.size(); ++i) different = static_cast<unsigned char>(different | (a[i] ^ b[i]));
  return different == 0;
}

// Any port: it may be that of a tunnel (ssh -L).
bool is_this_machine(std::string_view host) {
  for (const std::string_view name : {"127.0.0.1", "localhost", "[::1]"}) {
    if (!host.starts_with(name)) continue;
    const std::string_view rest = host.substr(name.size());
    if (rest.empty()) return true;
    if (rest.front() == ':' && rest.size() > 1 && rest.size() <= 6 && rest.find_first_not_of("0123456789", 1) == std::string_view::npos) return true;
  }
  return false;
}

// Why a run cannot be shown yet; "" when it can.
std::string missing(const fs::path& run) {
  if (!fs::exists(run)) return "is not there yet";
  if (!fs::exists(run / "config.yaml")) return "has no config.yaml yet";
  if (!fs::exists(run / "metrics.jsonl") || read_whole_lines(run / "metrics.jsonl").empty()) return "has done no step yet";
  return "";
}

}  // namespace

// Size and time of what a report reads. Folders: files in them are written beside their place and renamed.
std::string WatchedRuns::look() const {
  std::string seen;
  for (const fs::path& run : runs_) {
    for (const char* name : {"", "config.yaml", "metrics.jsonl", "events.jsonl", "completions", "checkpoints", "final"}) {
      struct stat status {};
      if (stat((run / name).c_str(), &status) == 0)
        seen += fmt::format("{}.{:09} {} ", status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size);
      seen += "| ";
    }
  }
  return seen;
}

Json WatchedRuns::read() const {
  Json data = {{"runs", Json::array()}};
  std::string waiting;
  try {
    std::vector<fs::path> ready;
    for (const fs::path& run : runs_) {
      if (const std::string reason = missing(run); reason.empty()) ready.push_back(run);
      else waiting += fmt::format("{}{} {}", waiting.empty() ? "" : "; ", run.string(), reason);
    }
    if (!ready.empty()) data = report_data(ready);
  } catch (const std::exception& error) {  // a file that is damaged, or was taken away while it was read: the next look may find it whole
    waiting += fmt::format("{}{}", waiting.empty() ? "" : "; ", error.what());
  }
  data["live"] = true;
  data["waiting"] = waiting;
  return data;
}

WatchedRuns::State WatchedRuns::state() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (!state_.version.empty() && now - looked_ < kBetweenLooks) return state_;
  std::string seen = look();  // before reading: what changes meanwhile is seen next time
  looked_ = now;
  if (!state_.version.empty() && seen == seen_) return state_;
  state_ = {.data = read(), .version = std::to_string(++versions_)};
  state_.data["version"] = state_.version;
  seen_ = std::move(seen);
  looked_ = std::chrono::steady_clock::now();
  return state_;
}

WatchAnswer watch_answer(const WatchRequest& request, const std::string& token, WatchedRuns& runs) {
  if (request.hosts.size() != 1 || !is_this_machine(request.hosts.front()))
    return {403, std::string(kText), "403: the Host header must name 127.0.0.1 or localhost\n"};
  if (!request.token || !same_secret(*request.token, token))
    return {403, std::string(kText), "403: this address needs the token that cohort watch has printed: http://127.0.0.1:PORT/?token=...\n"};
  if (request.method != "GET") return {405, std::string(kText), "405: only GET\n"};
  if (request.path == "/") return {200, "text/html; charset=utf-8", report_page(runs.state().data)};
  if (request.path == "/data") {
    const WatchedRuns::State state = runs.state();
    if (request.have == state.version) return {204, "", ""};
    return {200, "application/json", dump_json(state.data)};
  }
  return {404, std::string(kText), "404: there is nothing but / and /data\n"};
}

std::string random_token() {
  std::array<unsigned char, 16> bytes{};
  CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "getrandom gave no {} bytes", bytes.size());
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

}  // namespace cohort

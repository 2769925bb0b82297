#include "core/trace.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "core/files.h"

namespace cohort {
namespace {

constexpr std::string_view kEnd = "\n]\n";
constexpr size_t kNotHeld = SIZE_MAX;

}  // namespace

Trace::Trace(int rank, size_t max_spans)
    : rank_(rank), max_spans_(max_spans), origin_(Clock::now()),
      origin_wall_ns_(std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::system_clock::now().time_since_epoch()).count()) {}

// A slot is taken at the beginning, so that of nested spans the outer ones are held when not all can be.
size_t Trace::open(const char* name) {
  ++open_;
  if (events_.size() >= max_spans_) {
    ++lost_;
    return kNotHeld;
  }
  events_.push_back({name, now(), 0});
  return events_.size() - 1;
}

void Trace::close(size_t slot) {
  --open_;
  if (slot != kNotHeld) events_[slot].end_ns = now();
}

std::string Trace::take() {
  CHECK(open_ == 0, "a trace is taken while {} of its spans are open", open_);
  std::string text;
  const auto separate = [&] { text += text.empty() ? "" : ",\n"; };
  for (const Event& event : events_) {
    separate();
    // Both ends are rounded alike, so that a span never sticks out of the one around it.
    const int64_t start = (origin_wall_ns_ + event.start_ns) / 1000, end = (origin_wall_ns_ + event.end_ns) / 1000;
    text += fmt::format(R"({{"name": "{}", "ph": "X", "ts": {}, "dur": {}, "pid": {}, "tid": 0}})", event.name, start, end - start,
                        rank_);
  }
  if (lost_ > 0) {
    separate();
    text += fmt::format(R"({{"name": "{} more spans, not held", "ph": "i", "s": "p", "ts": {}, "pid": {}, "tid": 0}})", lost_,
                        (origin_wall_ns_ + now()) / 1000, rank_);
  }
  events_.clear();
  lost_ = 0;
  return text;
}

TraceFile::TraceFile(std::filesystem::path path, size_t max_bytes) : path_(std::move(path)), max_bytes_(max_bytes) {
  if (!std::filesystem::exists(path_)) return;
  const std::string text = read_file(path_);
  if (text.starts_with("[\n") && text.ends_with(kEnd)) size_ = text.size() - kEnd.size();
}

bool TraceFile::append(const std::string& events) {
  if (events.empty()) return true;
  const std::string text = (size_ == 0 ? "[\n" : ",\n") + events;
  full_ = full_ || size_ + text.size() + kEnd.size() > max_bytes_;
  if (full_) return false;
  const std::string bytes = text + std::string(kEnd);
  const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (size_ == 0 ? O_TRUNC : 0), 0644);
  // One write over the old end: a reader sees a whole array before and after.
  const ssize_t written = file < 0 ? -1 : pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(size_));
  const int error = written < 0 ? errno : ENOSPC;
  if (file >= 0) close(file);
  if (written != static_cast<ssize_t>(bytes.size())) {
    fail(error == ENOSPC ? ExitCode::kResources : ExitCode::kInput, "{}: cannot write the trace: {}; log.trace: false leaves it out",
         path_.string(), std::strerror(error));
  }
  size_ += text.size();
  return true;
}

}  // namespace cohort

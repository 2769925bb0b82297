// Trace: when the parts of a run began and ended, as a Chrome trace (Perfetto and chrome://tracing open it).
//
// A rank collects its spans in memory; once a step they are taken as text and appended to one file of all ranks, which is
// a whole JSON array after every append. Times are microseconds of the wall clock, so that ranks on several hosts, and a
// run and its resumption, stand in order.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace cohort {

// The spans of one rank. One thread only.
class Trace {
 public:
  static constexpr size_t kMaxSpans = size_t{1} << 16;

  // `max_spans`: how many are held between two calls of take; later ones are counted, not held.
  explicit Trace(int rank, size_t max_spans = kMaxSpans);

  // The spans since the last call as complete events {"name", "ph": "X", "ts", "dur", "pid": rank, "tid": 0}, separated by
  // ",\n", and forgets them; "" when there are none. Where spans were not held, one more event names how many. No span may
  // be open (exit code 1).
  std::string take();

 private:
  friend class Span;
  using Clock = std::chrono::steady_clock;
  struct Event {
    const char* name;
    int64_t start_ns, end_ns;
  };
  size_t open(const char* name);
  void close(size_t slot);
  int64_t now() const { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - origin_).count(); }

  int rank_;
  size_t max_spans_, open_ = 0, lost_ = 0;
  Clock::time_point origin_;
  int64_t origin_wall_ns_;
  std::vector<Event> events_;
};

// A part of the run, from construction to destruction. Without a trace it costs one branch.
class Span {
 public:
  // `name` must outlive the trace: a literal.
  Span(Trace* trace, const char* name) : trace_(trace) {
    if (trace_ != nullptr) slot_ = trace_->open(name);
  }
  ~Span() {
    if (trace_ != nullptr) trace_->close(slot_);
  }
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  Trace* trace_;
  size_t slot_ = 0;
};

class TraceFile {
 public:
  static constexpr size_t kMaxBytes = size_t{256} << 20;

  // Goes on with the file that an earlier part of the run left; one that ends in the middle of an event is begun anew.
  explicit TraceFile(std::filesystem::path path, size_t max_bytes = kMaxBytes);

  // Adds events (of Trace::take). False when the file would grow beyond max_bytes: then nothing is written, now or later.
  // Out of space: exit code 6; other failures: 3.
  bool append(const std::string& events);

 private:
  std::filesystem::path path_;
  size_t max_bytes_, size_ = 0;  // size_: without the end of the array
  bool full_ = false;
};

}  // namespace cohort

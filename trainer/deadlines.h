// How long the sections of a run may take (comm.*_timeout_s), and how long ranks wait for each other after them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

#include "comm/comm.h"
#include "trainer/config.h"

namespace cohort {

inline std::chrono::milliseconds in_ms(double seconds) { return std::chrono::milliseconds(static_cast<int64_t>(std::ceil(1000 * seconds))); }

// For a watchdog over what keeps a deadline of its own: it comes a little later.
inline double with_grace(double timeout_s) { return timeout_s + std::clamp(0.2 * timeout_s, 1.0, 60.0); }

// Where ranks meet after work that may lawfully take each of them `work_s`, one may come that much later than another. One that
// never comes has a deadline of its own, and its watchdog or supervisor keeps it.
inline double meeting_timeout(const Config& config, double work_s) { return config.comm.timeout_s + work_s; }
// Sampling and scoring.
inline double rollout_meeting_timeout(const Config& config) {
  return meeting_timeout(config, config.comm.rollout_timeout_s + config.comm.reward_timeout_s);
}

// Gives the collectives of its lifetime that long; then comm.timeout_s again. They do not nest.
class MeetingDeadline {
 public:
  MeetingDeadline(Comm& comm, const Config& config, double timeout_s) : comm_(comm), usual_(in_ms(config.comm.timeout_s)) {
    comm_.set_deadline(in_ms(timeout_s));
  }
  ~MeetingDeadline() { comm_.set_deadline(usual_); }
  MeetingDeadline(const MeetingDeadline&) = delete;
  MeetingDeadline& operator=(const MeetingDeadline&) = delete;

 private:
  Comm& comm_;
  std::chrono::milliseconds usual_;
};

}  // namespace cohort

// What a run tells its front end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/metrics.h"

namespace cohort {

// Called on rank 0 only, while a run goes on. Every method may do nothing.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  virtual void message(const std::string&) {}                         // "resuming from step 20", ...
  virtual void warning(const std::string&) {}                         // "step 7: reward 'code': ...", never to be kept back
  virtual void stage(const std::string& /*name*/, int64_t /*done*/, int64_t /*total*/) {}  // evaluation, warm start, loading
  virtual void section(const std::string& /*name*/, int64_t /*step*/) {}  // what a step does now: rollout, reward, update, ...
  virtual void step(int64_t /*step*/, int64_t /*max_steps*/, const Metrics&) {}
  // What was warned of before the run began: it stands in the run's events too.
  std::vector<std::string> start_warnings;
};

}  // namespace cohort

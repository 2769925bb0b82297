// Overlap: with rollout.staleness 1 the next step's completions are sampled while this step's are learnt from. For that sampling has a
// copy of the weights as they were when it began, and threads of its own. Which threads do what changes no bit.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "model/exec.h"
#include "model/policy.h"
#include "trainer/experience.h"

namespace cohort {

// Of a rank's threads, those that sample; the others train. Sampling takes longer as a rule, and gets the odd one. With one thread
// both have one, and share its core.
inline int sampling_threads(int threads) { return (threads + 1) / 2; }
inline int training_threads(int threads) { return threads > 1 ? threads / 2 : 1; }

class Overlap {
 public:
  // The copy has the policy's weights; `ex` are the rank's threads. Threads that the system refuses: exit code 6.
  Overlap(const Policy& policy, const Exec& ex);
  // Work that is under way is cancelled and waited for.
  ~Overlap();
  Overlap(const Overlap&) = delete;
  Overlap& operator=(const Overlap&) = delete;

  const Policy& policy() const { return *copy_; }  // that samples
  const Exec& sampling() const { return sampling_; }
  // The threads for all other work: all of the rank's while nothing is sampled beside it.
  Exec training() const;

  // What runs beside the calling thread. It says what it is at, and looks now and then whether it is to be left.
  using Stage = ExperienceMaker::Stage;
  using Work = std::function<void(const std::function<void(Stage)>& entering, const std::function<bool()>& cancelled)>;
  // Takes the policy's weights as they are now and begins; what was begun before has been waited for.
  void begin(const Policy& policy, Work work);
  bool begun() const { return thread_.joinable(); }
  // Waits for what was begun, if anything was, and throws what it threw. waiting(stage) is called when that is what is waited for.
  void wait(const std::function<void(Stage)>& waiting);

 private:
  bool busy() const;

  Exec whole_;
  std::unique_ptr<Policy> copy_;
  std::optional<ExecOwner> sampling_owner_;
  std::unique_ptr<ThreadPool> training_pool_;
  Exec sampling_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Stage stage_ = Stage::sampling;
  bool done_ = true, cancelled_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace cohort

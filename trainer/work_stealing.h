// WorkStealing: while all ranks sample, those that have room and nothing left to begin take requests that others have not begun
// (Blumofe and Leiserson 1999; half of what the victim has, Hendler and Shavit 2002). Each begins with its own share, so that
// nothing moves where nothing has to.
//
// Who has nothing left to begin says so to everybody, once: what it steals it begins itself. So each rank knows when no more will
// come, without a rank that counts. Messages are answered between passes.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "comm/comm.h"

namespace cohort {

class WorkStealing {
 public:
  // One call of the generators of all ranks. `waits(true)` is called before this rank waits for others with nothing to do,
  // `waits(false)` when it has got something.
  WorkStealing(Comm& comm, std::function<void(bool)> waits);

  // RequestShare::exchange, for requests that mean the same on every rank.
  bool exchange(std::deque<size_t>& waiting, size_t movable, size_t room, bool idle);

  int64_t stolen() const { return stolen_; }  // requests that this rank has taken from others
  // How many messages went to each rank. When a call is over each rank is told those to it, sent[r] by rank r, and takes in
  // what nobody needs any more.
  std::span<const int64_t> sent() const { return sent_; }
  void finish(std::span<const int64_t> sent);

 private:
  enum class Kind : uint32_t { ask, give, nothing_left };
  void post(int to, Kind kind, std::span<const uint32_t> numbers);
  void take(const Comm::Message& message, std::deque<size_t>& waiting, size_t& movable);
  void give(int to, size_t room, std::deque<size_t>& waiting, size_t& movable);
  void ask(size_t room);
  std::vector<int> others_with_work() const;

  Comm& comm_;
  std::function<void(bool)> waits_;
  std::vector<bool> nothing_left_;  // of each rank
  int victim_;                      // that was asked last
  bool asked_ = false;              // and has not answered
  int64_t stolen_ = 0;
  std::vector<int64_t> sent_, received_;  // messages to and from each rank
};

}  // namespace cohort

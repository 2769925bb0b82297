// MpiTransfers: messages under way that are polled against a deadline, since no MPI call has one.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/pace.h"

namespace cohort {

class MpiTransfers {
 public:
  using Clock = std::chrono::steady_clock;

  // At most `max_message` bytes in one message (>= 1, fits an int); longer spans are cut.
  MpiTransfers(MPI_Comm comm, int64_t max_message) : comm_(comm), max_message_(max_message) {}
  // Cancels what can be cancelled. What cannot may still be read or written by later calls into
  // MPI.
  ~MpiTransfers();
  MpiTransfers(const MpiTransfers&) = delete;
  MpiTransfers& operator=(const MpiTransfers&) = delete;

  // Start transfers; the spans must stay until wait() returns true. Both sides give the same
  // length; empty: no message. Spans of one pair of ranks with one tag arrive in the order in which
  // they were sent.
  void send(std::span<const std::byte> data, int peer, int tag);
  void receive(std::span<std::byte> data, int peer, int tag);
  void broadcast(std::span<std::byte> data, int root);

  // Polls until everything has arrived (true) or `deadline` has passed (false).
  bool wait(Clock::time_point deadline, Pace pace);

  // After wait() returned false: the peers (for a broadcast: its root) of what is not done,
  // ascending, each once.
  std::vector<int> unfinished();

 private:
  MPI_Comm comm_;
  int64_t max_message_;
  std::vector<MPI_Request> requests_;
  struct Side {
    int peer;
    bool receives;
  };
  std::vector<Side> sides_;  // of each request
};

}  // namespace cohort

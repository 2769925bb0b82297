// MpiMessages: small messages between two ranks, outside collectives, that arrive while the receiver computes.
#pragma once

#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "comm/comm.h"

namespace cohort {

class MpiMessages {
 public:
  using Clock = std::chrono::steady_clock;

  // As Comm::post and Comm::poll.
  void post(int to, std::span<const std::byte> message);
  std::optional<Comm::Message> poll() { return take(MPI_ANY_SOURCE); }
  // The first message from one of `from`; nothing when `deadline` has passed.
  std::optional<Comm::Message> wait(std::span<const int> from, Clock::time_point deadline);

 private:
  struct Sent {
    std::vector<std::byte> bytes;  // MPI reads it until the request is done
    MPI_Request request;
  };
  std::optional<Comm::Message> take(int from);
  void forget_sent();

  std::deque<Sent> sent_;  // a deque: what lies in it stays where it is
};

}  // namespace cohort

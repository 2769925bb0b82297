#include "comm/mpi_messages.h"

#include "comm/mpi_check.h"
#include "comm/pace.h"
#include "core/check.h"

namespace cohort {
namespace {

constexpr int kTag = 3;

}  // namespace

void MpiMessages::forget_sent() {
  while (!sent_.empty()) {
    int done = 0;
    CHECK_MPI(MPI_Test(&sent_.front().request, &done, MPI_STATUS_IGNORE));
    if (!done) return;
    sent_.pop_front();
  }
}

void MpiMessages::post(int to, std::span<const std::byte> message) {
  CHECK(message.size() <= Comm::kMaxMessage, "a message of {} bytes, at most {} go without the receiver's help", message.size(),
        Comm::kMaxMessage);
  forget_sent();
  Sent& sent = sent_.emplace_back(Sent{{message.begin(), message.end()}, MPI_REQUEST_NULL});
  CHECK_MPI(MPI_Isend(sent.bytes.data(), static_cast<int>(sent.bytes.size()), MPI_BYTE, to, kTag, MPI_COMM_WORLD, &sent.request));
}

// What is announced has arrived as a whole: it is short enough to come in one piece. So receiving it does not wait.
std::optional<Comm::Message> MpiMessages::take(int from) {
  forget_sent();
  int there = 0, size = 0;
  MPI_Status status;
  CHECK_MPI(MPI_Iprobe(from, kTag, MPI_COMM_WORLD, &there, &status));
  if (!there) return std::nullopt;
  CHECK_MPI(MPI_Get_count(&status, MPI_BYTE, &size));
  Comm::Message message{status.MPI_SOURCE, std::vector<std::byte>(static_cast<size_t>(size))};
  CHECK_MPI(MPI_Recv(message.bytes.data(), size, MPI_BYTE, message.from, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  return message;
}

std::optional<Comm::Message> MpiMessages::wait(std::span<const int> from, Clock::time_point deadline) {
  Pacer pacer(Pace::kSleep);
  while (true) {
    for (const int rank : from)
      if (auto message = take(rank)) return message;
    if (Clock::now() >= deadline) return std::nullopt;
    pacer.rest();
  }
}

}  // namespace cohort

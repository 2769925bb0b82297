#include "comm/mpi_transfers.h"

#include <algorithm>

#include "comm/mpi_check.h"
#include "core/check.h"

namespace cohort {
namespace {

// Calls piece(begin, length) for each message of `size` bytes.
template <typename Piece>
void cut(size_t size, int64_t max_message, Piece piece) {
  const size_t most = static_cast<size_t>(max_message);
  for (size_t begin = 0; begin < size; begin += most)
    piece(begin, static_cast<int>(std::min(most, size - begin)));
}

}  // namespace

void mpi_failed(int code, const char* call) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  fail(ExitCode::kRankFailed, "MPI error {} ({}) from {}", code,
       std::string(text, static_cast<size_t>(length)), call);
}

MpiTransfers::~MpiTransfers() {
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    if (sides_[i].receives) MPI_Cancel(&requests_[i]);
  }
}

void MpiTransfers::send(std::span<const std::byte> data, int peer, int tag) {
  cut(data.size(), max_message_, [&](size_t begin, int length) {
    requests_.push_back(MPI_REQUEST_NULL);
    sides_.push_back({peer, false});
    CHECK_MPI(
        MPI_Isend(data.data() + begin, length, MPI_BYTE, peer, tag, comm_, &requests_.back()));
  });
}

void MpiTransfers::receive(std::span<std::byte> data, int peer, int tag) {
  cut(data.size(), max_message_, [&](size_t begin, int length) {
    requests_.push_back(MPI_REQUEST_NULL);
    sides_.push_back({peer, true});
    CHECK_MPI(
        MPI_Irecv(data.data() + begin, length, MPI_BYTE, peer, tag, comm_, &requests_.back()));
  });
}

void MpiTransfers::broadcast(std::span<std::byte> data, int root) {
  cut(data.size(), max_message_, [&](size_t begin, int length) {
    requests_.push_back(MPI_REQUEST_NULL);
    sides_.push_back({root, false});
    CHECK_MPI(MPI_Ibcast(data.data() + begin, length, MPI_BYTE, root, comm_, &requests_.back()));
  });
}

bool MpiTransfers::wait(Clock::time_point deadline, Pace pace) {
  Pacer pacer(pace);
  size_t next = 0;
  while (true) {
    // All have to end, so it is enough to look at the first that has not: a look costs the same for
    // any number of messages.
    int done = 1;
    while (next < requests_.size() && done) {
      CHECK_MPI(MPI_Test(&requests_[next], &done, MPI_STATUS_IGNORE));
      if (done) ++next;
    }
    if (next == requests_.size()) return true;
    if (Clock::now() >= deadline) return false;
    pacer.rest();
  }
}

std::vector<int> MpiTransfers::unfinished() {
  std::vector<int> peers;
  for (size_t i = 0; i < requests_.size(); ++i) {
    int done = 0;
    CHECK_MPI(MPI_Test(&requests_[i], &done, MPI_STATUS_IGNORE));
    if (!done) peers.push_back(sides_[i].peer);
  }
  std::ranges::sort(peers);
  const auto repeated = std::ranges::unique(peers);
  peers.erase(repeated.begin(), repeated.end());
  return peers;
}

}  // namespace cohort

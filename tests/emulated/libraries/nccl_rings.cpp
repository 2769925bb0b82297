// Rings of bytes between ranks (nccl_rings.h).
#include "nccl_rings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "emulator/state.h"

namespace emulated {

namespace {
constexpr size_t kRingBytes = 64 * 1024;
}

// Counts of all bytes ever written and read; the place in `data` is the count modulo its size.
struct RankRings::Ring {
  std::atomic<uint64_t> written, taken;
  char data[kRingBytes];
};
// All zero when the memory is new.
struct RankRings::Shared {
  std::atomic<int> ranks;
  std::atomic<uint64_t> arrived;               // a bit for each rank
  std::atomic<int> device_of[kMostRanks];      // plus one
  Ring rings[];
};

std::string RankRings::new_name() {
  static std::atomic<int> count{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return "/emulated-nccl-" + std::to_string(getpid()) + "-" + std::to_string(count++) + "-" + std::to_string(now);
}

RankRings::RankRings(const std::string& name, int ranks, int rank, int device)
    : name_(name), ranks_(ranks), rank_(rank) {
  static_assert(std::atomic<uint64_t>::is_always_lock_free);
  const int file = shm_open(name.c_str(), O_RDWR | O_CREAT, 0600);
  const size_t bytes = sizeof(Shared) + sizeof(Ring) * static_cast<size_t>(ranks * ranks);
  if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) fault("NCCL: no shared memory %s", name.c_str());
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) fault("NCCL: cannot map shared memory %s", name.c_str());
  shared_ = static_cast<Shared*>(memory);
  int others = 0;
  if (!shared_->ranks.compare_exchange_strong(others, ranks) && others != ranks) {
    objection_ = "ranks disagree about their number";
  } else if (shared_->device_of[rank].exchange(device + 1) != 0) {
    objection_ = "two processes are the same rank";
  } else {
    for (int r = 0; r < ranks; ++r)
      if (r != rank && shared_->device_of[r] == device + 1) objection_ = "two ranks use the same GPU";
  }
  shared_->arrived.fetch_or(uint64_t{1} << rank);
}

RankRings::~RankRings() {
  shm_unlink(name_.c_str());
  munmap(shared_, sizeof(Shared) + sizeof(Ring) * static_cast<size_t>(ranks_ * ranks_));
}

bool RankRings::all_here() {
  const uint64_t all = ranks_ == 64 ? ~uint64_t{0} : (uint64_t{1} << ranks_) - 1;
  if (shared_->arrived.load() != all) return false;
  shm_unlink(name_.c_str());  // everybody has it mapped; a crash from here on leaves nothing behind
  return true;
}

RankRings::Ring& RankRings::ring(int from, int to) { return shared_->rings[from * ranks_ + to]; }

size_t RankRings::write(int to, const void* data, size_t bytes) {
  Ring& r = ring(rank_, to);
  const uint64_t written = r.written.load(std::memory_order_relaxed);
  const size_t room = kRingBytes - static_cast<size_t>(written - r.taken.load(std::memory_order_acquire));
  const size_t at = static_cast<size_t>(written % kRingBytes);
  const size_t n = std::min({bytes, room, kRingBytes - at});
  std::memcpy(r.data + at, data, n);
  r.written.store(written + n, std::memory_order_release);
  return n;
}

size_t RankRings::read(int from, void* data, size_t bytes) {
  Ring& r = ring(from, rank_);
  const uint64_t taken = r.taken.load(std::memory_order_relaxed);
  const size_t there = static_cast<size_t>(r.written.load(std::memory_order_acquire) - taken);
  const size_t at = static_cast<size_t>(taken % kRingBytes);
  const size_t n = std::min({bytes, there, kRingBytes - at});
  std::memcpy(data, r.data + at, n);
  r.taken.store(taken + n, std::memory_order_release);
  return n;
}

}  // namespace emulated

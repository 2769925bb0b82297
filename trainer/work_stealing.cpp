#include "trainer/work_stealing.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

constexpr size_t kMostNumbers = Comm::kMaxMessage / sizeof(uint32_t) - 1;

}  // namespace

WorkStealing::WorkStealing(Comm& comm, std::function<void(bool)> waits)
    : comm_(comm), waits_(std::move(waits)), nothing_left_(static_cast<size_t>(comm.size())), victim_(comm.rank()),
      sent_(static_cast<size_t>(comm.size())), received_(static_cast<size_t>(comm.size())) {}

void WorkStealing::post(int to, Kind kind, std::span<const uint32_t> numbers) {
  std::vector<uint32_t> words = {static_cast<uint32_t>(kind)};
  words.insert(words.end(), numbers.begin(), numbers.end());
  comm_.post(to, std::as_bytes(std::span(words)));
  ++sent_[static_cast<size_t>(to)];
}

std::vector<int> WorkStealing::others_with_work() const {
  std::vector<int> ranks;
  for (int r = 0; r < comm_.size(); ++r)
    if (r != comm_.rank() && !nothing_left_[static_cast<size_t>(r)]) ranks.push_back(r);
  return ranks;
}

// One rank at a time, each after the one before it.
void WorkStealing::ask(size_t room) {
  if (asked_ || room == 0) return;
  for (int i = 1; i <= comm_.size(); ++i) {
    const int rank = (victim_ + i) % comm_.size();
    if (rank == comm_.rank() || nothing_left_[static_cast<size_t>(rank)]) continue;
    victim_ = rank, asked_ = true;
    const uint32_t numbers[] = {static_cast<uint32_t>(room)};
    return post(rank, Kind::ask, numbers);
  }
}

// Half of what may move, the last ones: those that would begin here last. Who asks too late has been told already that there
// is nothing left.
void WorkStealing::give(int to, size_t room, std::deque<size_t>& waiting, size_t& movable) {
  const size_t count = std::min({room, (movable + 1) / 2, kMostNumbers});
  if (count == 0) return;
  const std::vector<uint32_t> given(waiting.end() - static_cast<ptrdiff_t>(count), waiting.end());
  waiting.resize(waiting.size() - count);
  movable -= count;
  post(to, Kind::give, given);
}

void WorkStealing::take(const Comm::Message& message, std::deque<size_t>& waiting, size_t& movable) {
  CHECK(message.bytes.size() >= sizeof(uint32_t) && message.bytes.size() % sizeof(uint32_t) == 0, "a message of {} bytes from rank {}",
        message.bytes.size(), message.from);
  std::vector<uint32_t> words(message.bytes.size() / sizeof(uint32_t));
  std::memcpy(words.data(), message.bytes.data(), message.bytes.size());
  const std::span<const uint32_t> numbers = std::span(words).subspan(1);
  ++received_[static_cast<size_t>(message.from)];
  switch (static_cast<Kind>(words[0])) {
    case Kind::ask:
      CHECK(numbers.size() == 1, "rank {} asks with {} numbers", message.from, numbers.size());
      return give(message.from, numbers[0], waiting, movable);
    case Kind::give:
      asked_ = false;
      waiting.insert(waiting.end(), numbers.begin(), numbers.end());
      stolen_ += static_cast<int64_t>(numbers.size());
      return;
    case Kind::nothing_left:
      nothing_left_[static_cast<size_t>(message.from)] = true;
      if (message.from == victim_) asked_ = false;
      return;
  }
  fail(ExitCode::kInternal, "a message of kind {} from rank {}", words[0], message.from);
}

bool WorkStealing::exchange(std::deque<size_t>& waiting, size_t movable, size_t room, bool idle) {
  const auto me = static_cast<size_t>(comm_.rank());
  if (nothing_left_[me]) movable = 0;  // what came from others stays, and what was sent back to the queue
  while (const std::optional<Comm::Message> message = comm_.poll()) take(*message, waiting, movable);
  if (movable == 0 && !nothing_left_[me]) {
    nothing_left_[me] = true;
    for (int r = 0; r < comm_.size(); ++r)
      if (r != comm_.rank()) post(r, Kind::nothing_left, {});
  }
  if (waiting.empty()) ask(room);
  if (!idle || !waiting.empty()) return true;
  std::vector<int> others = others_with_work();
  if (others.empty()) return false;
  waits_(true);
  for (; waiting.empty() && !others.empty(); others = others_with_work()) {
    ask(room);
    take(comm_.receive(others, "work"), waiting, movable);
  }
  if (waiting.empty()) return false;
  waits_(false);
  return true;
}

void WorkStealing::finish(std::span<const int64_t> sent) {
  for (int r = 0; r < comm_.size(); ++r) {
    const auto from = static_cast<size_t>(r);
    const int rank[] = {r};
    for (; received_[from] < sent[from]; ++received_[from]) comm_.receive(rank, "work");
  }
}

}  // namespace cohort

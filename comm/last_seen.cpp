#include "comm/last_seen.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "core/check.h"

namespace cohort {

static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free,
              "other processes read these");

void LastSeen::Text::set(std::string_view text) {
  char bytes[sizeof words_] = {};
  std::memcpy(bytes, text.data(), std::min(text.size(), sizeof bytes - 1));
  for (size_t i = 0; i < words_.size(); ++i) {
    uint64_t word;
    std::memcpy(&word, bytes + i * sizeof word, sizeof word);
    words_[i].store(word, std::memory_order_relaxed);
  }
}

std::string LastSeen::Text::text() const {
  char bytes[sizeof words_ + 1] = {};
  for (size_t i = 0; i < words_.size(); ++i) {
    const uint64_t word = words_[i].load(std::memory_order_relaxed);
    std::memcpy(bytes + i * sizeof word, &word, sizeof word);
  }
  return bytes;
}

void LastSeen::enter(std::string_view section, int64_t step, Clock::time_point deadline) {
  section_.set(section);
  step_ = step;
  deadline_ = deadline.time_since_epoch().count();
}

void LastSeen::enter_collective(std::string_view name, Clock::time_point deadline) {
  collective_.set(name);
  collective_deadline_ = deadline.time_since_epoch().count();
}

LastSeen::Clock::time_point LastSeen::due() const {
  const Clock::time_point section = deadline(), waiting = collective_deadline();
  return waiting == Clock::time_point::max() ? section : std::max(section, waiting);
}

std::string LastSeen::where() const {
  std::string text = section_.text();
  text = text.empty() ? "its start" : fmt::format("section {} of step {}", text, step_.load());
  if (collective_deadline_ != kNone) text += fmt::format(", in {}", collective_.text());
  return text;
}

LastSeen& make_shared_last_seen() {
  void* memory = mmap(nullptr, sizeof(LastSeen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail(ExitCode::kResources, "no shared memory for a page: {}", std::strerror(errno));
  return *new (memory) LastSeen;
}

}  // namespace cohort

#include "rollout/stop_text.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {

StopText::StopText(const Tokenizer& tokenizer, std::span<const std::string> stop)
    : stop_(stop), stream_(tokenizer, /*skip_special_tokens=*/true) {
  for (const std::string& text : stop) {
    CHECK(!text.empty(), "an empty stop string");
    keep_ = std::max(keep_, text.size() - 1);
  }
}

bool StopText::add(int32_t token) {
  const size_t seen = tail_.size() + ahead_;
  tail_ += stream_.add(token);
  const std::string pending = stream_.pending(), text = tail_ + pending;
  const bool found = std::ranges::any_of(stop_, [&](const std::string& stop) {
    const size_t from = seen + 1 > stop.size() ? seen + 1 - stop.size() : 0;
    return text.find(stop, from) != std::string::npos;
  });
  if (tail_.size() > keep_) tail_.erase(0, tail_.size() - keep_);
  ahead_ = pending.size();
  return found;
}

}  // namespace cohort

// ReadAhead: memory that the next op will read. Matrix products compute far more than they read, so they ask for it
// along the way, and the op finds it in cache. Changes no result.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <vector>

namespace cohort {

class ReadAhead {
 public:
  struct Piece {
    const std::byte* begin = nullptr;
    size_t bytes = 0;
  };
  static constexpr size_t kPieceBytes = 16 << 10;   // what one tile of a product asks for
  static constexpr size_t kMostBytes = 8 << 20;     // more would push itself out of the caches

  // Forgets what was not asked for yet.
  void clear() {
    pieces_.clear();
    bytes_ = 0;
    next_ = 0;
  }
  // False when it is full.
  bool add(const void* begin, size_t bytes) {
    const auto* from = static_cast<const std::byte*>(begin);
    for (; bytes > 0 && bytes_ < kMostBytes; bytes -= pieces_.back().bytes) {
      pieces_.push_back({from, std::min(bytes, kPieceBytes)});
      from += pieces_.back().bytes;
      bytes_ += pieces_.back().bytes;
    }
    return bytes_ < kMostBytes;
  }
  // The next piece, or an empty one. Any number of threads may take, while nobody adds or clears.
  Piece take() {
    if (next_.load(std::memory_order_relaxed) >= pieces_.size()) return {};
    const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
    return i < pieces_.size() ? pieces_[i] : Piece{};
  }

 private:
  std::vector<Piece> pieces_;
  size_t bytes_ = 0;
  std::atomic<size_t> next_{0};
};

}  // namespace cohort

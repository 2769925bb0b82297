// Pieces: several arrays in one block of a thread's workspace. Private to model/cpu.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model/exec.h"

namespace cohort {

// Plans pieces, then carves them out of the first thread's block.
class Pieces {
 public:
  size_t plan(int64_t bytes) {
    const size_t at = size_;
    size_ += (static_cast<size_t>(bytes) + 63) / 64 * 64;
    return at;
  }
  void take(const Exec& ex) { base_ = static_cast<std::byte*>(ex.workspace->get(0, size_)); }
  std::byte* operator[](size_t at) const { return base_ + at; }
  template <typename T>
  T* as(size_t at) const {
    return reinterpret_cast<T*>(base_ + at);
  }

 private:
  size_t size_ = 0;
  std::byte* base_ = nullptr;
};

}  // namespace cohort

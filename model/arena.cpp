#include "model/arena.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <new>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {
constexpr size_t kAlignment = 64;              // a cache line, and the widest vector
constexpr size_t kHugePage = size_t{2} << 20;  // large arenas: fewer TLB misses in the matrix products

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
}  // namespace

void Arena::Free::operator()(std::byte* p) const { std::free(p); }

size_t Arena::plan(std::string piece, DType dtype, std::initializer_list<int64_t> shape) {
  CHECK(!memory_, "arena {}: '{}' is planned after commit", name_, piece);
  const Tensor tensor(nullptr, dtype, shape);
  for (int64_t dim : shape) CHECK(dim >= 0, "arena {}: '{}' is {}", name_, piece, tensor.to_string());
  pieces_.push_back({std::move(piece), tensor, bytes_});
  bytes_ += round_up(tensor.bytes(), kAlignment);
  return pieces_.size() - 1;
}

void Arena::commit() {
  CHECK(!memory_, "arena {}: committed twice", name_);
  const size_t alignment = bytes_ >= kHugePage ? kHugePage : kAlignment;
  const size_t size = round_up(std::max(bytes_, kAlignment), alignment);
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, size)));
  if (!memory_) {
    fail(ExitCode::kResources, "out of memory: {} needs {}; `cohort train CONFIG --dry-run` shows what takes how much",
         name_, human_bytes(bytes_));
  }
  if (alignment == kHugePage) madvise(memory_.get(), size, MADV_HUGEPAGE);  // a hint; without it only slower
  std::memset(memory_.get(), 0, size);
  for (Piece& piece : pieces_) piece.tensor.data = memory_.get() + piece.offset;
}

Tensor Arena::operator[](size_t index) const {
  CHECK(memory_ && index < pieces_.size(), "arena {}: piece {} of {}, or not committed", name_, index, pieces_.size());
  return pieces_[index].tensor;
}

std::string Arena::report() const {
  std::map<std::string, size_t> sums;
  std::vector<std::string> order;
  for (const Piece& piece : pieces_) {
    if (!sums.contains(piece.name)) order.push_back(piece.name);
    sums[piece.name] += piece.tensor.bytes();
  }
  std::string text = name_ + ": " + human_bytes(bytes_) + " (";
  for (size_t i = 0; i < order.size(); ++i)
    text += (i > 0 ? ", " : "") + order[i] + " " + human_bytes(sums[order[i]]);
  return text + ")";
}

}  // namespace cohort

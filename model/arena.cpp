#include "model/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <map>

#include "core/check.h"
#include "core/text.h"
#include "model/device.h"

namespace cohort {
namespace {
constexpr size_t kAlignment = 64;              // a cache line, and the widest vector
constexpr size_t kHugePage = size_t{2} << 20;  // large arenas: fewer TLB misses in the matrix products

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }
}  // namespace

void Arena::Free::operator()(std::byte* p) const {
  if (device == Device::cuda) return give_back_gpu_memory(p);
  munmap(p, size);
}

size_t Arena::plan(std::string piece, DType dtype, std::initializer_list<int64_t> shape) {
  CHECK(!memory_, "arena {}: '{}' is planned after commit", name_, piece);
  const Tensor tensor(nullptr, dtype, shape);
  for (int64_t dim : shape) CHECK(dim >= 0, "arena {}: '{}' is {}", name_, piece, tensor.to_string());
  pieces_.push_back({std::move(piece), tensor, bytes_});
  bytes_ += round_up(tensor.bytes(), kAlignment);
  return pieces_.size() - 1;
}

void Arena::commit(Pages pages, Device device) {
  CHECK(!memory_, "arena {}: committed twice", name_);
  if (device == Device::cuda) {
    const size_t size = std::max(bytes_, kAlignment);
    memory_ = {static_cast<std::byte*>(take_gpu_memory(size, name_)), Free{size, device}};
    for (Piece& piece : pieces_) piece.tensor.data = memory_.get() + piece.offset, piece.tensor.device = device;
    return;
  }
  // One huge page more than asked for, to begin at one. The kernel hands out zeros.
  const size_t spare = bytes_ >= kHugePage ? kHugePage : 0, size = std::max(bytes_, kAlignment) + spare;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail(ExitCode::kResources, "out of memory: {} needs {}; `cohort train CONFIG --dry-run` shows what takes how much",
         name_, human_bytes(bytes_));
  }
  memory_ = {static_cast<std::byte*>(memory), Free{size, Device::cpu}};
  std::byte* start = memory_.get();
  if (spare > 0) start += round_up(reinterpret_cast<uintptr_t>(start), kHugePage) - reinterpret_cast<uintptr_t>(start);
  if (spare > 0 && pages != Pages::lazy) madvise(start, bytes_, MADV_HUGEPAGE);  // a hint; without it only slower
  if (pages == Pages::all_now) std::memset(start, 0, bytes_);
  for (Piece& piece : pieces_) piece.tensor.data = start + piece.offset;
}

Tensor Arena::operator[](size_t index) const {
  CHECK(memory_ && index < pieces_.size(), "arena {}: piece {} of {}, or not committed", name_, index, pieces_.size());
  return pieces_[index].tensor;
}

void Arena::release(Tensor part) {
  std::byte *begin = static_cast<std::byte*>(part.data), *end = begin + part.bytes();
  CHECK(memory_ && begin >= memory_.get() && end <= memory_.get() + memory_.get_deleter().size,
        "arena {}: a part of {} bytes that is not its own", name_, part.bytes());
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = round_up(reinterpret_cast<uintptr_t>(begin), page), last = reinterpret_cast<uintptr_t>(end) / page * page;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
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

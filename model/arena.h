// Arena: plan every piece, allocate once, carve. Reports what each piece takes.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "model/tensor.h"

namespace cohort {

class Arena {
 public:
  // `name` leads its messages and reports.
  explicit Arena(std::string name) : name_(std::move(name)) {}

  // Plans a tensor and returns its index. Before commit only.
  size_t plan(std::string piece, DType dtype, std::initializer_list<int64_t> shape);
  // Allocates (64-byte aligned, zeroed). Out of memory: exit code 6, naming arena and size. `lazy`: pages take memory
  // only once they are written, `lazy_large` in large steps (2 MB, for what is read all over); else all of it is taken
  // now, so that a run that fits at its start fits to its end. On a GPU (model/device.h) all of it is taken now, always.
  enum class Pages { all_now, lazy, lazy_large };
  void commit(Pages pages = Pages::all_now, Device device = Device::cpu);
  Tensor operator[](size_t index) const;
  // Gives back the memory of the whole pages inside a part of this arena, of the host; it reads as zeros afterwards.
  void release(Tensor part);

  size_t bytes() const { return bytes_; }
  std::string report() const;  // "activations: 184 MB (x 22 MB, ...)"

 private:
  struct Piece {
    std::string name;
    Tensor tensor;
    size_t offset;
  };
  std::string name_;
  std::vector<Piece> pieces_;
  size_t bytes_ = 0;
  struct Free {
    size_t size;
    Device device;
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace cohort

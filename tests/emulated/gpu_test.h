// What the tests of GPU ops share: a stream, and runs under every order that CUDA leaves open.
#pragma once

#include <emulator/settings.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "model/exec.h"
#include "tests/emulated/device_matrix.h"
#include "tests/ops/row_ops_test.h"

namespace cohort {

// Orders of blocks and threads, and of streams: forward, reverse and three random ones.
inline const char* const kOrders[] = {"order=forward", "order=reverse,streams=lazy", "order=random:1,streams=random:1",
                                      "order=random:2,streams=lazy,late_copies=0,implicit_waits=0", "order=random:3,streams=random:3,implicit_waits=0"};

inline bool is_flavour(const char* name) { return std::string(emulated::flavour()) == name; }

class GpuOps : public RowOps {
 protected:
  // ThreadSanitizer does not see how the CPU's threads, which are not instrumented, wait for each other.
  GpuOps() : RowOps(is_flavour("tsan") ? 1 : 2) {
    emulated::set_settings({});
    cuda::check_status(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "create a stream");
  }
  ~GpuOps() override {
    emulated::set_settings({});
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
  }
  void synchronize() { cuda::check_status(cudaStreamSynchronize(stream_), "wait for the stream"); }

  // run() gives the matrices that an op wrote; they must have the same bits in every order. Returns them.
  // Which addresses are touched, and what orders two accesses, depends on no order: two are enough for a sanitizer to see.
  static std::span<const char* const> orders() {
    const std::span<const char* const> all = kOrders;
    return is_flavour("asan") || is_flavour("tsan") ? all.last(2) : all;
  }
  template <typename Run>
  std::vector<Matrix> in_every_order(const Run& run) {
    std::vector<Matrix> first;
    for (const char* order : orders()) {
      emulated::set_settings(emulated::parse_settings(order));
      const std::vector<Matrix> now = run();
      if (first.empty()) first = now;
      EXPECT_TRUE(now == first) << "other bits with " << order;
    }
    emulated::set_settings({});
    return first;
  }

  cudaStream_t stream_ = nullptr;
};

// |m - wanted| <= tolerance (|wanted| + floor), elementwise. A NaN is never near.
inline void expect_close(const Matrix& m, const Matrix& wanted, double tolerance, double floor = 0) {
  expect_near(
      m, [&](int64_t r, int64_t c) { return wanted.at(r, c); }, tolerance, floor);
}

}  // namespace cohort

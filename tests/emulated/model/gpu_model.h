// What the tests of the model on a GPU share: an open (emulated) GPU, the CPU beside it, and every order that CUDA leaves
// open.
#pragma once

#include <emulator/settings.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "model/device.h"
#include "tests/model/tiny_model.h"

namespace cohort {

inline const char* const kGpuOrders[] = {"order=forward", "order=reverse,streams=lazy,implicit_waits=0", "order=random:1,streams=random:1"};

class GpuModel : public testing::Test {
 protected:
  GpuModel() {
    emulated::set_settings({});
    gpu_ = open_gpu(0);
  }
  ~GpuModel() override {
    gpu_.reset();
    emulated::set_settings({});
  }

  // The numbers of a tensor, wherever it lies.
  static std::vector<float> numbers(Tensor t) {
    std::vector<std::byte> bytes(t.bytes());
    const Tensor host(bytes.data(), t.dtype, {t.size()});
    copy(host, t);
    std::vector<float> values;
    for (int64_t i = 0; i < t.size(); ++i) values.push_back(t.dtype == DType::bf16 ? to_float(host.b16()[i]) : host.f32()[i]);
    return values;
  }
  // |got - wanted| <= tolerance max |wanted|, elementwise. A NaN is never near.
  static void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, float tolerance) {
    ASSERT_EQ(got.size(), wanted.size());
    float largest = 0;
    for (const float x : wanted) largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_LE(std::abs(got[i] - wanted[i]), tolerance * largest) << i << ": " << got[i] << " for " << wanted[i];
  }

  std::shared_ptr<Gpu> gpu_;
};

}  // namespace cohort

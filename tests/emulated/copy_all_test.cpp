// Many copies in one launch: each has all of its bytes, and nothing else is written.
#include "model/cuda/copy_all.h"

#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuCopyAll : public GpuOps {};

TEST_F(GpuCopyAll, EveryByteArrivesWhereverItLies) {
  // Numbers of 2 bytes: from, to, and how many. More than a block's, of eight to a vector or not, at addresses that are aligned or not.
  constexpr int64_t kEnd = 20'000;
  struct Some {
    int64_t from, to, count;
  };
  const std::vector<Some> all = {{0, 0, 1}, {8, 8, 8}, {17, 30, 5}, {100, 101, 4097}, {4200, 8208, 8192}, {1, 17'000, 2999}, {5, 40, 0}};
  const Matrix from = Matrix::random(DType::bf16, 1, kEnd, 3);
  Matrix wanted(DType::bf16, 1, kEnd);
  wanted.fill(7);
  const Matrix before = wanted;
  for (const Some& some : all)
    for (int64_t i = 0; i < some.count; ++i) wanted.set(some.to + i, from.get(some.from + i));
  const std::vector<Matrix> got = in_every_order([&] {
    const DeviceMatrix source(from), target(before);
    std::vector<gpu::Copied> copies;
    size_t most = 0;
    for (const Some& some : all) {
      copies.push_back({target.t().b16() + some.to, source.t().b16() + some.from, static_cast<size_t>(some.count) * 2});
      most = std::max(most, copies.back().bytes);
    }
    const DeviceMatrix list(std::span(reinterpret_cast<const int32_t*>(copies.data()), copies.size() * sizeof(gpu::Copied) / sizeof(int32_t)));
    cuda::copy_all(list.t(), std::ssize(copies), most, stream_);
    synchronize();
    return std::vector<Matrix>{target.host()};
  });
  EXPECT_TRUE(got[0] == wanted);
}

}  // namespace
}  // namespace cohort

// What the emulator gives a kernel: fragments of mma and ldmatrix, warp functions, atomics, the last block.
#include "tests/emulated/gpu_test.h"
#include "tests/emulated/test_kernels.h"

namespace cohort {
namespace {

class DeviceLanguage : public GpuOps {};

TEST_F(DeviceLanguage, MmaOfFragmentsFromLdmatrixIsTheProduct) {
  const Matrix a = Matrix::random(DType::bf16, 16, 16, 1), b = Matrix::random(DType::bf16, 16, 8, 2);
  const DeviceMatrix device_a(a), device_b(b);
  const std::vector<Matrix> got = in_every_order([&] {
    DeviceMatrix c(DType::f32, 16, 8);
    cuda::small_product(c.t().f32(), device_a.t().data, device_b.t().data, stream_);
    synchronize();
    return std::vector<Matrix>{c.host()};
  });
  for (int64_t i = 0; i < 16; ++i) {
    for (int64_t j = 0; j < 8; ++j) {
      double sum = 0, size = 0;
      for (int64_t k = 0; k < 16; ++k) {
        sum += static_cast<double>(a.at(i, k)) * b.at(k, j);
        size += std::abs(static_cast<double>(a.at(i, k)) * b.at(k, j));
      }
      EXPECT_NEAR(got[0].at(i, j), sum, 16 * kEps32 * size) << i << ", " << j;
    }
  }
}

TEST_F(DeviceLanguage, ShufflesAndVotes) {
  const DeviceMatrix y(DType::i32, 32, 8);
  cuda::warp_functions(y.t().i32(), stream_);
  synchronize();
  const Matrix host = y.host();
  unsigned thirds = 0;
  for (int lane = 0; lane < 32; lane += 3) thirds |= 1u << lane;
  for (int lane = 0; lane < 32; ++lane) {
    const int* mine = host.t().i32() + lane * 8;
    EXPECT_EQ(mine[0], lane / 8 * 8 + 3);
    EXPECT_EQ(mine[1], lane ^ 5);
    EXPECT_EQ(mine[2], lane % 16 + 3 < 16 ? lane + 3 : lane);
    EXPECT_EQ(mine[3], lane % 4 >= 2 ? lane - 2 : lane);
    EXPECT_EQ(static_cast<unsigned>(mine[4]), thirds);
    EXPECT_EQ(mine[5], 1);
    EXPECT_EQ(mine[6], lane < 16 ? 15 : 16);
    EXPECT_EQ(mine[7], 4 + 4 + 31);
  }
}

TEST_F(DeviceLanguage, TheLastBlockSeesWhatAllHaveWritten) {
  for (const char* order : kOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    const DeviceMatrix numbers(std::vector<int32_t>{-1, 0, 0, 0, 0, 0, 0});
    int* n = numbers.t().i32();
    cuda::count_up(n, n + 1, n + 6, 5, stream_);
    synchronize();
    EXPECT_EQ(numbers.host().t().i32()[0], 15) << order;
  }
}

}  // namespace
}  // namespace cohort

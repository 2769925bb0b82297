// Embedding on the GPU: the CPU's bits, forward and backward.
#include "model/cuda/embedding.h"

#include <algorithm>

#include "model/ops/elementwise.h"
#include "tests/emulated/gpu_test.h"

namespace cohort {
namespace {

class GpuEmbedding : public GpuOps {};

std::vector<int32_t> distinct(std::vector<int32_t> ids) {
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

TEST_F(GpuEmbedding, RowsAreTheCpusBits) {
  for (DType dtype : kTypes) {
    for (int64_t C : {1, 50, 64, 600}) {
      const std::vector<int32_t> tokens = random_ids(23, 11, 1);
      const Matrix table = Matrix::random(dtype, 11, C, 2);
      Matrix x(DType::f32, 23, C);
      embedding(x.t(), tokens, table.t(), ex_, 3.0f);
      const DeviceMatrix device_table(table), device_tokens(tokens);
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix device_x(DType::f32, 23, C);
        cuda::embedding(device_x.t(), device_tokens.t(), device_table.t(), stream_, 3.0f);
        synchronize();
        return std::vector<Matrix>{device_x.host()};
      });
      EXPECT_TRUE(got[0] == x);
    }
  }
}

TEST_F(GpuEmbedding, GradientsAreTheCpusBits) {
  const int64_t T = 61, V = 13;
  const std::vector<RowPart> parts = {{0, 20, 0}, {20, 0, 0}, {20, 30, 2}, {50, 11, 1}};
  const std::vector<int32_t> tokens = random_ids(T, 9, 1), kept = distinct(tokens);
  const int64_t n = static_cast<int64_t>(kept.size());
  for (int64_t C : {1, 50, 64, 600}) {
    for (const std::span<const RowPart> with : {std::span<const RowPart>{}, std::span<const RowPart>(parts)}) {
      const int64_t sums = n * std::max<int64_t>(1, static_cast<int64_t>(with.size()));
      const Matrix dx = Matrix::random(DType::f32, T, C, 2), start = Matrix::random(DType::f32, V, C, 3),
                   kept_start = Matrix::random(DType::f32, sums, C, 4);
      Matrix dtable = start, kept_sums = kept_start;
      embedding_backward(dtable.t(), {kept, kept_sums.t()}, dx.t(), tokens, ex_, 0.5f, with);
      const cuda::EmbeddingOrder order = cuda::embedding_order(tokens, kept, V, with);
      const DeviceMatrix device_dx(dx), device_order(order.numbers);
      const std::vector<Matrix> got = in_every_order([&] {
        DeviceMatrix device_dtable(start), device_sums(kept_start);
        cuda::embedding_backward(device_dtable.t(), device_sums.t(), device_dx.t(), order, device_order.t(), stream_,
                                 0.5f);
        synchronize();
        return std::vector<Matrix>{device_dtable.host(), device_sums.host()};
      });
      EXPECT_TRUE(got[0] == dtable) << "C " << C << ", " << with.size() << " parts";
      EXPECT_TRUE(got[1] == kept_sums);
    }
  }
}

TEST_F(GpuEmbedding, AnIdOutsideTheTableReadsNothingAndGivesNaN) {
  const DeviceMatrix table(Matrix::random(DType::f32, 4, 8, 1)), tokens(std::vector<int32_t>{1, 4, -1});
  DeviceMatrix x(DType::f32, 3, 8);
  cuda::embedding(x.t(), tokens.t(), table.t(), stream_);
  synchronize();
  const Matrix host = x.host();
  for (int64_t c = 0; c < 8; ++c) {
    EXPECT_FALSE(std::isnan(host.at(0, c)));
    EXPECT_TRUE(std::isnan(host.at(1, c)) && std::isnan(host.at(2, c)));
  }
}

TEST_F(GpuEmbedding, RefusesWhatIsNotKept) {
  const std::vector<int32_t> tokens = {1, 2}, kept = {1}, outside = {1, 2, 9};
  EXPECT_THROW(cuda::embedding_order(tokens, kept, 9), Error);
  EXPECT_THROW(cuda::embedding_order(tokens, outside, 9), Error);
  const cuda::EmbeddingOrder order = cuda::embedding_order(tokens, tokens, 9);
  const DeviceMatrix dtable(DType::f32, 9, 4), sums(DType::f32, 2, 4), dx(DType::f32, 2, 4), small(DType::f32, 1, 4),
      device_order(order.numbers), short_order(tokens);
  EXPECT_THROW(cuda::embedding_backward(dtable.t(), small.t(), dx.t(), order, device_order.t(), stream_), Error);
  EXPECT_THROW(cuda::embedding_backward(dtable.t(), sums.t(), small.t(), order, device_order.t(), stream_), Error);
  EXPECT_THROW(cuda::embedding_backward(dtable.t(), sums.t(), dx.t(), order, short_order.t(), stream_), Error);
}

}  // namespace
}  // namespace cohort

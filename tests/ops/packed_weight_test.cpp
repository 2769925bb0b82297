// Packed weights, and the workspace that ops take their scratch from.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "core/rng.h"
#include "model/ops/elementwise.h"
#include "model/ops/matmul.h"
#include "model/ops/packed_part.h"
#include "tests/ops/random_matrix.h"

namespace cohort {
namespace {

constexpr uint64_t kSeed = 20240611;

Matrix multiply(const Matrix& x, const PackedWeight& w, const Exec& ex) {
  Matrix y(DType::f32, x.rows, w.n);
  matmul(y.t(), x.t(), w, ex);
  return y;
}

TEST(PackedWeight, PackingAgainFollowsTheWeight) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  PackedWeight packed;
  for (const auto& [n, k] : {std::pair<int64_t, int64_t>{40, 30}, {40, 30}, {100, 30}, {20, 65}}) {
    const Matrix w = Matrix::random(DType::bf16, n, k, kSeed + static_cast<uint64_t>(n + k));
    const Matrix x = Matrix::random(DType::bf16, 4, k, kSeed);
    pack_weight(packed, w.t(), ex);
    PackedWeight fresh;
    pack_weight(fresh, w.t(), ex);
    EXPECT_EQ(packed.n, n);
    EXPECT_EQ(packed.k, k);
    EXPECT_TRUE(multiply(x, packed, ex) == multiply(x, fresh, ex));
  }
  PackedWeight moved = std::move(packed);
  EXPECT_EQ(multiply(Matrix::random(DType::bf16, 4, 65, kSeed), moved, ex).cols, 20);
}

TEST(PackedWeight, ReservedMemoryChangesNothingAndOutlivesWhoSharesIt) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    auto first = std::make_unique<PackedWeight>();
    PackedWeight second, third;
    const auto shape = [&](PackedWeight& w, int64_t n, int64_t k) { w.n = n, w.k = k, w.dtype = dtype; };
    shape(*first, 50, 31), shape(second, 97, 16), shape(third, 3, 8);
    reserve_packed(std::vector<PackedWeight*>{first.get(), &second, &third});
    const Matrix a = Matrix::random(dtype, 50, 31, kSeed), b = Matrix::random(dtype, 97, 16, kSeed + 1);
    const Matrix x = Matrix::random(dtype, 4, 31, kSeed + 2), z = Matrix::random(dtype, 4, 16, kSeed + 3);
    EXPECT_THROW(multiply(x, *first, ex), Error) << "reserved, not packed";
    pack_weight(*first, a.t(), ex);
    pack_weight(second, b.t(), ex);
    PackedWeight alone;
    pack_weight(alone, a.t(), ex);
    EXPECT_TRUE(multiply(x, *first, ex) == multiply(x, alone, ex));
    first.reset();
    pack_weight(alone, b.t(), ex);
    EXPECT_TRUE(multiply(z, second, ex) == multiply(z, alone, ex));
  }
}

TEST(PackedWeight, GivesBackItsRowsAsAnEmbeddingReadsThem) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {48, 2}, {49, 33}, {97, 64}, {500, 17}}) {
      const Matrix w = Matrix::random(dtype, n, k, 3);
      PackedWeight packed;
      pack_weight(packed, w.t(), ex);
      std::vector<int32_t> rows;
      for (int64_t row = n - 1; row >= 0; --row) rows.push_back(static_cast<int32_t>(row));
      Matrix x(DType::f32, n, k), wanted(DType::f32, n, k);
      packed_rows(x.t(), packed, rows, 2.5f, ex);
      embedding(wanted.t(), rows, w.t(), ex, 2.5f);
      EXPECT_TRUE(x == wanted) << n << " x " << k << " " << dtype_name(dtype);
      const std::vector<int32_t> outside = {static_cast<int32_t>(n)};
      Matrix one(DType::f32, 1, k);
      EXPECT_THROW(packed_rows(one.t(), packed, outside, 1, ex), Error);
    }
  }
}

// Spans that cut rows, pairs of numbers and panels, one after the other and read back in others.
TEST(PackedWeight, IsSetAndReadInSpans) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  Random random(kSeed, Stream::kTest);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {48, 2}, {49, 33}, {97, 64}, {100, 17}}) {
      SCOPED_TRACE(fmt::format("{} x {} {}, seed {}", n, k, dtype_name(dtype), kSeed));
      const Matrix w = Matrix::random(dtype, n, k, 3), x = Matrix::random(dtype, 4, k, 4);
      PackedWeight whole, spans;
      pack_weight(whole, w.t(), ex);
      spans.n = n, spans.k = k, spans.dtype = dtype;
      const auto part = [&](const Matrix& m, int64_t begin, int64_t count) {
        return Tensor(static_cast<char*>(m.t().data) + static_cast<size_t>(begin) * dtype_size(dtype), dtype, {count});
      };
      for (int64_t begin = 0, count; begin < n * k; begin += count) {
        count = std::min<int64_t>(n * k - begin, 1 + random.below(static_cast<uint32_t>(3 * k + 2)));
        pack_span(spans, begin, part(w, begin, count), ex);
      }
      EXPECT_TRUE(multiply(x, spans, ex) == multiply(x, whole, ex));
      Matrix back(dtype, n, k);
      for (int64_t begin = 0, count; begin < n * k; begin += count) {
        count = std::min<int64_t>(n * k - begin, 1 + random.below(static_cast<uint32_t>(60 * k)));
        unpack_span(part(back, begin, count), spans, begin);
      }
      EXPECT_TRUE(back == w);
      EXPECT_THROW(pack_span(spans, 1, w.t(), ex), Error);
      EXPECT_THROW(unpack_span(Tensor(nullptr, dtype, {1}), spans, n * k), Error);
    }
  }
}

// What ranks send each other of a packed weight.
TEST(PackedWeight, WholePanelsAreTheirElementsByteForByte) {
  ExecOwner owner(2);
  const Exec ex = owner.exec();
  Random random(kSeed, Stream::kTest);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    int64_t found = 0;
    for (const auto& [n, k] : {std::pair<int64_t, int64_t>{1, 1}, {48, 2}, {97, 64}, {150, 33}, {192, 10}}) {
      SCOPED_TRACE(fmt::format("{} x {} {}, seed {}", n, k, dtype_name(dtype), kSeed));
      const Matrix w = Matrix::random(dtype, n, k, 3), other = Matrix::random(dtype, n, k, 5);
      for (int round = 0; round < 20; ++round) {
        PackedWeight from, to;
        pack_weight(from, w.t(), ex), pack_weight(to, other.t(), ex);
        const auto begin = static_cast<int64_t>(random.below(static_cast<uint32_t>(n * k))), end = begin + static_cast<int64_t>(random.below(static_cast<uint32_t>(n * k - begin + 1)));
        const PackedPart sent = whole_panels(from, begin, end), taken = whole_panels(to, begin, end);
        ASSERT_TRUE(sent.begin == taken.begin && sent.end == taken.end && sent.bytes.size() == taken.bytes.size());
        if (sent.bytes.empty()) continue;
        ++found;
        ASSERT_TRUE(begin <= sent.begin && sent.begin < sent.end && sent.end <= end);
        EXPECT_EQ(sent.bytes.size(), static_cast<size_t>(sent.end - sent.begin) * dtype_size(dtype));
        std::ranges::copy(sent.bytes, taken.bytes.begin());
        Matrix back(dtype, n, k);
        unpack_span(back.t(), to, 0);
        const auto bytes = [&](const Matrix& m, int64_t first, int64_t last) {
          return std::string_view(static_cast<const char*>(m.t().data) + static_cast<size_t>(first) * dtype_size(dtype), static_cast<size_t>(last - first) * dtype_size(dtype));
        };
        EXPECT_EQ(bytes(back, sent.begin, sent.end), bytes(w, sent.begin, sent.end));
        EXPECT_EQ(bytes(back, 0, sent.begin), bytes(other, 0, sent.begin));
        EXPECT_EQ(bytes(back, sent.end, n * k), bytes(other, sent.end, n * k));
      }
    }
    EXPECT_TRUE(found > 0 || dtype == DType::bf16);  // widened where the processor does not multiply bf16
    PackedWeight packed;
    pack_weight(packed, Matrix::random(dtype, 48, 2, 3).t(), ex);
    EXPECT_THROW(whole_panels(packed, 0, 97), Error);
  }
}

TEST(Workspace, GrowsToTheLargestRequestAndThenStays) {
  Workspace workspace(2);
  void* small = workspace.get(0, 0);
  ASSERT_NE(small, nullptr);
  void* large = workspace.get(0, 10000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large) % 64, 0u);
  std::memset(large, 1, 10000);
  EXPECT_EQ(workspace.get(0, 100), large);
  EXPECT_EQ(workspace.get(0, 10000), large);
  EXPECT_NE(workspace.get(1, 100), large);
}

TEST(Workspace, RefusesAThreadThatIsNotThere) {
  Workspace workspace(2);
  ExitCode code = ExitCode::kOk;
  EXPECT_NE(message_of([&] { workspace.get(2, 1); }, code).find("workspace of thread 2, there are 2"),
            std::string::npos);
  EXPECT_EQ(code, ExitCode::kInternal);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose allocators end the program instead
TEST(Workspace, OutOfMemoryHasItsExitCode) {
  Workspace workspace(1);
  ExitCode code = ExitCode::kOk;
  volatile size_t bytes = size_t{1} << 60;
  EXPECT_NE(message_of([&] { workspace.get(0, bytes); }, code).find("out of memory"), std::string::npos);
  EXPECT_EQ(code, ExitCode::kResources);
  EXPECT_NE(workspace.get(0, 64), nullptr);  // and serves what does fit
}
#endif

}  // namespace
}  // namespace cohort

// One allocation, planned piece by piece.
#include "model/arena.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(Arena, PiecesAreAlignedZeroedAndApart) {
  Arena arena("test");
  const size_t a = arena.plan("a", DType::f32, {3, 5}), b = arena.plan("b", DType::bf16, {7}), c = arena.plan("a", DType::i32, {2});
  arena.commit();
  for (const size_t piece : {a, b, c}) EXPECT_EQ(reinterpret_cast<uintptr_t>(arena[piece].data) % 64, 0u);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(arena[a].f32()[i], 0.0f);
  EXPECT_GE(static_cast<char*>(arena[b].data) - static_cast<char*>(arena[a].data), 60);
  EXPECT_EQ(arena[a].to_string(), "float32 (3, 5)");
  EXPECT_EQ(arena.bytes(), 64u + 64u + 64u);
  EXPECT_EQ(arena.report(), "test: 192 B (a 68 B, b 14 B)");
}

TEST(Arena, LazyPagesAreZeroedToo) {
  Arena arena("test");
  const size_t small = arena.plan("small", DType::i32, {3}), large = arena.plan("large", DType::f32, {1 << 20});
  arena.commit(Arena::Pages::lazy);
  EXPECT_EQ(arena[small].i32()[2], 0);
  for (int i = 0; i < 1 << 20; i += 4095) EXPECT_EQ(arena[large].f32()[i], 0.0f);
  arena[large].f32()[(1 << 20) - 1] = 1;  // the last element is inside
  arena[small].i32()[2] = 7;
  arena[large].f32()[1 << 19] = 1;
  arena.release(arena[large]);
  EXPECT_EQ(arena[large].f32()[1 << 19], 0.0f);
  EXPECT_EQ(arena[small].i32()[2], 7) << "a neighbour";
  float other = 0;
  EXPECT_ERROR(arena.release({&other, DType::f32, {1}}), kInternal, "not its own");
}

TEST(Arena, RefusesWrongUse) {
  Arena arena("test");
  const size_t a = arena.plan("a", DType::f32, {1});
  EXPECT_ERROR(arena[a], kInternal, "not committed");
  EXPECT_ERROR(arena.plan("negative", DType::f32, {-1}), kInternal, "negative");
  arena.commit();
  EXPECT_ERROR(arena.plan("late", DType::f32, {1}), kInternal, "after commit");
  EXPECT_ERROR(arena.commit(), kInternal, "twice");
  EXPECT_ERROR(arena[a].b16(), kInternal, "float32, read as bfloat16");
}

TEST(Arena, TooMuchMemoryIsExitCodeSix) {
  Arena arena("activations");
  arena.plan("x", DType::f32, {int64_t{1} << 30, int64_t{1} << 14});
  EXPECT_ERROR(arena.commit(), kResources, "activations");
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_float(to_bf16(1.0f)), 1.0f);
  EXPECT_EQ(to_bf16(1.0f + 0x1p-8f).bits, to_bf16(1.0f).bits);             // a tie goes to the even one
  EXPECT_EQ(to_float(to_bf16(1.0f + 3 * 0x1p-8f)), 1.0f + 2 * 0x1p-7f);    // and so does this, upwards
  EXPECT_EQ(to_float(to_bf16(1.0f + 0x1.1p-8f)), 1.0f + 0x1p-7f);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
}

}  // namespace
}  // namespace cohort

// The table of ops, its formulas, and the page that is made of them.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "bench/roofline/expect.h"
#include "core/files.h"

namespace cohort::roofline {
namespace {

const Limits& h100() { return datasheets()[0]; }

std::vector<Op> every_op(const std::string& shape) {
  std::vector<Op> all;
  for (const std::vector<Op>& list : {decode_step(find_shape(shape)), update_pass(find_shape(shape)), optimizer_step(find_shape(shape)), other_ops(find_shape(shape))})
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

TEST(Roofline, EachOpMovesBytesLaunchesAndTakesTime) {
  for (const char* shape : {"qwen2.5-0.5b", "llama-3.2-1b", "tiny"}) {
    std::set<Kind> kinds;
    for (const Op& op : every_op(shape)) {
      const Sums sums = sums_of(work_of(op));
      EXPECT_GT(sums.bytes, 0) << op_text(op);
      EXPECT_GT(sums.launches + sums.products + sums.clears, 0) << op_text(op);
      EXPECT_EQ(sums.flops > 0, sums.products > 0 || op.kind == Kind::attention_pack || op.kind == Kind::attention_pack_backward || op.kind == Kind::attention_cached) << op_text(op);
      for (const Limits& limits : datasheets()) {
        const Bound bound = bound_of(work_of(op), limits);
        EXPECT_GT(bound.work_us, 0) << op_text(op);
        EXPECT_GE(bound.us, bound.work_us) << op_text(op);
      }
      kinds.insert(op.kind);
    }
    for (int kind = 0; kind <= static_cast<int>(Kind::find_non_finite); ++kind)
      EXPECT_TRUE(kinds.contains(static_cast<Kind>(kind)) || (static_cast<Kind>(kind) == Kind::add_bias || static_cast<Kind>(kind) == Kind::bias_backward))
          << shape << " does not measure " << kind_name(static_cast<Kind>(kind));
  }
}

TEST(Roofline, ProductsAsByHand) {
  // 3 x 5 to 7, in bf16, out f32 and added to.
  const Sums sums = sums_of(work_of({.kind = Kind::forward, .name = "w", .rows = 3, .n = 7, .k = 5, .out = DType::f32, .accumulate = true}));
  EXPECT_EQ(sums.flops, 2 * 3 * 5 * 7);
  EXPECT_EQ(sums.bytes, 2 * 3 * 5 + 2 * 7 * 5 + 2 * 4 * 3 * 7);
  EXPECT_EQ(sums.products, 1);
}

TEST(Roofline, PairsOfAPackAsCounted) {
  const Sequences s{.prompts = 2, .samples = 3, .prompt = 5, .completion = 4};
  double pairs = 0;
  for (int64_t p = 0; p < s.prompts; ++p) {
    for (int64_t i = 0; i < s.prompt; ++i) pairs += static_cast<double>(i + 1);
    for (int64_t sample = 0; sample < s.samples; ++sample)
      for (int64_t i = 0; i < s.completion; ++i) pairs += static_cast<double>(s.prompt + i + 1);
  }
  EXPECT_EQ(pack_pairs(s), pairs);
}

// docs/gpu.md derives these by hand.
TEST(Roofline, AttentionAsInTheDocs) {
  const HeadLayout heads{.num_heads = 14, .num_kv_heads = 2, .head_size = 64};
  Op op{.kind = Kind::attention_pack, .name = "attention", .rows = 32 * 1024, .heads = heads, .sequences = {.prompts = 32, .samples = 1, .prompt = 0, .completion = 1024}};
  EXPECT_NEAR(sums_of(work_of(op)).flops, 60e9, 1e9);
  EXPECT_NEAR(bound_of(work_of(op), h100()).us, 143, 3);  // 421 TFLOP/s
  op.kind = Kind::attention_pack_backward;
  EXPECT_NEAR(sums_of(work_of(op)).flops, 210e9, 2e9);
  EXPECT_NEAR(bound_of(work_of(op), h100()).us, 570, 10);
  Op decode{.kind = Kind::attention_cached, .name = "attention", .rows = 256, .heads = heads, .sequences = {.prompts = 256, .samples = 1, .prompt = 256, .completion = 256}};
  const auto keys_us = [&] { return 24 * bound_of({work_of(decode)[0]}, h100()).us; };  // and the splits' results, 2 MB a layer
  EXPECT_NEAR(keys_us(), 480, 20);
  decode.sequences = {.prompts = 16, .samples = 16, .prompt = 256, .completion = 256, .shared = true};
  EXPECT_NEAR(keys_us(), 260, 20);
}

TEST(Roofline, DecodeOfManySequencesByHand) {
  const Expected e = expected(find_shape("qwen2.5-0.5b"), h100());
  EXPECT_NEAR(e.decode_tokens / e.decode_floor_us * 1e6, 330e3, 5e3);
  EXPECT_GT(e.decode_tokens / e.decode_us * 1e6, 60e3);
  EXPECT_GT(e.update_tokens / e.update_us * 1e6, 100e3);
  EXPECT_LT(e.decode_floor_us, e.decode_work_us);
  EXPECT_LT(e.decode_work_us, e.decode_us);
}

TEST(Roofline, ParametersOfPublishedModels) {
  EXPECT_EQ(parameters(find_shape("qwen2.5-0.5b").config), 494'032'768);
  EXPECT_EQ(parameters(find_shape("llama-3.2-1b").config), 1'235'814'400);
}

// Logits that fit into the L2 cache need not go to memory.
TEST(Roofline, SmallChunksOfLogitsStayInTheCache) {
  Op op{.kind = Kind::head_logprobs, .name = "head", .rows = 256, .n = 8192, .k = 64};
  Limits large = h100(), small = h100();
  large.launch_us = small.launch_us = 0;
  small.l2_mb = 1;
  EXPECT_LT(bound_of(work_of(op), large).us, bound_of(work_of(op), small).us);
}

TEST(Roofline, AFolderIsAShape) {
  EXPECT_THROW(find_shape("qwen3"), Error);
  const std::filesystem::path folder = std::filesystem::path(GOLDEN_DIR) / "families";
  EXPECT_THROW(find_shape(folder.string()), Error);  // without a config.json
}

TEST(Roofline, UntiedHeadsClearTheEmbeddingsGradient) {
  Shape shape = find_shape("tiny");
  const auto clears = [](const Shape& of) { return total_of(update_pass(of), h100()).sums.clears; };
  const int64_t tied = clears(shape);
  shape.config.tie_word_embeddings = false;
  EXPECT_EQ(clears(shape), tied + 2);
  EXPECT_GT(parameters(shape.config), parameters(find_shape("tiny").config));
}

TEST(Roofline, WhatTheTableDoesNotKnowIsRefused) {
  Shape shape = find_shape("tiny");
  shape.config.sandwich_norms = true;
  EXPECT_THROW(decode_step(shape), Error);
  EXPECT_THROW(update_pass(shape), Error);
}

TEST(Roofline, ThePageIsFresh) {
  const std::filesystem::path file = std::filesystem::path(SOURCE_DIR) / "docs/gpu_roofline.md";
  ASSERT_TRUE(std::filesystem::exists(file));
  EXPECT_TRUE(read_file(file) == roofline_page()) << "docs/gpu_roofline.md is stale: build/gpu_kernels_emulated --expect > docs/gpu_roofline.md";
}

}  // namespace
}  // namespace cohort::roofline

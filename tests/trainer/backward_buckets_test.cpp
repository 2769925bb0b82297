// Buckets of parameters in the order of the backward pass.
#include <gtest/gtest.h>

#include "trainer/device_reduction.h"

namespace cohort {
namespace {

ParamTable table(bool tied, int64_t layers) {
  ModelConfig config;
  config.vocab_size = 300;
  config.hidden_size = 32;
  config.intermediate_size = 64;
  config.num_layers = layers;
  config.num_heads = config.num_kv_heads = 2;
  config.head_size = 16;
  config.tie_word_embeddings = tied;
  return make_param_table(config, 8);
}

TEST(BackwardBuckets, AreAllOfTheParametersFromTheEndToTheBeginning) {
  for (const bool tied : {true, false}) {
    for (int64_t layers : {1, 4}) {
      const ParamTable params = table(tied, layers);
      for (int64_t least : {int64_t{1}, int64_t{10'000}, int64_t{20'000}, int64_t{1} << 40}) {
        const std::vector<ParamSpan> buckets = backward_buckets(params, least);
        int64_t end = params.size;
        for (size_t i = 0; i < buckets.size(); ++i) {
          EXPECT_EQ(buckets[i].end, end);
          end = buckets[i].begin;
          const bool last = i + 1 == buckets.size();
          EXPECT_TRUE(last || buckets[i].end - buckets[i].begin >= least) << "bucket " << i;
        }
        EXPECT_EQ(end, 0);
      }
    }
  }
}

TEST(BackwardBuckets, AreLayersWhereTheseAreLargeEnough) {
  const ParamTable params = table(true, 3);
  const std::vector<ParamSpan> buckets = backward_buckets(params, 1);
  ASSERT_EQ(buckets.size(), 5u);
  EXPECT_EQ(buckets[0].begin, params.final_norm);
  for (size_t l = 0; l < 3; ++l) {
    EXPECT_EQ(buckets[3 - l].begin, params.layers[l].span.begin);
    EXPECT_EQ(buckets[3 - l].end, params.layers[l].span.end);
  }
  EXPECT_EQ(buckets[4].end, params.layers[0].span.begin);
  EXPECT_EQ(backward_buckets(params, int64_t{1} << 40).size(), 1u);
}

}  // namespace
}  // namespace cohort

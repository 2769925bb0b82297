// The schema covers every member of the config.
#include <gtest/gtest.h>

#include "trainer/config.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

// How many members an aggregate has: the most values that it can be made from.
struct Anything {
  template <typename T>
  operator T() const;
};
template <typename T, typename... Values>
constexpr size_t members() {
  if constexpr (requires { T{Values{}..., Anything{}}; }) {
    return members<T, Values..., Anything>();
  } else {
    return sizeof...(Values);
  }
}

TEST(ConfigSchema, EveryMemberHasARow) {
  EXPECT_EQ(keys_of("run").size(), members<RunConfig>());
  EXPECT_EQ(keys_of("model.init").size(), members<ModelInitConfig>());
  EXPECT_EQ(keys_of("model.lora").size(), members<LoraSection>());
  EXPECT_EQ(keys_of("data.task").size(), members<TaskConfig>());
  EXPECT_EQ(keys_of("data.curriculum").size(), members<CurriculumConfig>());
  EXPECT_EQ(keys_of("rollout").size(), members<RolloutSection>());
  EXPECT_EQ(keys_of("algorithm").size(), members<AlgorithmSection>());
  EXPECT_EQ(keys_of("optim").size(), members<OptimSection>());
  EXPECT_EQ(keys_of("trainer.warm_start").size(), members<WarmStartConfig>());
  EXPECT_EQ(keys_of("sft").size(), members<SftSection>());
  EXPECT_EQ(keys_of("rm").size(), members<RmSection>());
  EXPECT_EQ(keys_of("comm").size(), members<CommSection>());
  EXPECT_EQ(keys_of("log").size(), members<LogSection>());
  // And a map inside each of these.
  EXPECT_EQ(keys_of("model").size() + 2, members<ModelSection>());  // two maps
  EXPECT_EQ(keys_of("data").size() + 2, members<DataSection>());
  EXPECT_EQ(keys_of("trainer").size() + 1, members<TrainerSection>());
}

}  // namespace
}  // namespace cohort

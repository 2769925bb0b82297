// What of a config decides the bits of a run, and so must agree when a run is resumed.
#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/trainer/config_cases.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

TEST(ConfigIdentity, HoldsWhatDecidesTheBits) {
  const Config config = minimal_config();
  const std::string identity = config_identity(config);
  EXPECT_EQ(identity_differences(config, identity), std::vector<std::string>{});
  Config other = config;
  other.optim.learning_rate = 1e-5f;
  other.run.seed = 43;
  other.trainer.logical_ranks = 4;
  other.model.path = "models/n";
  other.reward[0].weight = 2;
  other.rollout.stop = {"</answer>", "\n\n"};
  other.rollout.stop_token_ids = {7};
  EXPECT_EQ(identity_differences(other, identity),
            (std::vector<std::string>{
                "model.path (now models/n, was models/m)",
                "optim.learning_rate (now 1.0e-05, was 1.0e-06)",
                "reward (now [{\"name\":\"last_number\",\"weight\":2.0}], was "
                "[{\"name\":\"last_number\",\"weight\":1.0}])",
                "rollout.stop (now [\"\\n\\n\", \"</answer>\"], was [])",
                "rollout.stop_token_ids (now [7], was [])",
                "run.seed (now 43, was 42)", "trainer.logical_ranks (now 4, was 8)"}));
}

TEST(ConfigIdentity, StopsAreSets) {
  Config config = minimal_config(), other = config;
  config.rollout.stop = {"b", "a"};
  config.rollout.stop_token_ids = {10, 9};
  other.rollout.stop = {"a", "b", "a"};
  other.rollout.stop_token_ids = {9, 10, 9};
  EXPECT_EQ(identity_differences(other, config_identity(config)), std::vector<std::string>{});
  other.rollout.stop = {"a"};
  EXPECT_EQ(identity_differences(other, config_identity(config)).size(), 1u);
}

TEST(ConfigIdentity, LeavesOutWhatCannotChangeThem) {
  const Config config = minimal_config();
  Config other = config;
  other.run.name = std::string("another");
  other.run.dir = "elsewhere";
  other.run.threads = 7;
  other.run.resume = "never";
  other.run.allow_changes = {"optim.learning_rate"};
  other.run.pin_threads = "off";
  other.model.path = "models/m/";
  other.data.train = "moved.jsonl";
  other.data.eval = "e.jsonl";
  other.data.max_eval_samples = 3;
  other.rollout.max_num_seqs = 2;
  other.rollout.max_num_batched_tokens = 64;
  other.rollout.kv_cache_gb = 0.5;
  other.rollout.load_balancing = "work_stealing";
  other.rollout.eval_temperature = 0.5f;
  other.rollout.eval_top_p = 0.5f;
  other.rollout.eval_top_k = 5;
  other.rollout.eval_min_p = 0.1f;
  other.rollout.num_generations_eval = 4;
  other.trainer.eval_pass_at_k = {2};
  other.trainer.eval_pass_threshold = 0.5;
  other.trainer.metric_for_best_model = "eval/accuracy";
  other.trainer.greater_is_better = false;
  other.log.eval_completions = false;
  other.trainer.max_steps = 1000;
  other.trainer.eval_steps = 7;
  other.trainer.eval_before = false;
  other.trainer.save_steps = 3;
  other.trainer.save_total_limit = 9;
  other.trainer.checkpoint_must_save_by = "00:01:00:00";
  other.trainer.gradient_checkpointing = true;
  other.trainer.reuse_activations = false;
  other.comm.timeout_s = 1;
  other.log.progress = false;
  other.log.trace = true;
  EXPECT_EQ(config_identity(other), config_identity(config));
}

TEST(ConfigIdentity, HoldsMaxStepsWhenTheLearningRateDependsOnThem) {
  for (const auto& [scheduler, warmup] :
       {std::pair("linear", 0.0f), std::pair("cosine", 0.0f), std::pair("constant", 0.1f)}) {
    Config config = minimal_config();
    config.optim.lr_scheduler_type = scheduler;
    config.optim.warmup_ratio = warmup;
    Config longer = config;
    longer.trainer.max_steps = 200;
    EXPECT_EQ(identity_differences(longer, config_identity(config)),
              std::vector<std::string>{"trainer.max_steps (now 200, was 100)"});
  }
}

TEST(ConfigIdentity, HoldsTheWeightsOfSourcesButNotTheirPaths) {
  Config config = minimal_config();
  config.data.train = {};
  config.data.train.sources = {{"a", "a.jsonl", 1}, {"b", "b.jsonl", 3}};
  Config moved = config, other = config;
  moved.data.train.sources[0].path = "elsewhere/a.jsonl";
  EXPECT_EQ(config_identity(moved), config_identity(config));
  other.data.train.sources[1].weight = 2.5;
  EXPECT_EQ(identity_differences(other, config_identity(config)), std::vector<std::string>{"data.train (now {a: 1, b: 2.5}, was {a: 1, b: 3})"});
  EXPECT_EQ(identity_differences(minimal_config(), config_identity(config)), std::vector<std::string>{"data.train (now absent, was {a: 1, b: 3})"});
}

TEST(ConfigIdentity, AMapThatIsAbsentIsToldOnce) {
  Config config = minimal_config();
  config.data.train.clear();
  config.data.task.emplace().name = "reverse";
  Config warm = config;
  warm.trainer.warm_start.emplace().steps = 5;
  EXPECT_EQ(identity_differences(warm, config_identity(config)),
            std::vector<std::string>{"trainer.warm_start (now given, was absent)"});
  EXPECT_EQ(identity_differences(config, config_identity(warm)),
            std::vector<std::string>{"trainer.warm_start (now absent, was given)"});
}

TEST(ConfigIdentity, TheOrderOfOptionsDoesNotMatter) {
  Config a = minimal_config(), b = minimal_config();
  a.reward[0].options = {{"x", 1}, {"y", {{"p", 1}, {"q", 2}}}};
  b.reward[0].options = {{"y", {{"q", 2}, {"p", 1}}}, {"x", 1}};
  EXPECT_EQ(config_identity(a), config_identity(b));
}

TEST(ConfigIdentity, AKeyThatAnOlderVersionDidNotKnowIsItsDefault) {
  const Config config = minimal_config();
  std::string older = config_identity(config);
  const size_t at = older.find("algorithm.num_iterations: ");
  ASSERT_NE(at, std::string::npos);
  older.erase(at, older.find('\n', at) + 1 - at);
  EXPECT_EQ(identity_differences(config, older), std::vector<std::string>{});
  Config other = config;
  other.algorithm.num_iterations = 2;
  EXPECT_EQ(identity_differences(other, older),
            std::vector<std::string>{"algorithm.num_iterations (now 2, was 1)"});
  EXPECT_EQ(identity_differences(config, older + "algorithm.new_key: 3\n"),
            std::vector<std::string>{"algorithm.new_key (now absent, was 3)"});
}

}  // namespace
}  // namespace cohort

// What a config's rollout section makes of a generator.
#include "trainer/generator_setup.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "tests/core/expect_error.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {
namespace {

class GeneratorSetup : public testing::Test {
 protected:
  GeneratorSetup() : owner_(1) {
    std::string name = (std::filesystem::temp_directory_path() / "cohort-setup-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    write_initial_model(initial_model_files({.hidden_size = 32, .intermediate_size = 64, .num_layers = 1}, "float32"), folder_);
    model_.emplace(init_model(folder_, "float32", 1, 1, owner_.exec()));
    eos_ = stop_tokens(*model_);
  }
  ~GeneratorSetup() override { std::filesystem::remove_all(folder_); }

  GeneratorConfig stops(const std::vector<std::string>& texts, const std::vector<int64_t>& ids, const StopKeys& keys = {}) {
    GeneratorConfig g;
    add_stops(g, *model_, texts, ids, keys);
    return g;
  }
  ExecOwner owner_;
  std::filesystem::path folder_;
  std::optional<LoadedModel> model_;
  std::vector<int32_t> eos_;
};

TEST_F(GeneratorSetup, StopTokensComeBesideTheModelsOwn) {
  const GeneratorConfig g = stops({"</answer>"}, {65, eos_.at(0), 65});
  std::vector<int32_t> expected = eos_;
  expected.push_back(65);
  EXPECT_EQ(g.stop_token_ids, expected);
  EXPECT_EQ(g.stop, std::vector<std::string>{"</answer>"});
  EXPECT_EQ(g.tokenizer, &model_->tokenizer);
}

TEST_F(GeneratorSetup, StopsThatCannotComeAreRefused) {
  EXPECT_ERROR(stops({}, {100000}), kUsage, "rollout.stop_token_ids: found 100000; the model's tokens are 0 to ");
  EXPECT_ERROR(stops({}, {-1}, {"--stop", "--stop-token-ids"}), kUsage, "--stop-token-ids: found -1");
  EXPECT_ERROR(stops({"a", "<|endoftext|>"}, {}), kUsage,
               "rollout.stop: '<|endoftext|>' is a special token, which is not part of the text; give its id 256 in rollout.stop_token_ids");
  EXPECT_ERROR(stops({""}, {}, {"--stop", "--stop-token-ids"}), kUsage, "--stop: found an empty text");
}

TEST_F(GeneratorSetup, TakesTheRolloutSection) {
  Config config;
  config.rollout.temperature = 0.5f;
  config.rollout.eval_temperature = 0.25f;
  config.rollout.max_num_seqs = 10;
  config.rollout.kv_cache_gb = 0.125;
  config.rollout.stop = {"x"};
  config.run.seed = 7;
  const auto comm = make_self_comm();
  const GeneratorConfig g = generator_config(config, *model_, Sampling::training, 6, *comm, 1);
  EXPECT_EQ(g.sampling.temperature, 0.5f);
  EXPECT_EQ(g.max_num_seqs, 6) << "no more than there are";
  EXPECT_EQ(g.kv_cache.gb, 0.125);
  EXPECT_EQ(g.stop, config.rollout.stop);
  EXPECT_EQ(g.seed, 7u);
  const GeneratorConfig e = generator_config(config, *model_, Sampling::evaluation, 60, *comm, 1);
  EXPECT_EQ(e.sampling.temperature, 0.25f);
  EXPECT_EQ(e.max_num_seqs, 10);
}

TEST_F(GeneratorSetup, RanksOfAHostShareItsMemory) {
  EXPECT_EQ(ranks_on_host(*make_self_comm()), 1);
  run_on_threads(3, [](Comm& comm) { EXPECT_EQ(ranks_on_host(comm), 3); });
  const auto one = cache_limit(Config(), 1).free_bytes, four = cache_limit(Config(), 4).free_bytes;
  ASSERT_TRUE(one && four);
  EXPECT_LT(*four, *one / 2);
}

}  // namespace
}  // namespace cohort

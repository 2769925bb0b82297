// Completions, gradients and weights are the same however a step is computed: sequences at once, budget of rows, pages, pre-emption, kept
// activations, checkpointing, threads and ranks, all at random.
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <random>

#include "rollout/cache_size.h"
#include "tests/rollout/tiny_text.h"
#include "tests/trainer/thread_comm.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/experience.h"
#include "trainer/tape_size.h"

namespace cohort {
namespace {

constexpr int64_t kSamples = 4, kSteps = 2, kLongestPrompt = 34, kCompletion = 30;

// What no bit may depend on.
struct Setting {
  int ranks = 1, threads = 1;
  int64_t max_num_seqs = 1, max_num_batched_tokens = 2048, page_tokens = kPageTokens;
  int64_t cached_positions = 0;  // 0: as many as are asked for
  int64_t slots = 0;             // of the tape; 0: none
  bool gradient_checkpointing = false, work_stealing = false;

  std::string text() const {
    return fmt::format("{} ranks, {} threads, {} sequences, {} rows, pages of {}, cache of {}, {} slots{}{}", ranks, threads, max_num_seqs,
                       max_num_batched_tokens, page_tokens, cached_positions, slots, gradient_checkpointing ? ", checkpointing" : "",
                       work_stealing ? ", work stealing" : "");
  }
};

Setting random_setting(Random& random) {
  Setting s;
  s.ranks = static_cast<int>(random.between(1, 4));
  s.threads = static_cast<int>(random.between(1, 3));
  s.max_num_seqs = random.between(1, 20);
  s.max_num_batched_tokens = random.below(2) == 0 ? random.between(1, 12) : random.between(1, 200);
  s.page_tokens = int64_t{1} << random.between(4, random.below(3) == 0 ? 8 : 4);
  if (random.below(3) > 0) s.cached_positions = (kLongestPrompt + kCompletion) * (random.below(2) + 1) + random.between(0, 40);
  if (random.below(3) > 0) s.slots = random.below(2) == 0 ? random.between(8, 250) : 900;
  s.gradient_checkpointing = random.below(3) == 0;
  s.work_stealing = random.below(2) == 0;
  return s;
}

struct Result {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::vector<float>> logprobs;
  std::map<int, std::vector<float>> moments;  // the gradients' means of each step, by logical rank
  std::vector<std::string> metrics;           // of each step
  std::vector<std::byte> weights;
  bool operator==(const Result&) const = default;
};

// How often what is to be tried did happen.
struct Happened {
  int64_t preempted = 0, reused = 0, reused_in_part = 0, stolen = 0;
};

Config config_of(const Setting& setting) {
  Config config = TinyRun().config;  // 4 logical ranks
  config.trainer.pack_tokens = 60;
  config.trainer.gradient_checkpointing = setting.gradient_checkpointing;
  return config;
}

GeneratorConfig generator_of(const Setting& setting, const Policy& policy) {
  GeneratorConfig c;
  c.max_completion_length = kCompletion;
  c.stop_token_ids = {1, 2};
  c.max_num_seqs = setting.max_num_seqs;
  c.max_num_batched_tokens = setting.max_num_batched_tokens;
  c.page_tokens = setting.page_tokens;
  if (setting.cached_positions > 0) {
    const int64_t pages = (setting.cached_positions + c.page_tokens - 1) / c.page_tokens;
    c.kv_cache = {.gb = static_cast<double>(pages * kv_page_bytes(policy.config, policy.dtype, c.page_tokens)) / 1e9 * (1 + 1e-12)};
  }
  return c;
}

// A score that is spread within most groups.
double score_of(const Rollout& rollout) {
  int64_t sum = 0;
  for (const int32_t token : rollout.tokens) sum += token;
  return static_cast<double>(sum % 5) / 4;
}

std::vector<Group> groups_of(const std::vector<Problem>& problems, std::vector<ScoredRollout>& made) {
  std::vector<Group> groups;
  for (size_t p = 0; p < problems.size(); ++p) {
    Group group;
    group.prompt = problems[p].tokens;
    std::vector<double> scores;
    for (size_t i = p * kSamples; i < (p + 1) * kSamples; ++i) {
      scores.push_back(score_of(made[i].rollout));
      group.rollouts.push_back(std::move(made[i].rollout));
    }
    const StepAdvantages advantages = step_advantages({.group_size = kSamples, .totals = {scores.begin(), scores.end()}}, {});
    group.advantages = advantages.of;
    group.has_signal = !advantages.constant[0];
    groups.push_back(std::move(group));
  }
  return groups;
}

// Some steps as a run makes them, on one rank; adds what this rank owns to `result`.
void run_rank(Comm& comm, const Setting& setting, Result& result, Happened& happened, std::mutex& lock) {
  ExecOwner owner(setting.threads);
  const auto policy = tiny_policy(DType::bf16, 5, owner.exec());
  const Config config = config_of(setting);
  Optimizer optimizer(*policy, config.optim, static_cast<int>(config.trainer.logical_ranks), comm);
  Updater updater(*policy, nullptr, optimizer, config, comm);
  const Tokenizer tokenizer = tiny_tokenizer();
  const RewardSet rewards({{"last_number", 1.0, Json::object()}});
  std::vector<Problem> problems(5);
  std::vector<const Problem*> all;
  std::vector<std::string> names;
  for (size_t i = 0; i < problems.size(); ++i) {
    problems[i].tokens.assign(i + 1 < problems.size() ? 3 + 7 * i : kLongestPrompt, static_cast<int32_t>(10 + i));
    problems[i].columns = {{"answer", "1"}};
    all.push_back(&problems[i]);
    names.push_back("p" + std::to_string(i));
  }
  Generator generator(*policy, generator_of(setting, *policy), kLongestPrompt);
  std::optional<ActivationTape> tape;
  if (setting.slots > 0) tape.emplace(policy->config, policy->dtype, setting.slots, tape_rows(config));
  ExperienceMaker maker{generator, tokenizer, rewards, comm, owner.exec(), nullptr, tape ? &*tape : nullptr};
  maker.work_stealing = setting.work_stealing;
  for (int64_t step = 1; step <= kSteps; ++step) {
    if (tape) tape->begin(policy->version);
    if (tape && tape->kept() == TapeRows::inputs) tape->lie_in_gradient(optimizer.gradients().next_buffer(), policy->table);
    std::vector<ScoredRollout> made = maker.make(all, kSamples, static_cast<uint32_t>(step));
    std::vector<std::vector<int32_t>> tokens;
    std::vector<std::vector<float>> logprobs;
    for (const ScoredRollout& scored : made) tokens.push_back(scored.rollout.tokens), logprobs.push_back(scored.rollout.logprobs);
    Metrics metrics;
    updater.update(groups_of(problems, made), names, step, metrics, owner.exec(), tape ? &*tape : nullptr);

    const std::lock_guard held(lock);
    const double reused = metrics.get("perf/reused_rows");
    metrics.set("perf/reused_rows", 0.0);
    happened.reused += reused == 1, happened.reused_in_part += reused > 0 && reused < 1;
    happened.preempted += generator.stats().preemptions, happened.stolen += maker.stats.stolen;
    const LogicalRange shards = optimizer.owned_shards();
    for (int shard = shards.first; shard < shards.last; ++shard) {
      std::vector<float> m(static_cast<size_t>(optimizer.shard_size()));
      optimizer.read_state(shard, Optimizer::Part::m, 0, m);
      result.moments[shard].insert(result.moments[shard].end(), m.begin(), m.end());
    }
    if (comm.rank() > 0) continue;
    result.tokens.insert(result.tokens.end(), tokens.begin(), tokens.end());
    result.logprobs.insert(result.logprobs.end(), logprobs.begin(), logprobs.end());
    result.metrics.push_back(dump_json(metrics.values()));
    result.weights = FlatWeights(*policy).bytes;
  }
}

Result result_of(const Setting& setting, Happened& happened) {
  Result result;
  std::mutex lock;
  run_on_threads(setting.ranks, [&](Comm& comm) { run_rank(comm, setting, result, happened, lock); });
  return result;
}

TEST(UpdateSettings, NoneOfTwoHundredChangesABit) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed, Stream::kTest);
  Happened happened;
  const Result expected = result_of({}, happened);  // one sequence at a time, one thread, nothing kept
  ASSERT_EQ(expected.tokens.size(), static_cast<size_t>(5 * kSamples * kSteps));
  EXPECT_EQ(expected.moments.size(), 4u);
  EXPECT_EQ(happened.preempted + happened.reused + happened.stolen, 0);
  for (int number = 0; number < 200; ++number) {
    const Setting setting = random_setting(random);
    const Result got = result_of(setting, happened);
    ASSERT_EQ(got.tokens, expected.tokens) << "setting " << number << ": " << setting.text();
    ASSERT_EQ(got.logprobs, expected.logprobs) << "setting " << number << ": " << setting.text();
    ASSERT_TRUE(got.moments == expected.moments) << "setting " << number << ": " << setting.text();
    ASSERT_EQ(got.metrics, expected.metrics) << "setting " << number << ": " << setting.text();
    ASSERT_TRUE(got.weights == expected.weights) << "setting " << number << ": " << setting.text();
  }
  EXPECT_GT(happened.preempted, 100);
  EXPECT_GT(happened.reused, 5);
  EXPECT_GT(happened.reused_in_part, 100);
  EXPECT_GT(happened.stolen, 500);
}

}  // namespace
}  // namespace cohort

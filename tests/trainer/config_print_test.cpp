// The schema's rows are distinct, a printed config reads back bit for bit, and identities differ
// where bits may.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/check.h"
#include "core/yaml.h"
#include "tests/trainer/config_cases.h"
#include "trainer/config.h"
#include "trainer/config_schema.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

void expect_equal(const Config& a, const Config& b) {
  EXPECT_EQ(a.run, b.run);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.data, b.data);
  EXPECT_EQ(a.rollout, b.rollout);
  EXPECT_EQ(a.algorithm, b.algorithm);
  EXPECT_EQ(a.optim, b.optim);
  EXPECT_EQ(a.trainer, b.trainer);
  EXPECT_EQ(a.sft, b.sft);
  EXPECT_EQ(a.rm, b.rm);
  EXPECT_EQ(a.comm, b.comm);
  EXPECT_EQ(a.log, b.log);
  ASSERT_EQ(a.reward.size(), b.reward.size());
  for (size_t i = 0; i < a.reward.size(); ++i) {
    EXPECT_EQ(a.reward[i].name, b.reward[i].name);
    EXPECT_EQ(a.reward[i].kind, b.reward[i].kind);
    EXPECT_EQ(a.reward[i].weight, b.reward[i].weight);
    EXPECT_EQ(a.reward[i].options.dump(), b.reward[i].options.dump());
  }
}

TEST(ConfigSchema, RowsAreDistinctAndExplained) {
  Config config;
  for (const SectionRow& row : config_sections()) {
    if (row.optional()) row.set_present(config, true);
  }
  std::set<std::string> paths;
  std::set<ValuePointer> places;
  for (const KeyRow& key : config_keys()) {
    EXPECT_TRUE(paths.insert(key.path()).second) << key.path();
    EXPECT_TRUE(places.insert(key.value(config)).second)
        << key.path() << " has the member of another key";
    EXPECT_NE(find_section(key.section), nullptr) << key.path();
    EXPECT_NE(key.help, "") << key.path();
    EXPECT_EQ(key.help.find('\n'), std::string::npos) << key.path();
    EXPECT_NE(key.allowed(), "") << key.path();
  }
}

TEST(ConfigPrint, DefaultsAreWithinTheirRanges) {
  const Config config = minimal_config();
  expect_equal(parse_config(config_to_yaml(config), "printed"), config);
}

// Those of `cohort sft`, of `cohort rm`, and then those of `cohort train`.
TEST(ConfigPrint, EveryKeyIsPresent) {
  Config config = minimal_config();
  for (const SectionRow& row : config_sections()) {
    if (row.optional()) row.set_present(config, true);
  }
  std::set<std::string> printed;
  for (const char* command : {"sft", "rm", "train"}) {
    if (command != std::string("sft")) config.sft.reset();
    if (command == std::string("train")) config.rm.reset();
    const YAML::Node root = parse_yaml(config_to_yaml(config), "printed");
    for (const auto& section : root) {
      if (section.second.IsSequence()) continue;  // reward
      for (const auto& entry : section.second) {
        const std::string path = section.first.Scalar() + "." + entry.first.Scalar();
        if (find_section(path) == nullptr) printed.insert(path);
        if (find_section(path) != nullptr)
          for (const auto& inner : entry.second) printed.insert(path + "." + inner.first.Scalar());
      }
    }
    EXPECT_EQ(root.size(), config.learns_from_rows() ? 8u : 10u);
  }
  EXPECT_EQ(printed.size(), config_keys().size());
}

TEST(ConfigPrint, NumbersLookLikeTheirTypes) {
  Config config = minimal_config();
  config.optim.learning_rate = 1e-6f;
  config.rollout.temperature = 1.0f;
  config.comm.timeout_s = 0.1;
  config.algorithm.beta = 0.1f;
  config.reward[0].weight = 2;
  const std::string yaml = config_to_yaml(config);
  config.data.eval.sources = {{"math", "a b.jsonl"}};
  config.data.train = {};
  config.data.train.sources = {{"sums", "s.jsonl", 3}};
  EXPECT_NE(config_to_yaml(config).find("\n  eval: [{name: math, path: \"a b.jsonl\"}] "), std::string::npos) << config_to_yaml(config);
  EXPECT_NE(config_to_yaml(config).find("\n  train: [{name: sums, path: s.jsonl, weight: 3.0}] "), std::string::npos) << config_to_yaml(config);
  for (const char* line :
       {"\n  learning_rate: 1.0e-06 ", "\n  temperature: 1.0 ", "\n  timeout_s: 0.1 ",
        "\n  beta: 0.1 ", "\n  - {name: last_number, weight: 2.0}\n", "\n  seed: 42 ",
        "\n  init: null ", "\n  eval: null "}) {
    EXPECT_NE(yaml.find(line), std::string::npos) << line << " in\n" << yaml;
  }
}

class RandomConfig {
 public:
  explicit RandomConfig(unsigned seed) : random_(seed) {}

  Config next() {
    Config config;
    for (const SectionRow& row : config_sections()) {
      if (row.optional()) row.set_present(config, coin());
    }
    for (const KeyRow& key : config_keys()) {
      const SectionRow& section = *find_section(key.section);
      if (!section.optional() || section.present(config)) {
        std::visit([&](auto* value) { fill(*value, key); }, key.value(config));
      }
    }
    repair(config);
    return config;
  }

 private:
  bool coin() { return random_() % 2 == 0; }
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

  void fill(bool& value, const KeyRow&) { value = coin(); }
  void fill(uint64_t& value, const KeyRow&) {
    value = (uint64_t{random_()} << 32 | random_()) >> between(0, 63);
  }
  void fill(int64_t& value, const KeyRow& key) {
    const auto low = static_cast<int64_t>(key.bounds.low),
               high = static_cast<int64_t>(key.bounds.high);
    value = coin() ? between(low, high) : between(low, std::min(high, low + 10));
  }
  void fill(float& value, const KeyRow& key) { value = real<float>(key); }
  void fill(double& value, const KeyRow& key) { value = real<double>(key); }
  template <typename T>
  T real(const KeyRow& key) {
    while (true) {
      if (key.bounds.or_be && random_() % 4 == 0) return static_cast<T>(*key.bounds.or_be);
      const int exponent = static_cast<int>(between(-30, 30));
      const auto value =
          static_cast<T>(std::ldexp(static_cast<T>(random_()) / T{4294967296.0}, exponent));
      if (key.bounds.contain(value)) return value;
    }
  }
  void fill(DataFiles& value, const KeyRow& key) {
    value.clear();
    if (coin()) {
      value.path = text(false);
      return;
    }
    for (int64_t i = between(1, 3); i > 0; --i)
      value.sources.push_back({fmt::format("s{}", i), text(false), key.has_weights ? std::ldexp(1.0, static_cast<int>(between(-30, 19))) / 3 : 1});
  }
  void fill(Json& value, const KeyRow& key) {  // keys in the order that reading gives them
    value = Json::object();
    if (key.name == "columns") {  // of which only names are allowed
      const std::string name = text(false);
      if (!name.empty()) value["a"] = name;
      return;
    }
    if (coin()) value["a"] = option(2);
    if (coin()) value["b"] = coin();
  }
  void fill(std::vector<std::string>& values, const KeyRow&) {
    values.clear();
    for (int64_t i = between(0, 3); i > 0; --i) values.push_back(text(true));
  }
  void fill(std::vector<int64_t>& values, const KeyRow& key) {
    values.clear();
    for (int64_t i = between(0, 3); i > 0; --i) fill(values.emplace_back(), key);
  }
  void fill(std::string& value, const KeyRow& key) {
    value = key.words.empty() ? text(false) : key.words[random_() % key.words.size()];
  }

  std::string text(bool any_byte) {
    static const std::vector<std::string> kPieces = {"a",
                                                     "B",
                                                     "12",
                                                     "1.0",
                                                     "yes",
                                                     "null",
                                                     "~",
                                                     "true",
                                                     " ",
                                                     ": ",
                                                     ":",
                                                     " #",
                                                     "#",
                                                     "-",
                                                     "- ",
                                                     "'",
                                                     "\"",
                                                     "\\",
                                                     "{",
                                                     "}",
                                                     "[",
                                                     "]",
                                                     ",",
                                                     "&",
                                                     "*",
                                                     "!",
                                                     "|",
                                                     ">",
                                                     "%",
                                                     "@",
                                                     "`",
                                                     "=",
                                                     ".",
                                                     "..",
                                                     "_",
                                                     "é",
                                                     "中",
                                                     "😀",
                                                     "\xC2\x85",
                                                     "\xE2\x80\xA8",
                                                     "\xEF\xBB\xBF",
                                                     "\xC2\xA0",
                                                     "?",
                                                     "<<",
                                                     "---",
                                                     "0x1"};
    std::string text;
    for (int64_t pieces = between(1, 4); pieces > 0; --pieces)
      text += kPieces[random_() % kPieces.size()];
    if (any_byte && coin()) text += static_cast<char>(random_() % 128);
    return text;
  }

  Json option(int depth) {
    switch (random_() % (depth > 0 ? 7 : 4)) {
      case 0:
        return between(INT64_MIN, INT64_MAX);
      case 1:
        return std::ldexp(static_cast<double>(random_()) - 2e9,
                          static_cast<int>(between(-900, 900)));
      case 2:
        return coin();
      case 3:
        return text(true);
      case 4: {
        Json map = Json::object();
        for (int64_t i = between(0, 3); i > 0; --i) map["k" + text(true)] = option(depth - 1);
        return map;
      }
      default: {
        Json list = Json::array();
        for (int64_t i = between(0, 3); i > 0; --i) list.push_back(option(depth - 1));
        return list;
      }
    }
  }

 public:
  Json options() { return option(4); }

 private:
  // What the rows cannot know of each other.
  void repair(Config& config) {
    std::erase(config.run.name, '/');
    config.run.name += "x";
    if (config.model.init) {
      config.model.path.clear();
      ModelInitConfig& m = *config.model.init;
      m.num_kv_heads = between(1, 4);
      m.num_heads = m.num_kv_heads * between(1, 4);
      m.hidden_size = m.num_heads * 16 * between(1, 16);
      m.intermediate_size = 16 * between(1, 100);
      config.data.max_prompt_length = between(1, 1000);
      config.rollout.max_completion_length = between(1, 1000);
      m.max_positions = between(2000, 4000);
    }
    if (config.data.task) {
      config.data.columns = Json::object();  // of files alone
      config.data.train.clear();
      config.data.eval.clear();
    } else {
      config.trainer.warm_start.reset();
    }
    if (config.data.curriculum) {
      CurriculumConfig& c = *config.data.curriculum;
      c.metric = coin() ? "" : "last_number";
      if (c.min_pass_rate > c.max_pass_rate) std::swap(c.min_pass_rate, c.max_pass_rate);
      if (c.min_pass_rate == 0 && c.max_pass_rate == 1) c.max_pass_rate = 0.5;
    }
    config.rollout.eval_temperature += 0.5f;
    for (int64_t& k : config.trainer.eval_pass_at_k) k = std::min(k, config.rollout.num_generations_eval);
    config.run.allow_changes.clear();
    if (config.run.resume != "auto" && config.run.resume != "never" && coin()) config.run.allow_changes = {"optim.learning_rate", "trainer.max_steps"};
    config.trainer.checkpoint_must_save_by = coin() ? "01:02:03:04" : "";
    config.trainer.metric_for_best_model = config.data.eval.empty() && !config.data.task ? "" : "eval/accuracy";
    config.trainer.greater_is_better |= config.trainer.metric_for_best_model.empty();
    // Its keys contradict each other in many ways: of some that do not.
    const AlgorithmSection random = config.algorithm;
    config.algorithm = {.loss_type = coin() ? "dapo" : "sapo", .loss_agg_mode = random.loss_agg_mode, .beta = random.beta,
                        .scale_rewards = random.scale_rewards,
                        .entropy_coef = random.entropy_coef,
                        .top_entropy_quantile = random.top_entropy_quantile, .num_iterations = random.num_iterations,
                        .mask_truncated_completions = random.mask_truncated_completions};
    AlgorithmSection& a = config.algorithm;
    if (config.rollout.num_generations == 1) a.advantage = "none", a.scale_rewards = "auto";  // there is no group
    // What another key switches off is refused.
    if (a.loss_type == "dapo") a.epsilon = random.epsilon, a.epsilon_high = random.epsilon_high;
    if (a.loss_type == "sapo") a.sapo_temperature_pos = random.sapo_temperature_pos, a.sapo_temperature_neg = random.sapo_temperature_neg;
    if (a.beta > 0) a.kl_estimator = random.kl_estimator, a.kl_input_clamp_value = random.kl_input_clamp_value, a.ref_model_sync_steps = random.ref_model_sync_steps;
    if (a.ref_model_sync_steps > 0) a.ref_model_mixup_alpha = random.ref_model_mixup_alpha;
    if (coin()) a.use_adaptive_entropy = true, a.entropy_coef = 0.5f, a.entropy_target = random.entropy_target, a.entropy_coef_delta = random.entropy_coef_delta;
    if (coin()) a.token_weight_pattern = "(?s)<a>.*?</a>: #'\"", a.token_weight = 0.25f;
    if (config.rollout.num_generations > 2 && coin()) a.select_completions = "max_variance", a.num_selected = between(2, config.rollout.num_generations - 1);
    if (config.model.lora) {
      static const std::vector<std::vector<std::string>> kModules = {{"all-linear"}, {"v_proj", "q_proj"}, {"down_proj"}};
      config.model.lora->target_modules = kModules[random_() % kModules.size()];
      config.model.lora->dropout = 0;
      config.run.device = "cpu";
      config.algorithm.ref_model_sync_steps = 0, config.algorithm.ref_model_mixup_alpha = AlgorithmSection{}.ref_model_mixup_alpha;
    }
    if (config.run.device != "cpu" || config.rollout.load_balancing != "static") config.rollout.staleness = 0;
    config.data.now = coin() ? "" : "2026-01-31T09:05:07";
    config.trainer.logical_ranks = int64_t{1} << between(0, 12);
    config.rollout.min_completion_length = between(0, config.rollout.max_completion_length);
    config.reward = {
        {"last_number", std::ldexp(1.0 / 3, static_cast<int>(between(-50, 15))), Json::object()}};
    if (coin()) config.reward.push_back({"exact", -1.0, {{"column", text(false)}}});
    if (coin()) config.reward.push_back({"exactly.2", 3.0, {{"column", text(false)}}, "exact"});
  }

  std::mt19937 random_;
};

TEST(ConfigPrint, RandomConfigsReadBackBitForBit) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  RandomConfig random(seed);
  for (int round = 0; round < 500 && !testing::Test::HasFailure(); ++round) {
    Config config = random.next();
    if (config.sft) config.rm.reset();
    if (config.rm) config.run.device = "cpu";
    if (config.learns_from_rows()) {  // what cohort sft and rm do not read is not printed
      for (DataFiles* files : {&config.data.train, &config.data.eval})
        if (!files->sources.empty()) *files = "one.jsonl";
      config.rollout = {}, config.reward.clear(), config.algorithm = {};
      config.data.max_prompt_length = DataSection().max_prompt_length;
      config.trainer.warm_start.reset();
      config.trainer.prompts_per_step = TrainerSection().prompts_per_step;
      config.trainer.reuse_activations = config.trainer.skip_zero_advantage = true;
      config.comm.rollout_timeout_s = CommSection().rollout_timeout_s, config.comm.reward_timeout_s = CommSection().reward_timeout_s;
      const LogSection log;
      config.log.completions_steps = log.completions_steps, config.log.eval_completions = log.eval_completions;
      const TrainerSection trainer;
      config.trainer.eval_pass_at_k = trainer.eval_pass_at_k, config.trainer.eval_pass_threshold = trainer.eval_pass_threshold;
      config.trainer.metric_for_best_model = trainer.metric_for_best_model, config.trainer.greater_is_better = trainer.greater_is_better;
      config.model.lora.reset(), config.data.curriculum.reset();
      if (config.model.init) (config.sft ? config.sft->max_length : config.rm->max_length) = 2, config.model.init->max_positions = std::max<int64_t>(2, config.model.init->max_positions);
    }
    const std::string yaml = config_to_yaml(config);
    try {
      const Config back = parse_config(yaml, "printed", {}, ConfigUse::recorded);
      expect_equal(back, config);
      EXPECT_EQ(config_to_yaml(back), yaml);
      EXPECT_EQ(config_identity(back), config_identity(config));
      EXPECT_EQ(identity_differences(back, config_identity(config)), std::vector<std::string>{});
    } catch (const Error& error) {
      ADD_FAILURE() << error.what() << "\n" << yaml;
    }
  }
}

TEST(ConfigPrint, RandomOptionsReadBackBitForBit) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  RandomConfig random(seed);
  for (int round = 0; round < 3000; ++round) {
    const Json options = {{"options", random.options()}};
    const std::string yaml = yaml_of(options);
    EXPECT_EQ(yaml_to_json(parse_yaml(yaml, "printed"), {"printed"}).dump(), options.dump())
        << yaml;
  }
}

}  // namespace
}  // namespace cohort

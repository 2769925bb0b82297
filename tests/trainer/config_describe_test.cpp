// What is said of the config's keys: that nothing is missing, that each key does something, and that docs/config.md is what the
// program prints.
#include "trainer/config_describe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/files.h"
#include "core/yaml.h"
#include "reward/option_table.h"
#include "reward/reward.h"
#include "tests/trainer/config_cases.h"
#include "trainer/config_value.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// Another allowed value than the default, as YAML.
struct OtherValue {
  const KeyRow& key;
  std::string operator()(const bool* value) const { return *value ? "false" : "true"; }
  std::string operator()(const uint64_t* value) const { return std::to_string(*value + 1); }
  std::string operator()(const int64_t* value) const {
    const auto low = static_cast<int64_t>(key.bounds.low);
    return std::to_string(*value == low ? low + 1 : low);
  }
  std::string operator()(const float* value) const { return real(static_cast<double>(*value)); }
  std::string operator()(const double* value) const { return real(*value); }
  std::string operator()(const Json*) const { return "{a: 1}"; }
  std::string operator()(const std::vector<std::string>*) const { return key.name == "target_modules" ? "[q_proj]" : "[x]"; }
  std::string operator()(const std::vector<int64_t>*) const { return "[3]"; }
  std::string operator()(const DataFiles*) const { return "other.jsonl"; }
  std::string operator()(const std::string* value) const {
    if (key.words.empty()) return "other";
    return *value == key.words.back() ? key.words.front() : key.words.back();
  }
  std::string real(double value) const {
    for (const double other : {0.25, 0.5, 2.0, 20000.0})
      if (other != value && key.bounds.contain(other)) return std::to_string(other);
    return "none";
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

size_t different_lines(const std::string& a, const std::string& b) {
  const std::vector<std::string> left = lines_of(a), right = lines_of(b);
  if (left.size() != right.size()) return SIZE_MAX;
  size_t different = 0;
  for (size_t i = 0; i < left.size(); ++i) different += left[i] != right[i] ? 1 : 0;
  return different;
}

TEST(ConfigDescribe, EveryKeyHasTypeDefaultRangeAndHelp) {
  const std::set<std::string> types = {"integer", "number", "boolean", "text", "map", "list of texts", "list of integers", "path or list of sources"};
  for (const KeyRow& key : config_keys()) {
    SCOPED_TRACE(key.path());
    EXPECT_TRUE(types.contains(key_type(key))) << key_type(key);
    EXPECT_GT(key.help.size(), 3u);
    EXPECT_EQ(key.help.find('\n'), std::string::npos);
    EXPECT_EQ(key_default(key).empty(), key.path() == "data.task.name");
    EXPECT_GT(key.allowed().size(), 3u);
    EXPECT_NE(key.allowed().back(), ' ') << "a number without a range";
    EXPECT_NE(find_section(key.section), nullptr);
  }
  for (const SectionRow& section : config_sections()) EXPECT_FALSE(section.help.empty()) << section.name;
}

TEST(ConfigDescribe, EveryKeyReachesTheResolvedConfigAndItsIdentity) {
  Config of_sft = full_config(), of_rm = of_sft, of_train = of_sft;
  of_sft.rm.reset(), of_rm.sft.reset(), of_train.sft.reset(), of_train.rm.reset();
  of_sft.trainer.max_steps = of_rm.trainer.max_steps = -1;  // or epochs would not count
  of_train.optim.lr_scheduler_type = "linear";  // or max_steps would not count
  of_train.algorithm.scale_rewards = "none";    // auto depends on advantage
  for (const KeyRow& key : config_keys()) {
    SCOPED_TRACE(key.path());
    const Config& config = key.section == "sft" ? of_sft : key.section == "rm" ? of_rm : of_train;
    const std::string yaml = config_to_yaml(config), identity = config_identity(config);
    Config other = config;
    const std::string value = std::visit(OtherValue{key}, key.value(other));
    read_value(key, parse_yaml(value, "test"), other, "test");
    EXPECT_EQ(different_lines(config_to_yaml(other), yaml), 1u) << value;
    EXPECT_EQ(config_identity(other) != identity, key.decides_bits) << value;
    EXPECT_EQ(identity_differences(other, identity).size(), key.decides_bits ? 1u : 0u);
  }
}

// A key that only the config knows would change nothing.
TEST(ConfigDescribe, EveryKeyIsReadByTheProgram) {
  std::string source;
  for (const char* folder : {"cli", "comm", "model", "rollout", "trainer"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(SOURCE_DIR) / folder)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() != ".cpp" || name.starts_with("config")) continue;
      source += read_file(entry.path());
    }
  }
  const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (const KeyRow& key : config_keys()) {
    if (key.path() == "run.numerics") continue;  // fast is the same as strict as yet
    if (key.path() == "model.lora.dropout") continue;  // must be 0
    bool read = false;
    for (size_t at = 0; !read && (at = source.find(key.name, at)) != std::string::npos; at += key.name.size())
      read = (source[at - 1] == '.' || source[at - 1] == '>' || source[at - 1] == ':') && !is_word(source[at + key.name.size()]);
    EXPECT_TRUE(read) << key.path() << " stands in no source file beside those of the config";
  }
}

TEST(ConfigDescribe, SourcesAndPeersAreOfKeysThatExist) {
  std::set<std::string> paths, seen;
  for (const KeyRow& key : config_keys()) paths.insert(key.path());
  for (const KeySource& source : key_sources()) {
    EXPECT_TRUE(paths.contains(source.path)) << source.path;
    EXPECT_TRUE(seen.insert(source.path).second) << source.path << " stands twice";
    EXPECT_FALSE(source.source.empty());
  }
  for (const PeerName& peer : peer_names())
    EXPECT_TRUE(peer.ours.empty() ? !peer.note.empty() : paths.contains(peer.ours)) << peer.name;
  size_t with_peers = 0;
  for (const std::string& path : paths) with_peers += peers_of(path).size();
  EXPECT_GT(with_peers, 80u);
}

TEST(ConfigDescribe, ExplainTellsTheOptionsOfRewards) {
  EXPECT_EQ(explain("reward.repetition.n"),
            "reward.repetition.n\n  how many tokens or words make an n-gram\n\n  type      integer\n  default   3\n  allowed   an integer from 1 to 100\n");
  EXPECT_EQ(explain("max_penalty"), explain("reward.repetition.max_penalty"));
  EXPECT_NE(explain("reward.weight").find("default   1.0\n"), std::string::npos);
  for (const std::string& name : reward_names()) {
    EXPECT_NE(explain("reward").find("\n  " + name + " "), std::string::npos) << name;
    const std::string text = explain("reward." + name);
    EXPECT_NE(text.find(reward_summary(name)), std::string::npos);
    EXPECT_NE(text.find("reward: [{name: " + name), std::string::npos);
    for (const OptionRow& row : reward_options(name)) EXPECT_NE(text.find("\n  " + row.name + "\n    " + row.help + "\n"), std::string::npos) << text;
  }
  EXPECT_NE(explain("reward.soft_overlong").find("none: it must be given"), std::string::npos);
  EXPECT_NE(explain("reward.soft_overlong").find("{name: soft_overlong, max_length: ..., buffer: ...}"), std::string::npos);
  // A name of keys and of options: all of them.
  const std::string both = explain("temperature");
  EXPECT_EQ(both.find("rollout.temperature\n"), 0u);
  EXPECT_NE(both.find("\nreward.judge.temperature\n"), std::string::npos);
  EXPECT_ERROR(explain("reward.maths"), kUsage, "unknown reward 'maths'; did you mean 'math'?");
  EXPECT_ERROR(explain("reward.math.modes"), kUsage, "reward 'math': unknown option 'modes'; did you mean 'mode'? allowed are column, mode, decimals, percent");
  EXPECT_ERROR(explain("max_penalti"), kUsage, "did you mean 'max_penalty'?");
}

TEST(ConfigDescribe, ExplainTellsAllAboutAKey) {
  const std::string text = explain("algorithm.epsilon_high");
  for (const char* part : {"algorithm.epsilon_high\n", "type      number\n", "default   -1.0\n", "allowed   a number above 0, or -1\n",
                           "decides the bits", "arXiv:2503.14476", "clip_ratio_high", "example   cohort train CONFIG algorithm.epsilon_high=-1.0\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  EXPECT_EQ(explain("epsilon_high"), text);
  EXPECT_NE(explain("save_steps").find("changes no bit"), std::string::npos);
  EXPECT_NE(explain("data.train").find("the files may move"), std::string::npos);
  EXPECT_EQ(explain("data.train").find("changes no bit"), std::string::npos);
  EXPECT_NE(explain("run.device").find("its bits are others from there on\n"), std::string::npos);
  EXPECT_EQ(explain("run.device").find("changes no bit"), std::string::npos);
  EXPECT_NE(explain("train_size").find("inside    data.task"), std::string::npos);
  EXPECT_NE(explain("data.task.name").find("none: it must be given"), std::string::npos);
  // A name in several sections: all of them.
  const std::string both = explain("learning_rate");
  EXPECT_NE(both.find("optim.learning_rate\n"), std::string::npos);
  EXPECT_NE(both.find("trainer.warm_start.learning_rate\n"), std::string::npos);
}

TEST(ConfigDescribe, ExplainKnowsSectionsAndPeersNames) {
  EXPECT_EQ(explain(""), list_keys());
  for (const KeyRow& key : config_keys()) EXPECT_NE(list_keys().find("\n  " + key.name + " "), std::string::npos) << key.path();
  EXPECT_NE(explain("data").find("data.task: "), std::string::npos);
  EXPECT_EQ(explain("data").find("rollout"), std::string::npos);
  EXPECT_NE(explain("reward").find("last_number"), std::string::npos);
  const std::string peer = explain("actor_rollout_ref.actor.kl_loss_coef");
  EXPECT_EQ(peer.find("kl_loss_coef: cohort calls it 'algorithm.beta'\n\nalgorithm.beta\n"), 0u) << peer;
  EXPECT_EQ(explain("use_vllm").find("use_vllm: no key of cohort; "), 0u);
}

TEST(ConfigDescribe, ExplainAnswersAMisspeltNameWithTheNearest) {
  EXPECT_ERROR(explain("epsilom_high"), kUsage, "unknown key 'epsilom_high'; did you mean 'epsilon_high'?");
  EXPECT_ERROR(explain("rollout.num_generation"), kUsage, "did you mean 'num_generations'?");
  EXPECT_ERROR(explain("batch_size"), kUsage, "unknown key 'batch_size'; names with it: ");
  EXPECT_ERROR(explain("xyzzyxyzzy"), kUsage, "unknown key 'xyzzyxyzzy'; `cohort explain` lists all keys");
  EXPECT_ERROR(explain("dato"), kUsage, "did you mean 'data'?");
}

TEST(ConfigDescribe, TheReferenceIsWhatTheProgramPrints) {
  const fs::path file = fs::path(SOURCE_DIR) / "docs/config.md";
  EXPECT_TRUE(fs::exists(file) && read_file(file) == config_markdown())
      << "docs/config.md is stale: build/cohort explain --markdown > docs/config.md";
}

TEST(ConfigSchema, HasEveryKeyWithTypeRangeDefaultAndHelp) {
  const Json schema = config_json_schema();
  EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(schema["properties"].size(), 12u);
  for (const KeyRow& key : config_keys()) {
    SCOPED_TRACE(key.path());
    const SectionRow& section = *find_section(key.section);
    Json node = schema["properties"];
    if (!section.parent().empty()) node = node[section.parent()]["properties"];
    ASSERT_TRUE(node.contains(section.own_name()));
    EXPECT_EQ(node[section.own_name()]["additionalProperties"], false);
    node = node[section.own_name()]["properties"];
    ASSERT_TRUE(node.contains(key.name));
    node = node[key.name];
    EXPECT_EQ(node["description"].get<std::string>().find(key.help), 0u);
    EXPECT_TRUE(node.contains("type") || node.contains("enum") || node.contains("anyOf"));
    EXPECT_EQ(node.contains("default"), key.path() != "data.task.name");
  }
  const Json& algorithm = schema["properties"]["algorithm"]["properties"];
  EXPECT_EQ(algorithm["epsilon"].dump(),
            R"x({"type":"number","exclusiveMinimum":0,"description":"the ratio is clipped below 1 - epsilon (Schulman et al. 2017, PPO, arXiv:1707.06347)","default":0.2})x");
  EXPECT_EQ(algorithm["epsilon_high"]["anyOf"].dump(), R"([{"type":"number","exclusiveMinimum":0},{"const":-1}])");
  EXPECT_EQ(schema["properties"]["optim"]["properties"]["adam_beta1"]["exclusiveMaximum"], 1);
  EXPECT_EQ(schema["properties"]["run"]["properties"]["seed"]["maximum"], UINT64_MAX);
  EXPECT_EQ(schema["properties"]["data"]["properties"]["task"]["required"], Json::array({"name"}));
  const Json& files = schema["properties"]["data"]["properties"];
  EXPECT_EQ(files["train"]["anyOf"][0]["type"], Json::array({"string", "null"}));
  EXPECT_TRUE(files["train"]["anyOf"][1]["items"]["properties"].contains("weight"));
  EXPECT_FALSE(files["eval"]["anyOf"][1]["items"]["properties"].contains("weight"));
}

// Of an entry of `reward`: its name decides which options there are.
TEST(ConfigSchema, HasEveryOptionOfEveryReward) {
  const Json schema = config_json_schema(), entry = schema["properties"]["reward"]["items"];
  EXPECT_EQ(entry["properties"]["name"]["enum"], Json(reward_names()));
  EXPECT_EQ(entry["allOf"].size(), reward_names().size());
  for (const Json& branch : entry["allOf"]) {
    const std::string name = branch["if"]["properties"]["name"]["const"];
    SCOPED_TRACE(name);
    const Json& then = branch["then"];
    EXPECT_EQ(then["additionalProperties"], false);
    EXPECT_EQ(then["properties"].size(), reward_options(name).size() + 3);
    for (const OptionRow& row : reward_options(name)) {
      const Json& option = then["properties"][row.name];
      EXPECT_EQ(option["description"].get<std::string>().find(row.help), 0u);
      EXPECT_EQ(option.contains("default"), !row.standard.is_null());
      const auto needed = then.value("required", std::vector<std::string>());
      EXPECT_EQ(std::ranges::find(needed, row.name) != needed.end(), row.needed);
    }
  }
  const auto option = [&](const std::string& reward, const char* name) {
    const std::vector<std::string> names = reward_names();
    const auto at = static_cast<size_t>(std::ranges::find(names, reward) - names.begin());
    return entry["allOf"][at]["then"]["properties"][name].dump();
  };
  EXPECT_EQ(option("repetition", "n"), R"x({"type":"integer","minimum":1,"maximum":100,"description":"how many tokens or words make an n-gram","default":3})x");
  EXPECT_EQ(option("format", "score"),
            R"x({"enum":["all","share"],"description":"share: the share of the tags that stand there exactly once, in place of 1 or 0","default":"all"})x");
}

}  // namespace
}  // namespace cohort

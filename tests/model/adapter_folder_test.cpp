// LoRA adapters as PEFT stores them: log-probs and gradients against peft's (scripts/goldens/make_lora_goldens.py), the way out and
// back in, and what is refused.
#include "model/adapter_folder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "model/load_weights.h"
#include "model/transformer.h"
#include "tests/core/expect_error.h"
#include "tests/formats/plain_formats.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

const fs::path kAdapters = fs::path(GOLDEN_DIR) / "lora";

// A base and its adapter, not merged yet.
class Golden {
 public:
  explicit Golden(const std::string& name, DType dtype = DType::f32)
      : dir(kAdapters / name), config(read_adapter_config(dir)), base(adapter_base(dir, config, {})),
        policy(load_policy(load_model_config(base), SafetensorsFolder::open(base), name, dtype, 1, PolicyUse::training, ex)),
        golden(parse_json(read_file(dir / "golden.json"), name)) {
    append_text(pack, golden["ids"].get<std::vector<int32_t>>());
  }
  std::vector<float> logprobs() const {
    TrainState state(*policy, 64, 64);
    std::vector<float> result(pack.targets.size());
    pack_logprobs(*policy, state, pack, 1.0f, result, {}, ex);
    return result;
  }
  // The same adapter, to be trained.
  void train() {
    add_lora(*policy, config.lora, 1, 1, ex);
    const SafetensorsFolder folder = SafetensorsFolder::open_file(dir / "adapter_model.safetensors");
    for (const ParamEntry& entry : policy->lora->layout.table.entries)
      convert_stored(folder.tensors().at(entry.name), entry.name, false, policy->lora->params.weights.f32() + entry.offset);
    merge_lora(*policy, ex);
  }
  ExecOwner owner{2};
  Exec ex = owner.exec();
  fs::path dir;
  AdapterConfig config;
  fs::path base;
  std::unique_ptr<Policy> policy;
  Json golden;
  TokenPack pack;
};

class AdapterGolden : public testing::TestWithParam<std::string> {};

TEST_P(AdapterGolden, LogprobsAreThoseOfPeft) {
  Golden g(GetParam());
  const std::vector<float> without = g.logprobs();
  merge_adapter(*g.policy, g.dir, g.config, g.ex);
  const std::vector<float> found = g.logprobs(), wanted = g.golden["logprobs"].get<std::vector<float>>();
  ASSERT_EQ(found.size(), wanted.size());
  float moved = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], wanted[i], 1e-4) << i;
    moved = std::max(moved, std::abs(found[i] - without[i]));
  }
  EXPECT_GT(moved, 0.1) << "the adapter counts";
}

INSTANTIATE_TEST_SUITE_P(Peft, AdapterGolden, testing::Values("all", "rslora", "layers"), [](const auto& info) { return info.param; });

// The bits of an adapter that is merged from its folder are those of one that is trained.
TEST(AdapterFolder, IsMergedAsItIsTrained) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const char* name : {"all", "rslora"}) {
      Golden merged(name, dtype), trained(name, dtype);
      const std::string before = weights_fingerprint(*merged.policy);
      merge_adapter(*merged.policy, merged.dir, merged.config, merged.ex);
      trained.train();
      EXPECT_EQ(weights_fingerprint(*merged.policy), weights_fingerprint(*trained.policy));
      EXPECT_EQ(weights_fingerprint(*trained.policy->lora->base), before);
      EXPECT_NE(weights_fingerprint(*trained.policy), before);
    }
  }
}

TEST(AdapterFolder, GradientsAreThoseOfPeft) {
  for (const char* name : {"all", "rslora"}) {
    Golden g(name);
    g.train();
    const auto n = static_cast<float>(g.pack.targets.size());
    const ParamTable& table = g.policy->lora->layout.table;
    std::vector<float> flat(static_cast<size_t>(table.size));
    TrainState state(*g.policy, 64, 64);
    pack_loss(*g.policy, state, g.pack, 1.0f, [&](int64_t, float, float) { return -1 / n; }, {flat.data(), DType::f32, {table.size}}, g.ex);
    const SafetensorsFolder expected = SafetensorsFolder::open_file(g.dir / "gradients.safetensors");
    EXPECT_EQ(expected.tensors().size(), table.entries.size());
    for (const ParamEntry& entry : table.entries) {
      std::vector<float> wanted(static_cast<size_t>(entry.size()));
      ASSERT_TRUE(expected.tensors().contains(entry.name)) << entry.name;
      convert_stored(expected.tensors().at(entry.name), entry.name, false, wanted.data());
      double difference = 0, norm = 0;
      for (size_t i = 0; i < wanted.size(); ++i) {
        const double w = wanted[i], d = static_cast<double>(flat[static_cast<size_t>(entry.offset) + i]) - w;
        difference += d * d, norm += w * w;
      }
      EXPECT_GT(norm, 0) << entry.name;
      EXPECT_LE(std::sqrt(difference), 2e-5 * std::sqrt(norm)) << name << " " << entry.name;
    }
  }
}

class AdapterFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder = fs::path(testing::TempDir()) / fmt::format("cohort-adapter-{}-{}", testing::UnitTest::GetInstance()->current_test_info()->name(), ::getpid());
    fs::remove_all(folder);
    fs::create_directories(folder);
    fs::copy(kAdapters / "all", folder / "a");
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path a() const { return folder / "a"; }
  void set(const char* key, const Json& value) {
    Json config = parse_json(read_file(a() / "adapter_config.json"), "adapter_config.json");
    config[key] = value;
    write_file_atomic(a() / "adapter_config.json", config.dump());
  }
  // Writes the tensors, changed: name and dtype may be others, or `none`.
  void rewrite(const std::function<void(NamedTensor&)>& change) {
    std::vector<NamedTensor> tensors;
    const SafetensorsFolder stored = SafetensorsFolder::open_file(kAdapters / "all" / "adapter_model.safetensors");
    for (const auto& [name, tensor] : stored.tensors()) {
      tensors.push_back({name, tensor});
      change(tensors.back());
      if (tensors.back().name.empty()) tensors.pop_back();
    }
    write_safetensors(a() / "adapter_model.safetensors", tensors);
  }
  void merge() {
    Golden base("all");
    merge_adapter(*base.policy, a(), read_adapter_config(a()), base.ex);
  }
  fs::path folder;
};

TEST_F(AdapterFiles, WhatIsWrittenIsReadBack) {
  Golden g("all");
  g.train();
  g.policy->lora->config.alpha = 2.5;
  merge_lora(*g.policy, g.ex);
  write_adapter(*g.policy->lora, "somewhere/base", folder / "out");
  EXPECT_TRUE(is_adapter_folder(folder / "out"));
  const AdapterConfig config = read_adapter_config(folder / "out");
  EXPECT_EQ(config.base, "somewhere/base");
  EXPECT_EQ(config.lora.rank, 4);
  EXPECT_EQ(config.lora.alpha, 2.5);
  EXPECT_FALSE(config.partial);
  Golden other("all");
  merge_adapter(*other.policy, folder / "out", config, other.ex);
  EXPECT_EQ(weights_fingerprint(*other.policy), weights_fingerprint(*g.policy));
  g.policy->lora->params.weights.f32()[5] = INFINITY;
  EXPECT_ERROR(write_adapter(*g.policy->lora, "b", folder / "bad"), kNonFinite, "the number at 5 is inf");
}

// peft's own keys, or later ones: off is fine.
TEST_F(AdapterFiles, KeysThatAreOffAreAccepted) {
  for (const Json& off : {Json(nullptr), Json(false), Json::array(), Json::object()}) {
    set("some_later_key", off);
    set("use_dora", off);
    read_adapter_config(a());
  }
}

TEST_F(AdapterFiles, AnythingButPlainLoraIsRefusedByName) {
  const auto refused = [&](const char* key, const Json& value, const std::string& words) {
    const std::string before = read_file(a() / "adapter_config.json");
    set(key, value);
    EXPECT_ERROR(read_adapter_config(a()), kInput, "adapter_config.json: " + words);
    write_file_atomic(a() / "adapter_config.json", before);
  };
  refused("peft_type", "IA3", "peft_type: found 'IA3'; allowed: LORA; cohort knows plain LoRA; merge this adapter in Python");
  refused("use_dora", true, "use_dora: found true; allowed: null, false or nothing");
  refused("modules_to_save", Json::array({"lm_head"}), "modules_to_save: found [\"lm_head\"]");
  refused("rank_pattern", {{"q_proj", 2}}, "rank_pattern: found {\"q_proj\":2}");
  refused("alpha_pattern", {{"q_proj", 2}}, "alpha_pattern");
  refused("fan_in_fan_out", true, "fan_in_fan_out");
  refused("lora_bias", true, "lora_bias");
  refused("layer_replication", Json::array({Json::array({0, 1})}), "layer_replication");
  refused("trainable_token_indices", Json::array({3}), "trainable_token_indices");
  refused("some_later_key", 0.5, "some_later_key: found 0.5");
  refused("bias", "all", "bias: found 'all'; allowed: none");
  refused("init_lora_weights", "pissa", "init_lora_weights: found \"pissa\"; allowed: true, false, gaussian, orthogonal");
  refused("target_modules", Json::array({"q_proj", "lm_head"}), "target_modules: found 'lm_head'; allowed: q_proj, k_proj");
  refused("target_modules", Json::array({3}), "target_modules: found 3; allowed: names");
  refused("r", 0, "'r'");
  refused("lora_alpha", 1e300, "lora_alpha: found 1e+300; allowed: a float32 number");
  write_file_atomic(a() / "adapter_config.json", "[]");
  EXPECT_ERROR(read_adapter_config(a()), kInput, "adapter_config.json: expected an object, found array");
}

TEST_F(AdapterFiles, TensorsMustBeThoseOfTheConfig) {
  const std::string k = "base_model.model.model.layers.1.self_attn.k_proj.lora_";
  merge();
  rewrite([&](NamedTensor& t) { if (t.name == k + "B.weight") t.name = ""; });
  EXPECT_ERROR(merge(), kInput, "adapter_model.safetensors: '" + k + "B.weight' is missing");
  rewrite([&](NamedTensor& t) { if (t.name == k + "A.weight") t.name = ""; });
  EXPECT_ERROR(merge(), kInput, "'" + k + "A.weight' is missing");
  const auto without_k = [&](NamedTensor& t) { if (t.name.starts_with(k)) t.name = ""; };
  rewrite(without_k);
  EXPECT_ERROR(merge(), kInput, "'" + k + "A.weight' is missing");
  set("layers_to_transform", Json::array({0}));  // then not every layer has it
  merge();
  set("layers_to_transform", nullptr);
  rewrite([&](NamedTensor& t) { if (t.name == k + "A.weight") t.name = "base_model.model.model.layers.1.self_attn.k_proj.lora_magnitude_vector"; });
  EXPECT_ERROR(merge(), kInput, "k_proj.lora_magnitude_vector' is no A or B of a module of the base");
  rewrite([&](NamedTensor& t) { if (t.name == k + "A.weight") t.tensor.shape = {t.tensor.shape[1], t.tensor.shape[0]}; });
  EXPECT_ERROR(merge(), kInput, k + "A.weight' has shape (32, 4), adapter_config.json and the base ask for (4, 32)");
  rewrite([&](NamedTensor& t) { if (t.name == k + "A.weight") t.tensor.dtype = "I32"; });
  EXPECT_ERROR(merge(), kInput, k + "A.weight'");
  std::vector<float> numbers(4 * 32);
  numbers[70] = NAN;
  rewrite([&](NamedTensor& t) { if (t.name == k + "A.weight") t.tensor.data = std::as_bytes(std::span(numbers)); });
  EXPECT_ERROR(merge(), kInput, k + "A.weight'");
  rewrite([&](NamedTensor& t) { t.name = ""; });
  EXPECT_ERROR(merge(), kInput, "adapter_model.safetensors");
  set("r", 65536);  // claims much memory
  rewrite([](NamedTensor&) {});
  EXPECT_ERROR(merge(), kInput, "ask for (65536, ");
  fs::remove(a() / "adapter_model.safetensors");
  EXPECT_ERROR(merge(), kInput, "a: adapter_model.safetensors is missing");
  std::ofstream(a() / "adapter_model.bin") << "x";
  EXPECT_ERROR(merge(), kInput, "adapter_model.bin is not read, as it may run code: convert to safetensors");
}

TEST_F(AdapterFiles, TheBaseIsFoundOrAskedFor) {
  const fs::path family = fs::path(GOLDEN_DIR) / "families" / "llama3";
  EXPECT_ERROR(adapter_base(a(), read_adapter_config(a()), {}), kInput, "the base model '../../families/llama3' is no model folder here; --base DIR");
  EXPECT_EQ(adapter_base(a(), read_adapter_config(a()), family), family);
  fs::create_directory_symlink(family, folder / "base");
  set("base_model_name_or_path", "../base");
  EXPECT_EQ(adapter_base(a(), read_adapter_config(a()), {}), a() / "../base");
  set("base_model_name_or_path", (folder / "base").string());
  EXPECT_EQ(adapter_base(a(), read_adapter_config(a()), {}), folder / "base");
  set("base_model_name_or_path", nullptr);
  EXPECT_ERROR(adapter_base(a(), read_adapter_config(a()), {}), kInput, "base_model_name_or_path names no base model; --base DIR");
}

}  // namespace
}  // namespace cohort

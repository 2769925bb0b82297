#include "model/adapter_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/json.h"
#include "model/formats/in_quotes.h"
#include "model/formats/read_weights.h"
#include "model/formats/safetensors_writer.h"
#include "model/ops/merge.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kWeights = "adapter_model.safetensors";
constexpr const char* kRemedy = "cohort knows plain LoRA; merge this adapter in Python with peft (merge_and_unload, save_pretrained)";
constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr int64_t kMaxRank = 65536;

// Keys that are read here, or whose value changes nothing of what a trained adapter computes.
const std::set<std::string, std::less<>> kKnown = {
    "peft_type", "r", "lora_alpha", "use_rslora", "bias", "init_lora_weights", "target_modules", "base_model_name_or_path",
    "layers_to_transform", "layers_pattern", "exclude_modules", "lora_dropout", "task_type", "inference_mode", "revision",
    "auto_mapping", "peft_version", "megatron_core", "qalora_group_size", "loftq_config", "eva_config", "corda_config", "runtime_config"};

bool is_off(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) || (value.is_structured() && value.empty());
}

// "use_dora", "modules_to_save", "rank_pattern", ... and keys of later versions: all of them are off, or the adapter is not plain.
void check_plain(const Json& config, const std::string& where) {
  const std::string type = get_string(config, "peft_type", where);
  CHECK_INPUT(type == "LORA", "{}: peft_type: found {}; allowed: LORA; {}", where, in_quotes(type), kRemedy);
  for (const auto& [key, value] : config.items())
    CHECK_INPUT(kKnown.contains(key) || is_off(value), "{}: {}: found {}; allowed: null, false or nothing; {}", where, key, dump_json(value), kRemedy);
  const std::string bias = get_string_or(config, "bias", where, "none");
  CHECK_INPUT(bias == "none", "{}: bias: found {}; allowed: none; {}", where, in_quotes(bias), kRemedy);
  const Json init = config.value("init_lora_weights", Json(true));
  CHECK_INPUT(init.is_null() || init.is_boolean() || init == "gaussian" || init == "orthogonal",
              "{}: init_lora_weights: found {}; allowed: true, false, gaussian, orthogonal (others change the base); {}", where, dump_json(init),
              kRemedy);
}

SafetensorsFolder open_weights(const fs::path& dir) {
  CHECK_INPUT(fs::exists(dir / kWeights), "{}: {} is missing{}", dir.string(), kWeights,
              fs::exists(dir / "adapter_model.bin") ? "; adapter_model.bin is not read, as it may run code: convert to safetensors" : "");
  return SafetensorsFolder::open_file(dir / kWeights);
}

std::string last_name(const std::string& module) { return module.substr(module.rfind('.') + 1); }

// The modules that the config names, and those that have tensors.
LoraConfig with_stored_modules(LoraConfig lora, const SafetensorsFolder& folder) {
  for (const char* module : kLoraModules) {
    const std::string end = fmt::format(".{}.lora_A.weight", module);
    if (std::ranges::any_of(folder.tensors(), [&](const auto& tensor) { return tensor.first.ends_with(end); })) lora.target_modules.emplace_back(module);
  }
  return lora;
}

// Names of the table; those that are stored must have its shapes, and numbers of a weight.
std::set<std::string, std::less<>> check_tensors(const ParamTable& table, const SafetensorsFolder& folder, const std::string& where) {
  std::set<std::string, std::less<>> names;
  for (const ParamEntry& entry : table.entries) {
    names.insert(entry.name);
    const auto found = folder.tensors().find(entry.name);
    if (found == folder.tensors().end()) continue;
    const StoredTensor& stored = found->second;
    const std::string tensor = fmt::format("{}: tensor {}", where, in_quotes(entry.name));
    CHECK_INPUT(stored.shape == entry.stored_shape(), "{} has shape ({}), {} and the base ask for ({})", tensor, fmt::join(stored.shape, ", "),
                kConfig, fmt::join(entry.stored_shape(), ", "));
    weight_dtype(stored, tensor);
  }
  return names;
}

// Whether the target's A and B are there; never one of them alone, and both where the config promises its module in every layer.
bool is_stored(const LoraTarget& target, const AdapterConfig& config, const SafetensorsFolder& folder, const std::string& where) {
  const std::string name = "base_model.model." + target.module;
  const bool has_a = folder.tensors().contains(name + ".lora_A.weight"), has_b = folder.tensors().contains(name + ".lora_B.weight");
  const std::vector<std::string>& promised = config.lora.target_modules;
  const bool wanted = has_a || has_b || (!config.partial && std::ranges::find(promised, last_name(target.module)) != promised.end());
  CHECK_INPUT(!wanted || (has_a && has_b), "{}: '{}.lora_{}.weight' is missing", where, name, has_a ? "B" : "A");
  return wanted;
}

}  // namespace

bool is_adapter_folder(const fs::path& dir) { return fs::exists(dir / kConfig) && !fs::exists(dir / "config.json"); }

AdapterConfig read_adapter_config(const fs::path& dir) {
  const std::string where = (dir / kConfig).string();
  const Json json = parse_json(read_file(dir / kConfig, kMaxConfigBytes), where);
  CHECK_INPUT(json.is_object(), "{}: expected an object, found {}", where, json.type_name());
  check_plain(json, where);
  AdapterConfig config;
  config.lora.rank = get_int(json, "r", where, 1, kMaxRank);
  config.lora.alpha = get_double(json, "lora_alpha", where);
  config.lora.rslora = get_bool_or(json, "use_rslora", where, false);
  CHECK_INPUT(std::isfinite(config.lora.scale()), "{}: lora_alpha: found {}; allowed: a float32 number", where, config.lora.alpha);
  config.base = get_string_or(json, "base_model_name_or_path", where, "");
  const Json targets = json.value("target_modules", Json());
  const auto is_off_or_absent = [&](const char* key) { return !json.contains(key) || is_off(json[key]); };
  config.partial = !is_off_or_absent("layers_to_transform") || !is_off_or_absent("exclude_modules") || !targets.is_array();
  if (!targets.is_array()) return config;  // a pattern: the tensors say which
  for (const Json& target : targets) {
    CHECK_INPUT(target.is_string(), "{}: target_modules: found {}; allowed: names", where, dump_json(target));
    const auto name = target.get<std::string>();
    if (name.find('.') != std::string::npos) {
      config.partial = true;  // of some layers
    } else {
      CHECK_INPUT(std::ranges::find(kLoraModules, name) != kLoraModules.end(), "{}: target_modules: found {}; allowed: {}; {}", where,
                  in_quotes(name), fmt::join(kLoraModules, ", "), kRemedy);
      config.lora.target_modules.push_back(name);
    }
  }
  return config;
}

fs::path adapter_base(const fs::path& dir, const AdapterConfig& config, const fs::path& given) {
  if (!given.empty()) return given;
  const std::string where = (dir / kConfig).string();
  CHECK_INPUT(!config.base.empty(), "{}: base_model_name_or_path names no base model; --base DIR says where it is", where);
  for (const fs::path& base : {fs::path(config.base), dir / config.base})
    if (fs::exists(base / "config.json")) return base;
  fail(ExitCode::kInput, "{}: the base model {} is no model folder here; --base DIR says where it is", where, in_quotes(config.base));
}

LoraLayout check_adapter(const ModelConfig& base, const fs::path& dir, const AdapterConfig& config) {
  const std::string where = (dir / kWeights).string();
  const SafetensorsFolder folder = open_weights(dir);
  CHECK_INPUT(!folder.tensors().empty(), "{}: holds no tensor", where);
  LoraLayout layout = make_lora_layout(base, make_param_table(base, 1), with_stored_modules(config.lora, folder), 1);
  const std::set<std::string, std::less<>> known = check_tensors(layout.table, folder, where);
  for (const auto& [name, tensor] : folder.tensors())
    CHECK_INPUT(known.contains(name), "{}: tensor {} is no A or B of a module of the base; {}", where, in_quotes(name), kRemedy);
  for (auto& matrices : layout.layers)
    for (LoraMatrix& matrix : matrices)
      std::erase_if(matrix.targets, [&](const LoraTarget& target) { return !is_stored(target, config, folder, where); });
  return layout;
}

void merge_adapter(Policy& policy, const fs::path& dir, const AdapterConfig& config, const Exec& ex) {
  CHECK_USAGE(policy.device == Device::cpu, "{}: an adapter is not merged on a GPU; cohort import {} OUT_DIR makes a whole model of it",
              dir.string(), dir.string());
  const LoraLayout layout = check_adapter(policy.config, dir, config);  // before memory is taken for what the config claims
  const SafetensorsFolder folder = open_weights(dir);
  std::vector<float> params(static_cast<size_t>(layout.table.size));
  std::vector<WeightTarget> targets;
  for (const ParamEntry& entry : layout.table.entries)
    if (folder.tensors().contains(entry.name)) targets.push_back({entry.name, entry.stored_shape(), params.data() + entry.offset});
  read_weights(folder, targets, StoredDType::f32, (dir / kWeights).string(), *ex.pool);
  for (size_t layer = 0; layer < layout.layers.size(); ++layer) {
    for (size_t m = 0; m < kLayerMatrices.size(); ++m) {
      const std::vector<LowRankTerm> terms = lora_terms(layout.layers[layer][m], config.lora, params.data());
      PackedWeight& weight = policy.packed_layers[layer].*kLayerMatrices[m];
      if (!terms.empty()) merge_low_rank(weight, weight, terms, config.lora.scale(), ex);
    }
  }
}

void write_adapter(const LoraAdapter& lora, const std::string& base, const fs::path& dir) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const ParamEntry& entry : lora.layout.table.entries) {
    const float* numbers = lora.params.weights.f32() + entry.offset;
    const float* bad = std::find_if(numbers, numbers + entry.size(), [](float x) { return !std::isfinite(x); });
    if (bad != numbers + entry.size())
      fail(ExitCode::kNonFinite, "{}: the number at {} is {}", in_quotes(entry.name), bad - numbers, *bad);
    entries.push_back({entry.name, safetensors_name(StoredDType::f32), entry.stored_shape()});
  }
  fs::create_directories(dir);
  SafetensorsWriter writer(dir / kWeights, entries);
  for (const ParamEntry& entry : lora.layout.table.entries)
    writer.append(std::as_bytes(std::span(lora.params.weights.f32() + entry.offset, static_cast<size_t>(entry.size()))));
  writer.finish();
  const double alpha = lora.config.alpha;
  const Json json = {{"alpha_pattern", Json::object()},
                     {"auto_mapping", nullptr},
                     {"base_model_name_or_path", base},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"layers_pattern", nullptr},
                     {"layers_to_transform", nullptr},
                     {"lora_alpha", alpha == std::floor(alpha) ? Json(static_cast<int64_t>(alpha)) : Json(alpha)},
                     {"lora_dropout", 0.0},
                     {"modules_to_save", nullptr},
                     {"peft_type", "LORA"},
                     {"r", lora.config.rank},
                     {"rank_pattern", Json::object()},
                     {"revision", nullptr},
                     {"target_modules", lora.config.target_modules},
                     {"task_type", "CAUSAL_LM"},
                     {"use_dora", false},
                     {"use_rslora", lora.config.rslora}};
  write_file_atomic(dir / kConfig, dump_json(json, 2) + "\n");
}

}  // namespace cohort

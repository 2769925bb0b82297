#include "trainer/model_setup.h"

#include <algorithm>
#include <array>
#include <future>

#include "core/check.h"
#include "core/files.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/read_weights.h"
#include "model/formats/safetensors.h"
#include "model/load_weights.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndOfText = "<|endoftext|>";
constexpr size_t kMaxConfigBytes = 16 << 20;

// What makes a model folder beside its weights, carried over byte for byte.
constexpr std::array kModelFiles = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                                    "chat_template.jinja", "chat_template.json", "tokenizer.model", "tokenizer.model.v3",
                                    "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md"};
constexpr const char* kMoreTemplates = "additional_chat_templates";  // a folder of *.jinja

bool has_weights(const fs::path& dir) {
  return fs::exists(dir / "model.safetensors") || fs::exists(dir / "model.safetensors.index.json");
}

constexpr StoredDType stored_as(DType dtype) { return dtype == DType::bf16 ? StoredDType::bf16 : StoredDType::f32; }

Json read_config(const fs::path& dir) {
  const fs::path file = dir / "config.json";
  return parse_json(read_file(file, kMaxConfigBytes), file.string());
}

// The key that names the dtype: transformers 5's, or the one before.
const char* dtype_key(const Json& config) { return config.contains("dtype") ? "dtype" : "torch_dtype"; }

StoredDType config_dtype(const fs::path& dir) {
  const Json config = read_config(dir);
  const std::string where = (dir / "config.json").string();
  const std::string name = get_string_or(config, dtype_key(config), where, "float32");
  const std::optional<StoredDType> dtype = stored_dtype_of(name);
  CHECK_INPUT(dtype.has_value(), "{}: {}: '{}' is not supported; allowed: float32, bfloat16, float16", where,
              dtype_key(config), name);
  return *dtype;
}

DType exact_dtype_of(const SafetensorsFolder& folder) {
  const bool all_bf16 = std::ranges::all_of(folder.tensors(), [](const auto& entry) {
    return entry.second.dtype == "BF16" || entry.first.ends_with(kRotaryTable);
  });
  return all_bf16 ? DType::bf16 : DType::f32;
}

// The tokenizer and the template are read beside the weights, on a thread of their own.
struct Text {
  Tokenizer tokenizer;
  ChatTemplate chat_template;
};
std::future<Text> load_text(const fs::path& dir) {
  return std::async(std::launch::async, [dir] { return Text{Tokenizer::load(dir), ChatTemplate::load(dir)}; });
}

LoadedModel join(std::unique_ptr<Policy> policy, Text text, const fs::path& dir) {
  CHECK_INPUT(text.tokenizer.vocab_size() <= policy->config.vocab_size,
              "{}: the tokenizer has ids up to {}, but config.json gives the model a vocabulary of {}", dir.string(),
              text.tokenizer.vocab_size() - 1, policy->config.vocab_size);
  return {std::move(policy), std::move(text.tokenizer), std::move(text.chat_template), dir};
}

enum class Packing { none, packed };

LoadedModel load(const fs::path& dir, const std::string& dtype, int64_t shards, const Exec& ex, PolicyUse use, Packing packing) {
  const ModelConfig config = load_model_config(dir);
  std::future<Text> text = load_text(dir);
  const SafetensorsFolder folder = SafetensorsFolder::open(dir);
  std::unique_ptr<Policy> policy = make_policy(config, dtype_in_memory(dtype, exact_dtype_of(folder)), shards, use);
  load_weights(*policy, folder, dir.string(), ex);
  if (use == PolicyUse::training && packing == Packing::packed) repack(*policy, ex);
  return join(std::move(policy), text.get(), dir);
}

}  // namespace

DType dtype_in_memory(const std::string& wanted, DType exact) {
  if (wanted == "auto") return exact;
  if (wanted == "float32") return DType::f32;
  if (wanted == "bfloat16") return DType::bf16;
  fail(ExitCode::kUsage, "unknown model.dtype '{}'; allowed: auto, float32, bfloat16", wanted);
}

DType exact_dtype(const fs::path& model_dir) {
  if (!has_weights(model_dir)) return config_dtype(model_dir) == StoredDType::bf16 ? DType::bf16 : DType::f32;
  return exact_dtype_of(SafetensorsFolder::open(model_dir));
}

LoadedModel load_model(const fs::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex, PolicyUse use) {
  return load(model_dir, dtype, shards, ex, use, Packing::packed);
}

LoadedModel load_model_unpacked(const fs::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex) {
  return load(model_dir, dtype, shards, ex, PolicyUse::training, Packing::none);
}

bool weights_are_rounded(const Policy& policy, const fs::path& model_dir) {
  return policy.dtype == DType::bf16 && exact_dtype(model_dir) != DType::bf16;
}

void read_masters(const ParamTable& table, const fs::path& model_dir, int64_t begin, std::span<float> out) {
  const int64_t end = begin + static_cast<int64_t>(out.size());
  std::ranges::fill(out, 0.0f);
  const SafetensorsFolder folder = SafetensorsFolder::open(model_dir);
  for (const ParamEntry& entry : table.entries) {
    const int64_t from = std::max(begin, entry.offset), to = std::min(end, entry.offset + entry.size());
    if (from >= to) continue;
    const StoredTensor& stored = folder.tensors().at(entry.name);  // load_model has checked names, shapes and numbers
    const StoredDType dtype = weight_dtype(stored, entry.name);
    convert_numbers(dtype, stored.data.data() + static_cast<size_t>(from - entry.offset) * stored_size(dtype),
                    StoredDType::f32, out.data() + (from - begin), static_cast<size_t>(to - from));
  }
}

void write_initial_model(const ModelInitConfig& init, const std::string& dtype, const fs::path& dir) {
  fs::create_directories(dir);
  const std::array<std::string, 1> special = {kEndOfText};
  ModelConfig config;
  config.vocab_size = 272;  // 256 bytes and <|endoftext|>, rounded up to the row tile of the head
  config.hidden_size = init.hidden_size;
  config.intermediate_size = init.intermediate_size;
  config.num_layers = init.num_layers;
  config.num_heads = init.num_heads;
  config.num_kv_heads = init.num_kv_heads;
  config.head_size = init.hidden_size / init.num_heads;
  config.max_positions = init.max_positions;
  config.rope.theta = init.rope_theta;
  config.tie_word_embeddings = true;
  config.dtype = stored_as(dtype_in_memory(dtype, DType::f32));
  config.eos_token_ids = {256};
  const Json json = model_config_json(config);
  parse_model_config(json, "model.init");  // refuses what would be refused on the way back in
  write_file_atomic(dir / "config.json", dump_json(json, 2) + "\n");
  write_file_atomic(dir / "tokenizer.json", byte_tokenizer_json(special));
  write_file_atomic(dir / "tokenizer_config.json", byte_tokenizer_config_json("", kEndOfText, ""));
}

LoadedModel init_model(const fs::path& dir, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex) {
  std::unique_ptr<Policy> policy = make_policy(load_model_config(dir), dtype_in_memory(dtype, exact_dtype(dir)), shards);
  LoadedModel model = join(std::move(policy), load_text(dir).get(), dir);
  init_weights(*model.policy, seed);
  repack(*model.policy, ex);
  return model;
}

namespace {

void copy_whole(const fs::path& from, const fs::path& to) { write_file_atomic(to, read_file(from)); }

void copy_model_files(const fs::path& source, const fs::path& dir) {
  for (const char* name : kModelFiles)
    if (fs::exists(source / name)) copy_whole(source / name, dir / name);
  if (!fs::is_directory(source / kMoreTemplates)) return;
  fs::create_directories(dir / kMoreTemplates);
  for (const fs::directory_entry& entry : fs::directory_iterator(source / kMoreTemplates))
    if (entry.path().extension() == ".jinja") copy_whole(entry.path(), dir / kMoreTemplates / entry.path().filename());
}

// The dtype of each parameter in `source`.
std::vector<StoredDType> dtypes_in(const fs::path& source, const ParamTable& table) {
  if (!has_weights(source)) return std::vector<StoredDType>(table.entries.size(), config_dtype(source));
  const SafetensorsFolder folder = SafetensorsFolder::open(source);
  std::vector<StoredDType> dtypes;
  for (const ParamEntry& entry : table.entries) {
    const auto found = folder.tensors().find(entry.name);
    CHECK_INPUT(found != folder.tensors().end(), "{}: '{}' is missing; was the folder changed since it was read?",
                source.string(), entry.name);
    dtypes.push_back(weight_dtype(found->second, entry.name));
  }
  return dtypes;
}

// config.json with another dtype; nothing else of it changes.
void write_config_with_dtype(const fs::path& source, const fs::path& dir, StoredDType dtype) {
  Json config = read_config(source);
  config[dtype_key(config)] = stored_name(dtype);
  write_file_atomic(dir / "config.json", dump_json(config, 2) + "\n");
}

}  // namespace

void save_model(const Policy& policy, const fs::path& source, const fs::path& dir, const SaveOptions& options) {
  const bool from_masters = !options.masters.empty();
  CHECK(from_masters || policy.use == PolicyUse::training, "a policy for inference keeps no weights to save");
  CHECK(!from_masters || static_cast<int64_t>(options.masters.size()) == policy.table.size, "{} masters of {} weights",
        options.masters.size(), policy.table.size);
  fs::create_directories(dir);
  copy_model_files(source, dir);
  if (options.dtype && *options.dtype != config_dtype(source)) write_config_with_dtype(source, dir, *options.dtype);

  const std::vector<StoredDType> dtypes =
      options.dtype ? std::vector<StoredDType>(policy.table.entries.size(), *options.dtype) : dtypes_in(source, policy.table);
  std::vector<WeightSource> weights;
  for (size_t i = 0; i < policy.table.entries.size(); ++i) {
    const ParamEntry& entry = policy.table.entries[i];
    const void* data = from_masters ? static_cast<const void*>(options.masters.data() + entry.offset)
                                    : policy.weight(entry.offset, entry.shape[0], entry.shape[1]).data;
    weights.push_back({entry.name, entry.stored_shape(), data, dtypes[i]});
  }
  write_weights(dir, weights, from_masters ? StoredDType::f32 : stored_as(policy.dtype), options.max_shard_bytes);
}

std::vector<std::string> files_left_out(const fs::path& source) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    const std::string name = entry.path().filename().string();
    const bool weights = name.ends_with(".safetensors") || name == "model.safetensors.index.json";
    if (weights || name.starts_with(".") || name == kMoreTemplates) continue;
    if (std::ranges::find(kModelFiles, std::string_view(name)) == kModelFiles.end()) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<int32_t> stop_tokens(const LoadedModel& model) {
  std::vector<int32_t> ids = model.policy->config.eos_token_ids;
  const std::optional<int32_t> eos = model.tokenizer.id_of(model.tokenizer.eos_token());
  if (eos && std::ranges::find(ids, *eos) == ids.end()) ids.push_back(*eos);
  return ids;
}

}  // namespace cohort

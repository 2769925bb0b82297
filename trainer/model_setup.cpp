#include "trainer/model_setup.h"

#include <algorithm>
#include <array>
#include <future>

#include "core/check.h"
#include "core/files.h"
#include "model/adapter_folder.h"
#include "model/formats/convert_numbers.h"
#include "model/formats/read_weights.h"
#include "model/formats/safetensors.h"
#include "model/load_weights.h"
#include "model/score_head.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndOfText = "<|endoftext|>";
constexpr const char* kInitialModel = "model.init";  // leads messages

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
  check_vocabulary(text.tokenizer, policy->config, dir);
  return {std::move(policy), std::move(text.tokenizer), std::move(text.chat_template), dir};
}

}  // namespace

void check_vocabulary(const Tokenizer& tokenizer, const ModelConfig& config, const fs::path& dir) {
  for (int64_t id = config.vocab_size; id < tokenizer.vocab_size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    CHECK_INPUT(tokenizer.is_special(token) || tokenizer.token(token).empty(),
                "{}: the tokenizer gives '{}' the id {}, but config.json gives the model a vocabulary of {}", dir.string(),
                tokenizer.token(token), id, config.vocab_size);
  }
}

void check_text_ids(std::span<const int32_t> ids, const Tokenizer& tokenizer, int64_t vocab_size, std::string_view where) {
  for (const int32_t id : ids)
    CHECK_INPUT(id < vocab_size, "{} has the special token '{}' (id {}), which the model, of {} tokens, does not know", where,
                tokenizer.token(id), id, vocab_size);
}

namespace {

// transformers would apply an adapter that lies in the folder: the same folder must not be another model here.
void refuse_adapter(const fs::path& dir) {
  CHECK_INPUT(!is_adapter_folder(dir), "{}: holds an adapter alone, and a whole model is needed; cohort import {} OUT_DIR merges it into its base",
              dir.string(), dir.string());
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"})
    CHECK_INPUT(!fs::exists(dir / name),
                "{}: holds {} beside a whole model; move the adapter to a folder of its own, which cohort import, generate, logprobs and eval "
                "read with its base, or remove it to use the model without",
                dir.string(), name);
}

// The adapter's folder has a tokenizer of its own where one was saved with it.
LoadedModel load_adapter(const fs::path& dir, const std::string& dtype, int64_t shards, const Exec& ex, const fs::path& given) {
  const AdapterConfig adapter = read_adapter_config(dir);
  const fs::path base = adapter_base(dir, adapter, given);
  refuse_adapter(base);
  LoadedModel model = load_model(base, dtype, shards, ex, PolicyUse::inference);
  merge_adapter(*model.policy, dir, adapter, ex);
  model.adapter = dir;
  if (!fs::exists(dir / "tokenizer.json")) return model;
  model.tokenizer = Tokenizer::load(dir), model.chat_template = ChatTemplate::load(dir);
  check_vocabulary(model.tokenizer, model.policy->config, dir);
  return model;
}

}  // namespace

void check_model_folder(const fs::path& dir) {
  refuse_adapter(dir);
  const ModelConfig config = load_model_config(dir);
  check_weights(config, SafetensorsFolder::open(dir), dir.string());
  check_vocabulary(Tokenizer::load(dir), config, dir);
  ChatTemplate::load(dir);
}

DType dtype_in_memory(const std::string& wanted, DType exact) {
  if (wanted == "auto") return exact;
  if (wanted == "float32") return DType::f32;
  if (wanted == "bfloat16") return DType::bf16;
  fail(ExitCode::kUsage, "unknown model.dtype '{}'; allowed: auto, float32, bfloat16", wanted);
}

DType exact_dtype(const fs::path& model_dir) {
  if (!has_weights(model_dir)) return exact_dtype(config_dtype(model_dir));
  return exact_dtype_of(SafetensorsFolder::open(model_dir));
}

LoadedModel load_model(const fs::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex, PolicyUse use,
                       const fs::path& base) {
  if (use == PolicyUse::inference && is_adapter_folder(model_dir)) return load_adapter(model_dir, dtype, shards, ex, base);
  CHECK_USAGE(base.empty(), "--base {}: {} is no adapter's folder, which has an adapter_config.json and no config.json", base.string(),
              model_dir.string());
  refuse_adapter(model_dir);
  const ModelConfig config = load_model_config(model_dir);
  std::future<Text> text = load_text(model_dir);
  const SafetensorsFolder folder = SafetensorsFolder::open(model_dir);
  std::unique_ptr<Policy> policy = load_policy(config, folder, model_dir.string(),
                                               dtype_in_memory(dtype, exact_dtype_of(folder)), shards, use, ex);
  return join(std::move(policy), text.get(), model_dir);
}

namespace {

// What pads a batch: the tokenizer's own token for that, else its EOS, else the model's, else none.
int32_t padding_token(const Tokenizer& tokenizer, const ModelConfig& config) {
  for (const auto& [name, token] : tokenizer.named_tokens())
    if (name == "pad_token")
      if (const auto id = tokenizer.id_of(token)) return *id;
  return tokenizer.id_of(tokenizer.eos_token()).value_or(config.eos_token_ids.empty() ? -1 : config.eos_token_ids.front());
}

Json read_config_json(const fs::path& dir) { return parse_json(read_file(dir / "config.json"), (dir / "config.json").string()); }

std::string reward_model_config(const fs::path& dir, const ModelConfig& language_model, int32_t pad) {
  return dump_json(reward_model_json(read_config_json(dir), as_reward_model(language_model), pad), 2) + "\n";
}

}  // namespace

RewardModelStart load_as_reward_model(const fs::path& model_dir, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex) {
  refuse_adapter(model_dir);
  const ModelConfig config = load_model_config(model_dir);
  if (config.is_classifier()) return {load_model(model_dir, dtype, shards, ex), ""};
  std::future<Text> text = load_text(model_dir);
  const SafetensorsFolder folder = SafetensorsFolder::open(model_dir);
  std::unique_ptr<Policy> policy = load_policy(as_reward_model(config), folder, model_dir.string(), dtype_in_memory(dtype, exact_dtype_of(folder)),
                                               shards, PolicyUse::training, ex, /*new_score=*/true);
  RewardModelStart start{join(std::move(policy), text.get(), model_dir), ""};
  init_score_head(*start.model.policy, seed, ex);
  const int32_t pad = padding_token(start.model.tokenizer, config);
  start.config_json = reward_model_config(model_dir, config, pad);
  if (config.pad_token_id < 0) start.model.policy->config.pad_token_id = pad;
  return start;
}

bool weights_are_rounded(const Policy& policy, const ModelFiles& files) {
  return std::ranges::any_of(files.dtypes, [&](StoredDType stored) {
    return policy.dtype == DType::bf16 && exact_dtype(stored) != DType::bf16;
  });
}

void read_masters(const ParamTable& table, const fs::path& model_dir, int64_t begin, std::span<float> out) {
  const int64_t end = begin + static_cast<int64_t>(out.size());
  std::ranges::fill(out, 0.0f);
  const SafetensorsFolder folder = SafetensorsFolder::open(model_dir);
  for (const ParamEntry& entry : table.entries) {
    const int64_t from = std::max(begin, entry.offset), to = std::min(end, entry.offset + entry.size());
    if (from >= to) continue;
    if (!folder.tensors().contains(entry.name)) continue;  // loading has checked names, shapes and numbers
    const StoredTensor& stored = folder.tensors().at(entry.name);
    const StoredDType dtype = weight_dtype(stored, entry.name);
    convert_numbers(dtype, stored.data.data() + static_cast<size_t>(from - entry.offset) * stored_size(dtype),
                    StoredDType::f32, out.data() + (from - begin), static_cast<size_t>(to - from));
  }
}

namespace {

std::string initial_tokenizer_json() {
  const std::array<std::string, 1> special = {kEndOfText};
  return byte_tokenizer_json(special);
}

Json initial_config_json(const ModelInitConfig& init, const std::string& dtype) {
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
  return model_config_json(config);
}

// A policy with weights of its own.
LoadedModel fresh_model(const ModelConfig& config, DType dtype, Text text, const fs::path& source, int64_t shards, uint64_t seed, const Exec& ex) {
  LoadedModel model = join(make_policy(config, dtype, shards, PolicyUse::training, ex.device), std::move(text), source);
  init_weights(*model.policy, seed, ex);
  check_products(*model.policy, ex);
  return model;
}

}  // namespace

Tokenizer tokenizer_of(const ModelSection& model) {
  return model.init ? Tokenizer::from_json(initial_tokenizer_json(), kInitialModel) : Tokenizer::load(model.path);
}

ModelConfig initial_model_config(const ModelInitConfig& init, const std::string& dtype, bool reward_model) {
  ModelConfig config = parse_model_config(initial_config_json(init, dtype), kInitialModel);  // refuses what would be refused of a folder
  return reward_model ? as_reward_model(std::move(config)) : config;
}

ModelFiles initial_model_files(const ModelInitConfig& init, const std::string& dtype, bool reward_model) {
  Json config = initial_config_json(init, dtype);
  const ModelConfig language_model = initial_model_config(init, dtype);
  const std::string tokenizer = initial_tokenizer_json(), tokenizer_config = byte_tokenizer_config_json("", kEndOfText, "");
  if (reward_model) {
    const int32_t pad = padding_token(Tokenizer::from_files(tokenizer, tokenizer_config, kInitialModel), language_model);
    config = reward_model_json(std::move(config), as_reward_model(language_model), pad);
  }
  return {.source = kInitialModel,
          .files = {{"config.json", dump_json(config, 2) + "\n"}, {"tokenizer.json", tokenizer}, {"tokenizer_config.json", tokenizer_config}},
          .dtypes = {},
          .config_dtype = language_model.dtype};
}

void write_initial_model(const ModelFiles& files, const fs::path& dir) {
  fs::create_directories(dir);
  for (const auto& [name, bytes] : files.files) write_file_atomic(dir / name, bytes);
}

LoadedModel init_model(const ModelFiles& files, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex) {
  const auto text = [&](const char* name) { return std::ranges::find(files.files, name, &std::pair<std::string, std::string>::first)->second; };
  const ModelConfig config = parse_model_config(parse_json(text("config.json"), kInitialModel), kInitialModel);
  return fresh_model(config, dtype_in_memory(dtype, exact_dtype(files.config_dtype)),
                     {Tokenizer::from_files(text("tokenizer.json"), text("tokenizer_config.json"), kInitialModel), ChatTemplate::none()}, files.source, shards,
                     seed, ex);
}

LoadedModel init_model(const fs::path& dir, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex) {
  return fresh_model(load_model_config(dir), dtype_in_memory(dtype, exact_dtype(dir)), load_text(dir).get(), dir, shards, seed, ex);
}

namespace {

// config.json with another dtype; nothing else of it changes.
std::string with_dtype(const std::string& config_json, const fs::path& source, StoredDType dtype) {
  Json config = parse_json(config_json, (source / "config.json").string());
  config[dtype_key(config)] = stored_name(dtype);
  return dump_json(config, 2) + "\n";
}

}  // namespace

void save_model(const Policy& policy, const ModelFiles& from, const fs::path& dir, const SaveOptions& options) {
  const bool from_masters = !options.masters.empty();
  CHECK(!from_masters || static_cast<int64_t>(options.masters.size()) == policy.table.size, "{} masters of {} weights",
        options.masters.size(), policy.table.size);
  CHECK(from.dtypes.size() == policy.table.entries.size(), "dtypes of {} weights for a model of {}", from.dtypes.size(),
        policy.table.entries.size());
  std::vector<WeightSource> weights;
  std::vector<std::byte> space;  // of the numbers that are on their way
  for (size_t i = 0; i < policy.table.entries.size(); ++i) {
    const ParamEntry& entry = policy.table.entries[i];
    const auto numbers = [&, offset = entry.offset](uint64_t begin, uint64_t count) -> const std::byte* {
      const int64_t at = offset + static_cast<int64_t>(begin);
      if (from_masters) return reinterpret_cast<const std::byte*>(options.masters.data() + at);
      space.resize(count * dtype_size(policy.dtype));
      copy_weights(policy, at, {space.data(), policy.dtype, {static_cast<int64_t>(count)}});
      return space.data();
    };
    weights.push_back({entry.name, entry.stored_shape(), numbers, options.dtype.value_or(from.dtypes[i])});
  }
  fs::create_directories(dir);
  write_weights(dir, weights, from_masters ? StoredDType::f32 : stored_as(policy.dtype), options.max_shard_bytes);
  for (const auto& [name, bytes] : from.files) {
    const bool other_dtype = name == "config.json" && options.dtype && *options.dtype != from.config_dtype;
    fs::create_directories((dir / name).parent_path());
    write_file_atomic(dir / name, other_dtype ? with_dtype(bytes, from.source, *options.dtype) : bytes);
  }
}

void save_model(const Policy& policy, const fs::path& source, const fs::path& dir, const SaveOptions& options) {
  save_model(policy, read_model_files(source, policy.table), dir, options);
}

std::vector<int32_t> stop_tokens(const LoadedModel& model) {
  std::vector<int32_t> ids = model.policy->config.eos_token_ids;
  const std::optional<int32_t> eos = model.tokenizer.id_of(model.tokenizer.eos_token());
  if (eos && std::ranges::find(ids, *eos) == ids.end()) ids.push_back(*eos);
  return ids;
}

}  // namespace cohort

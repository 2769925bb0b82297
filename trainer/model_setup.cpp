#include "trainer/model_setup.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "core/files.h"
#include "model/formats/safetensors.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEndOfText = "<|endoftext|>";

DType dtype_in_memory(const std::string& wanted, DType stored) {
  if (wanted == "auto") return stored;
  if (wanted == "float32") return DType::f32;
  if (wanted == "bfloat16") return DType::bf16;
  fail(ExitCode::kUsage, "unknown model.dtype '{}'; allowed: auto, float32, bfloat16", wanted);
}

LoadedModel open_model(const fs::path& dir, const std::string& dtype, int64_t shards) {
  const ModelConfig config = load_model_config(dir);
  Tokenizer tokenizer = Tokenizer::load(dir);
  CHECK_INPUT(tokenizer.vocab_size() <= config.vocab_size,
              "{}: the tokenizer has ids up to {}, but config.json gives the model a vocabulary of {}", dir.string(),
              tokenizer.vocab_size() - 1, config.vocab_size);
  return {make_policy(config, dtype_in_memory(dtype, config.dtype), shards), std::move(tokenizer), ChatTemplate::load(dir),
          dir};
}

}  // namespace

LoadedModel load_model(const fs::path& model_dir, const std::string& dtype, int64_t shards, const Exec& ex) {
  LoadedModel model = open_model(model_dir, dtype, shards);
  load_weights(*model.policy, model_dir);
  repack(*model.policy, ex);
  return model;
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
  config.dtype = dtype_in_memory(dtype == "auto" ? "float32" : dtype, DType::f32);
  config.eos_token_ids = {256};
  const Json json = model_config_json(config);
  parse_model_config(json, "model.init");  // refuses what would be refused on the way back in
  write_file_atomic(dir / "config.json", dump_json(json, 2) + "\n");
  write_file_atomic(dir / "tokenizer.json", byte_tokenizer_json(special));
  write_file_atomic(dir / "tokenizer_config.json", byte_tokenizer_config_json("", kEndOfText, ""));
}

LoadedModel init_model(const fs::path& dir, const std::string& dtype, int64_t shards, uint64_t seed, const Exec& ex) {
  LoadedModel model = open_model(dir, dtype, shards);
  init_weights(*model.policy, seed);
  repack(*model.policy, ex);
  return model;
}

void save_model(const Policy& policy, const fs::path& source, const fs::path& dir) {
  fs::create_directories(dir);
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                           "chat_template.jinja", "tokenizer.model", "LICENSE"}) {
    if (fs::exists(source / name)) write_file_atomic(dir / name, read_file(source / name));
  }
  // In the checkpoint's dtype, so that config.json stays true.
  const bool to_bf16 = policy.config.dtype == DType::bf16;
  std::vector<std::byte> converted;
  const StoredTensor all{policy.dtype == DType::bf16 ? "BF16" : "F32",
                         {policy.table.size},
                         {static_cast<const std::byte*>(policy.weights.data), policy.weights.bytes()}};
  std::span<const std::byte> image = all.data;
  const DType out = policy.config.dtype;
  if (policy.dtype != out) {
    converted.resize(static_cast<size_t>(policy.table.size) * dtype_size(out));
    convert_stored(all, "weights", to_bf16, converted.data());
    image = converted;
  }
  std::vector<NamedTensor> tensors;
  for (const ParamEntry& entry : policy.table.entries) {
    const std::vector<int64_t> shape = entry.shape[0] == 1 ? std::vector<int64_t>{entry.shape[1]}
                                                           : std::vector<int64_t>{entry.shape[0], entry.shape[1]};
    tensors.push_back({entry.name,
                       {to_bf16 ? "BF16" : "F32", shape,
                        image.subspan(static_cast<size_t>(entry.offset) * dtype_size(out),
                                      static_cast<size_t>(entry.size()) * dtype_size(out))}});
  }
  write_safetensors(dir / "model.safetensors", tensors);
}

std::vector<int32_t> stop_tokens(const LoadedModel& model) {
  std::vector<int32_t> ids = model.policy->config.eos_token_ids;
  const std::optional<int32_t> eos = model.tokenizer.id_of(model.tokenizer.eos_token());
  if (eos && std::ranges::find(ids, *eos) == ids.end()) ids.push_back(*eos);
  return ids;
}

}  // namespace cohort

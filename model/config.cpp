#include "model/config.h"

#include <cmath>

#include "core/check.h"
#include "core/files.h"

namespace cohort {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension: far beyond real models, far from overflow

// Refuses a key whose value would change the model's numbers in a way that cohort does not compute.
void refuse(bool bad, std::string_view where, const char* key, const Json& value, const char* allowed) {
  CHECK_INPUT(!bad, "{}: {}: {} is not supported; allowed: {}", where, key, dump_json(value), allowed);
}

std::vector<int32_t> token_ids(const Json& config, const char* key, std::string_view where, int64_t vocab_size) {
  std::vector<int32_t> ids;
  if (!config.contains(key) || config[key].is_null()) return ids;
  const Json list = config[key].is_array() ? config[key] : Json::array({config[key]});
  for (const Json& id : list) {
    const Json holder = {{key, id}};
    ids.push_back(static_cast<int32_t>(get_int(holder, key, where, 0, vocab_size - 1)));
  }
  return ids;
}

DType parse_dtype(const Json& config, std::string_view where) {
  const char* key = config.contains("dtype") ? "dtype" : "torch_dtype";  // transformers 5 and before
  const std::string name = get_string_or(config, key, where, "float32");
  if (name == "float32") return DType::f32;
  if (name == "bfloat16" || name == "float16") return DType::bf16;
  fail(ExitCode::kInput, "{}: {}: '{}' is not supported; allowed: float32, bfloat16, float16 (computed in bfloat16)", where,
       key, name);
}

float parse_rope(const Json& config, std::string_view where) {
  double theta = get_double_or(config, "rope_theta", where, 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!config.contains(key) || config[key].is_null()) continue;
    const Json& rope = config[key];
    CHECK_INPUT(rope.is_object(), "{}: {} must be an object, found {}", where, key, rope.type_name());
    const char* type_key = rope.contains("rope_type") ? "rope_type" : "type";
    const std::string type = get_string_or(rope, type_key, where, "default");
    refuse(type != "default", where, key, rope, "rope_type default (no scaling)");
    theta = get_double_or(rope, "rope_theta", where, theta);
  }
  CHECK_INPUT(std::isfinite(static_cast<float>(theta)) && static_cast<float>(theta) > 0, "{}: rope_theta is {}, must be positive", where, theta);
  return static_cast<float>(theta);
}

}  // namespace

ModelConfig parse_model_config(const Json& config, std::string_view where) {
  CHECK_INPUT(config.is_object(), "{}: expected an object, found {}", where, config.type_name());
  ModelConfig m;
  m.model_type = get_string(config, "model_type", where);
  if (config.contains("architectures") && config["architectures"].is_array() && !config["architectures"].empty() &&
      config["architectures"][0].is_string()) {
    m.architecture = config["architectures"][0].get<std::string>();
  }
  CHECK_INPUT(m.model_type == "llama" && m.architecture == "LlamaForCausalLM",
              "{}: model_type '{}' with architecture '{}' is not supported; allowed: llama with LlamaForCausalLM", where,
              m.model_type, m.architecture);
  const auto size = [&](const char* key) { return get_int(config, key, where, 1, kMaxSize); };
  m.vocab_size = size("vocab_size");
  m.hidden_size = size("hidden_size");
  m.intermediate_size = size("intermediate_size");
  m.num_layers = get_int(config, "num_hidden_layers", where, 1, 4096);
  m.num_heads = get_int(config, "num_attention_heads", where, 1, 4096);
  m.num_kv_heads = get_int_or(config, "num_key_value_heads", where, 1, 4096, m.num_heads);
  CHECK_INPUT(m.num_heads % m.num_kv_heads == 0, "{}: {} attention heads cannot share {} key-value heads evenly", where,
              m.num_heads, m.num_kv_heads);
  m.head_size = get_int_or(config, "head_dim", where, 1, 1024, 0);
  if (m.head_size == 0) {
    CHECK_INPUT(m.hidden_size % m.num_heads == 0, "{}: hidden_size {} is no multiple of num_attention_heads {}", where,
                m.hidden_size, m.num_heads);
    m.head_size = m.hidden_size / m.num_heads;
  }
  CHECK_INPUT(m.head_size % 2 == 0 && m.head_size <= 256, "{}: head size {} is not supported; allowed: even, at most 256",
              where, m.head_size);
  CHECK_INPUT(m.hidden_size % 16 == 0 && m.intermediate_size % 16 == 0,
              "{}: hidden_size {} and intermediate_size {} must be multiples of 16", where, m.hidden_size,
              m.intermediate_size);
  m.max_positions = get_int_or(config, "max_position_embeddings", where, 1, kMaxSize, 2048);
  m.rope_theta = parse_rope(config, where);
  m.rms_norm_eps = static_cast<float>(get_double_or(config, "rms_norm_eps", where, 1e-6));
  CHECK_INPUT(m.rms_norm_eps > 0 && m.rms_norm_eps < 1, "{}: rms_norm_eps is {}", where, m.rms_norm_eps);
  m.tie_word_embeddings = get_bool_or(config, "tie_word_embeddings", where, false);
  m.dtype = parse_dtype(config, where);
  m.eos_token_ids = token_ids(config, "eos_token_id", where, m.vocab_size);
  if (const std::vector<int32_t> bos = token_ids(config, "bos_token_id", where, m.vocab_size); !bos.empty())
    m.bos_token_id = bos[0];

  const auto is_true = [&](const char* key) { return config.contains(key) && config[key] != Json(false) && !config[key].is_null(); };
  refuse(is_true("attention_bias"), where, "attention_bias", config.value("attention_bias", Json()), "false");
  refuse(is_true("mlp_bias"), where, "mlp_bias", config.value("mlp_bias", Json()), "false");
  const std::string act = get_string_or(config, "hidden_act", where, "silu");
  refuse(act != "silu" && act != "swish", where, "hidden_act", act, "silu");
  refuse(get_double_or(config, "attention_dropout", where, 0) != 0, where, "attention_dropout",
         config.value("attention_dropout", Json()), "0");
  for (const char* key : {"quantization_config", "auto_map", "partial_rotary_factor", "sliding_window"})
    refuse(is_true(key) && !(config[key].is_number() && config[key] == 1.0 && std::string(key) == "partial_rotary_factor"),
           where, key, config[key], "the key absent");
  const int64_t pretraining_tp = get_int_or(config, "pretraining_tp", where, 1, 1024, 1);
  refuse(pretraining_tp != 1, where, "pretraining_tp", pretraining_tp, "1");
  return m;
}

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  CHECK_INPUT(std::filesystem::is_directory(model_dir), "{}: no such model folder", model_dir.string());
  const std::filesystem::path file = model_dir / "config.json";
  ModelConfig m = parse_model_config(parse_json(read_file(file, 16 << 20), file.string()), file.string());
  // generation_config.json may name more stop tokens (e.g. <|im_end|>), which transformers' generate obeys.
  const std::filesystem::path generation = model_dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json config = parse_json(read_file(generation, 16 << 20), generation.string());
    CHECK_INPUT(config.is_object(), "{}: expected an object", generation.string());
    const std::vector<int32_t> ids = token_ids(config, "eos_token_id", generation.string(), m.vocab_size);
    if (!ids.empty()) m.eos_token_ids = ids;
  }
  return m;
}

Json model_config_json(const ModelConfig& m) {
  Json config = {{"architectures", {m.architecture}},
                 {"attention_bias", false},
                 {"attention_dropout", 0.0},
                 {"bos_token_id", nullptr},
                 {"eos_token_id", nullptr},
                 {"head_dim", m.head_size},
                 {"hidden_act", "silu"},
                 {"hidden_size", m.hidden_size},
                 {"initializer_range", 0.02},
                 {"intermediate_size", m.intermediate_size},
                 {"max_position_embeddings", m.max_positions},
                 {"mlp_bias", false},
                 {"model_type", m.model_type},
                 {"num_attention_heads", m.num_heads},
                 {"num_hidden_layers", m.num_layers},
                 {"num_key_value_heads", m.num_kv_heads},
                 {"rms_norm_eps", static_cast<double>(m.rms_norm_eps)},
                 {"rope_theta", static_cast<double>(m.rope_theta)},
                 {"tie_word_embeddings", m.tie_word_embeddings},
                 {"torch_dtype", dtype_name(m.dtype)},
                 {"vocab_size", m.vocab_size}};
  if (m.bos_token_id >= 0) config["bos_token_id"] = m.bos_token_id;
  if (m.eos_token_ids.size() == 1) config["eos_token_id"] = m.eos_token_ids[0];
  if (m.eos_token_ids.size() > 1) config["eos_token_id"] = m.eos_token_ids;
  return config;
}

}  // namespace cohort

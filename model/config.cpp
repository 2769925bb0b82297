#include "model/config.h"

#include <algorithm>

#include "core/check.h"
#include "core/files.h"
#include "model/families/families.h"

namespace cohort {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;  // of any one dimension: far beyond real models, far from overflow

StoredDType parse_dtype(const ConfigReader& reader) {
  const char* key = reader.has("dtype") ? "dtype" : "torch_dtype";  // transformers 5 and before
  const std::string name = reader.text_or(key, "float32");
  if (const std::optional<StoredDType> dtype = stored_dtype_of(name)) return *dtype;
  reader.refuse(key, name, "float32, bfloat16, float16");
}

const Family& family_of(const std::string& model_type, std::string_view where) {
  std::vector<std::string_view> known;
  for (const Family& family : families()) {
    if (family.model_type == model_type) return family;
    known.push_back(family.model_type);
  }
  fail(ExitCode::kInput, "{}: model_type '{}' is not supported; allowed: {}", where, model_type,
       fmt::join(known, ", "));
}

// The one entry of `architectures`. Without the key, a language model of the family: so does transformers. An empty list names
// no model, and is refused.
void read_architecture(const ConfigReader& reader, const Family& family, ModelConfig& m) {
  const std::string_view classifier = family.classifier.empty() ? family.architecture : family.classifier;
  const std::string causal = fmt::format("{}ForCausalLM", family.architecture);
  const std::string scoring = fmt::format("{}ForSequenceClassification", classifier);
  m.architecture = causal;
  if (reader.has("architectures")) {
    const Json& list = reader.json()["architectures"];
    if (list != Json::array({causal}) && list != Json::array({scoring}))
      reader.refuse("architectures", list, fmt::format("[{}] or [{}] for model_type {}", causal, scoring, m.model_type));
    m.architecture = list[0].get<std::string>();
  }
  if (m.architecture != scoring) return;
  // transformers writes the labels' names, and leaves them out where there are two.
  m.num_labels = reader.has("id2label") && reader.json()["id2label"].is_object()
                     ? static_cast<int64_t>(reader.json()["id2label"].size())
                     : reader.integer_or("num_labels", 1, kMaxSize, 2);
  CHECK_INPUT(m.num_labels == 1, "{}: a {} with {} labels is not supported; allowed: 1 (a reward model)", reader.where(),
              scoring, m.num_labels);
}

void read_sizes(const ConfigReader& reader, const Family& family, ModelConfig& m) {
  const std::string_view where = reader.where();
  m.vocab_size = reader.integer("vocab_size", 1, kMaxSize);
  m.hidden_size = reader.integer("hidden_size", 1, kMaxSize);
  m.intermediate_size = reader.integer("intermediate_size", 1, kMaxSize);
  m.num_layers = reader.integer("num_hidden_layers", 1, 4096);
  m.num_heads = reader.integer("num_attention_heads", 1, 4096);
  const bool absent = !reader.json().contains("num_key_value_heads");
  m.num_kv_heads = reader.integer_or("num_key_value_heads", 1, 4096,
                                     absent && family.default_kv_heads > 0 ? family.default_kv_heads : m.num_heads);
  CHECK_INPUT(m.num_heads % m.num_kv_heads == 0, "{}: {} attention heads cannot share {} key-value heads evenly", where,
              m.num_heads, m.num_kv_heads);
  m.head_size = reader.integer_or("head_dim", 1, 1024, family.default_head_size);
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
  CHECK_INPUT(m.num_heads * m.head_size % 16 == 0 && m.num_kv_heads * m.head_size % 16 == 0,
              "{}: {} heads and {} key-value heads of {} must each give a multiple of 16", where, m.num_heads,
              m.num_kv_heads, m.head_size);
  m.max_positions = reader.integer_or("max_position_embeddings", 1, kMaxSize, 2048);
  m.rms_norm_eps = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  CHECK_INPUT(m.rms_norm_eps > 0 && m.rms_norm_eps < 1, "{}: rms_norm_eps is {}", where, m.rms_norm_eps);
}

}  // namespace

ModelConfig parse_model_config(const Json& config, std::string_view where) {
  CHECK_INPUT(config.is_object(), "{}: expected an object, found {}", where, config.type_name());
  const ConfigReader reader(config, where);
  ModelConfig m;
  m.model_type = get_string(config, "model_type", where);
  reader.refuse_if_set("auto_map", "the key absent (remote code is never run)");
  const Family& family = family_of(m.model_type, where);
  read_architecture(reader, family, m);
  read_sizes(reader, family, m);
  m.tie_word_embeddings = reader.flag_or("tie_word_embeddings", family.tied_by_default);
  m.dtype = parse_dtype(reader);
  m.eos_token_ids = reader.token_ids("eos_token_id", m.vocab_size);
  if (const std::vector<int32_t> bos = reader.token_ids("bos_token_id", m.vocab_size); !bos.empty())
    m.bos_token_id = bos[0];
  // -1 is how some files say "none".
  if (reader.has("pad_token_id") && config["pad_token_id"] != -1) {
    if (const std::vector<int32_t> pad = reader.token_ids("pad_token_id", m.vocab_size); !pad.empty())
      m.pad_token_id = pad[0];
  }
  reader.refuse_if_set("attention_dropout", "0");
  reader.refuse_if_set("quantization_config");
  if (reader.number_or("partial_rotary_factor", 1.0) != 1.0)
    reader.refuse("partial_rotary_factor", config["partial_rotary_factor"], "1");
  family.read(reader, m);
  return m;
}

namespace {

// The name of a repository of the Hugging Face Hub is what other programs take.
std::string where_models_come_from(const std::filesystem::path& given) {
  const std::string text = given.string();
  const bool repository = std::ranges::count(text, '/') == 1 && text.front() != '/' && text.front() != '.' && text.back() != '/' &&
                          !std::filesystem::exists(given.parent_path());
  std::string told = "; it is a folder on this machine with config.json, tokenizer.json and safetensors, as it comes from the Hugging Face Hub";
  if (repository) told += fmt::format("; cohort downloads nothing: `hf download {} --local-dir {}` does, outside", text, given.filename().string());
  return told;
}

}  // namespace

ModelConfig load_model_config(const std::filesystem::path& model_dir) {
  CHECK_INPUT(std::filesystem::is_directory(model_dir), "{}: no such model folder{}", model_dir.string(), where_models_come_from(model_dir));
  const std::filesystem::path file = model_dir / "config.json";
  ModelConfig m = parse_model_config(parse_json(read_file(file, 16 << 20), file.string()), file.string());
  // generation_config.json may name more stop tokens (e.g. <|im_end|>), which transformers' generate obeys.
  const std::filesystem::path generation = model_dir / "generation_config.json";
  if (std::filesystem::exists(generation)) {
    const Json config = parse_json(read_file(generation, 16 << 20), generation.string());
    CHECK_INPUT(config.is_object(), "{}: expected an object", generation.string());
    const std::string where = generation.string();
    const std::vector<int32_t> ids = ConfigReader(config, where).token_ids("eos_token_id", m.vocab_size);
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
                 {"rope_theta", static_cast<double>(m.rope.theta)},
                 {"tie_word_embeddings", m.tie_word_embeddings},
                 {"torch_dtype", stored_name(m.dtype)},
                 {"vocab_size", m.vocab_size}};
  if (m.bos_token_id >= 0) config["bos_token_id"] = m.bos_token_id;
  if (m.eos_token_ids.size() == 1) config["eos_token_id"] = m.eos_token_ids[0];
  if (m.eos_token_ids.size() > 1) config["eos_token_id"] = m.eos_token_ids;
  return config;
}

}  // namespace cohort

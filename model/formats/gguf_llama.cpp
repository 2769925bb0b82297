// Keys, names and shapes of the llama architecture (llama.cpp, convert_hf_to_gguf.py and
// llama-arch.cpp).
#include "model/formats/gguf_llama.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "model/formats/gguf_quants.h"
#include "model/formats/in_quotes.h"

namespace cohort {
namespace {

constexpr int64_t kMaxSize = int64_t{1}
                             << 24;  // of any one dimension: far beyond models, far from overflow
constexpr int64_t kMaxLayers = 4096, kMaxHeads = 4096;
constexpr int64_t kPieceValues = int64_t{1} << 20;

constexpr std::string_view kKnownKeys[] = {"vocab_size",
                                           "context_length",
                                           "embedding_length",
                                           "block_count",
                                           "feed_forward_length",
                                           "attention.head_count",
                                           "attention.head_count_kv",
                                           "attention.key_length",
                                           "attention.value_length",
                                           "attention.layer_norm_rms_epsilon",
                                           "rope.dimension_count",
                                           "rope.freq_base",
                                           "expert_count",
                                           "expert_used_count",
                                           "tensor_data_layout"};

void check_keys(const GgufFile& file) {
  constexpr std::string_view kPrefix = "llama.";
  for (const auto& [key, value] : file.values) {
    CHECK_INPUT(!key.starts_with("llama.rope.scal"), "{}: key {}: rope scaling is not supported",
                file.where, in_quotes(key));
    CHECK_INPUT(
        !key.starts_with(kPrefix) || std::find(std::begin(kKnownKeys), std::end(kKnownKeys),
                                               key.substr(kPrefix.size())) != std::end(kKnownKeys),
        "{}: key {} is not supported: it may change the model; supported are llama.{{{}}}",
        file.where, in_quotes(key), fmt::join(kKnownKeys, ", "));
  }
  for (const char* key : {"llama.expert_count", "llama.expert_used_count"})
    CHECK_INPUT(file.get_int_or(key, 0, INT64_MAX, 0) == 0,
                "{}: key '{}' is not 0: experts are not supported", file.where, key);
  // The row order that decode_weight undoes.
  if (file.has("llama.tensor_data_layout"))
    CHECK_INPUT(file.get_string("llama.tensor_data_layout") == "Meta AI original pth",
                "{}: llama.tensor_data_layout {} is not supported", file.where,
                in_quotes(file.get_string("llama.tensor_data_layout")));
}

void check_kind(const GgufFile& file) {
  const std::string_view architecture = file.get_string("general.architecture");
  CHECK_INPUT(architecture == "llama",
              "{}: general.architecture {} is not supported; supported is llama", file.where,
              in_quotes(architecture));
  if (file.has("general.type"))
    CHECK_INPUT(file.get_string("general.type") == "model",
                "{}: general.type is {}; only a whole model can be imported", file.where,
                in_quotes(file.get_string("general.type")));
  CHECK_INPUT(file.get_int_or("split.count", 0, INT64_MAX, 1) <= 1,
              "{}: is one part of a split model, which is not supported; merge the parts first "
              "(llama-gguf-split --merge)",
              file.where);
  file.get_int_or("general.quantization_version", 2, 2, 2);  // the layout of the blocks
}

struct Sizes {
  int64_t layers, hidden, ffn, heads, kv_heads, head_size, positions, vocab;
};

Sizes read_sizes(const GgufFile& file, const GgufTokenizer& tokenizer) {
  Sizes s;
  s.layers = file.get_int("llama.block_count", 1, kMaxLayers);
  s.hidden = file.get_int("llama.embedding_length", 1, kMaxSize);
  s.ffn = file.get_int("llama.feed_forward_length", 1, kMaxSize);
  s.heads = file.get_int("llama.attention.head_count", 1, kMaxHeads);
  s.kv_heads = file.get_int_or("llama.attention.head_count_kv", 1, kMaxHeads, s.heads);
  CHECK_INPUT(s.heads % s.kv_heads == 0, "{}: {} heads are no multiple of {} key-value heads",
              file.where, s.heads, s.kv_heads);
  CHECK_INPUT(file.has("llama.attention.key_length") || s.hidden % s.heads == 0,
              "{}: llama.embedding_length {} is no multiple of {} heads", file.where, s.hidden,
              s.heads);
  s.head_size = file.get_int_or("llama.attention.key_length", 1, kMaxSize, s.hidden / s.heads);
  const int64_t value_size =
      file.get_int_or("llama.attention.value_length", 1, kMaxSize, s.head_size);
  const int64_t rotary = file.get_int_or("llama.rope.dimension_count", 1, kMaxSize, s.head_size);
  CHECK_INPUT(
      value_size == s.head_size && rotary == s.head_size && s.head_size % 2 == 0,
      "{}: heads of {} for keys, {} for values, {} rotated; supported are equal, even numbers",
      file.where, s.head_size, value_size, rotary);
  s.positions = file.get_int("llama.context_length", 1, kMaxSize);
  s.vocab = file.get_int_or("llama.vocab_size", 1, kMaxSize, tokenizer.vocab_size);
  CHECK_INPUT(s.vocab == tokenizer.vocab_size,
              "{}: llama.vocab_size is {}, but there are {} tokens", file.where, s.vocab,
              tokenizer.vocab_size);
  return s;
}

Json token_id_or_null(int64_t id) { return id < 0 ? Json(nullptr) : Json(id); }

// rope_theta at the top is read by transformers 4 and 5 alike.
Json config_json(const GgufFile& file, const Sizes& s, const GgufTokenizer& tokenizer, bool tied) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"attention_bias", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", token_id_or_null(tokenizer.bos)},
          {"eos_token_id", token_id_or_null(tokenizer.eos)},
          {"head_dim", s.head_size},
          {"hidden_act", "silu"},
          {"hidden_size", s.hidden},
          {"initializer_range", 0.02},
          {"intermediate_size", s.ffn},
          {"max_position_embeddings", s.positions},
          {"mlp_bias", false},
          {"model_type", "llama"},
          {"num_attention_heads", s.heads},
          {"num_hidden_layers", s.layers},
          {"num_key_value_heads", s.kv_heads},
          {"pad_token_id", token_id_or_null(tokenizer.pad)},
          {"rms_norm_eps", file.get_positive("llama.attention.layer_norm_rms_epsilon")},
          {"rope_scaling", nullptr},
          {"rope_theta",
           file.has("llama.rope.freq_base") ? file.get_positive("llama.rope.freq_base") : 10000.0},
          {"tie_word_embeddings", tied},
          {"torch_dtype", "bfloat16"},
          {"use_cache", true},
          {"vocab_size", s.vocab}};
}

Json generation_config_json(const GgufTokenizer& tokenizer) {
  Json config = Json::object();
  if (tokenizer.bos >= 0) config["bos_token_id"] = tokenizer.bos;
  if (tokenizer.eos >= 0) config["eos_token_id"] = tokenizer.eos;
  if (tokenizer.pad >= 0) config["pad_token_id"] = tokenizer.pad;
  return config;
}

// Collects the weights and checks their shapes.
class Collector {
 public:
  explicit Collector(const GgufFile& file) : file_(file) {}

  void add(const std::string& gguf_name, std::string name, const std::vector<int64_t>& shape,
           int64_t heads = 0) {
    const auto found = file_.tensors.find(gguf_name);
    CHECK_INPUT(found != file_.tensors.end(), "{}: tensor '{}' is missing", file_.where, gguf_name);
    CHECK_INPUT(found->second.shape == shape, "{}: tensor '{}' has the shape [{}]; expected [{}]",
                file_.where, gguf_name, fmt::join(found->second.shape, ", "),
                fmt::join(shape, ", "));
    weights.push_back({std::move(name), found->first, &found->second, heads});
  }
  void check_all_used() const {
    std::vector<std::string_view> used;
    for (const LlamaWeight& weight : weights) used.push_back(weight.gguf_name);
    std::sort(used.begin(), used.end());
    for (const auto& [name, tensor] : file_.tensors)
      CHECK_INPUT(std::binary_search(used.begin(), used.end(), name),
                  "{}: tensor {} is not part of a plain llama model{}", file_.where,
                  in_quotes(name),
                  name == "rope_freqs.weight" ? ": rope scaling is not supported" : "");
  }

  std::vector<LlamaWeight> weights;

 private:
  const GgufFile& file_;
};

}  // namespace

LlamaImport plan_llama_import(const GgufFile& file, const GgufTokenizer& tokenizer) {
  check_kind(file);
  check_keys(file);
  const Sizes s = read_sizes(file, tokenizer);
  const int64_t q_rows = s.heads * s.head_size, kv_rows = s.kv_heads * s.head_size;
  const bool tied = !file.tensors.contains("output.weight");

  Collector collect(file);
  collect.add("token_embd.weight", "model.embed_tokens.weight", {s.vocab, s.hidden});
  for (int64_t layer = 0; layer < s.layers; ++layer) {
    const auto add = [&](const char* gguf, const char* name, const std::vector<int64_t>& shape,
                         int64_t heads = 0) {
      collect.add(fmt::format("blk.{}.{}.weight", layer, gguf),
                  fmt::format("model.layers.{}.{}.weight", layer, name), shape, heads);
    };
    add("attn_norm", "input_layernorm", {s.hidden});
    add("attn_q", "self_attn.q_proj", {q_rows, s.hidden}, s.heads);
    add("attn_k", "self_attn.k_proj", {kv_rows, s.hidden}, s.kv_heads);
    add("attn_v", "self_attn.v_proj", {kv_rows, s.hidden});
    add("attn_output", "self_attn.o_proj", {s.hidden, q_rows});
    add("ffn_norm", "post_attention_layernorm", {s.hidden});
    add("ffn_gate", "mlp.gate_proj", {s.ffn, s.hidden});
    add("ffn_up", "mlp.up_proj", {s.ffn, s.hidden});
    add("ffn_down", "mlp.down_proj", {s.hidden, s.ffn});
  }
  collect.add("output_norm.weight", "model.norm.weight", {s.hidden});
  if (!tied) collect.add("output.weight", "lm_head.weight", {s.vocab, s.hidden});
  collect.check_all_used();
  return {config_json(file, s, tokenizer, tied), generation_config_json(tokenizer),
          std::move(collect.weights)};
}

void decode_weight(const LlamaWeight& weight, std::string_view where,
                   const std::function<void(std::span<const bf16>)>& take) {
  const GgufQuant& quant = *find_gguf_quant(weight.tensor->type);
  const std::vector<int64_t>& shape = weight.tensor->shape;
  const int64_t columns = shape.back();
  const int64_t rows = static_cast<int64_t>(weight.tensor->data.size()) / quant.block_bytes *
                       quant.block_values / columns;
  const int64_t row_bytes = columns / quant.block_values * quant.block_bytes;
  // llama.cpp rotates neighbouring rows (2i, 2i + 1) of a head, Hugging Face rows (i, i + half):
  // its converter lays row i + half * part of each head at 2i + part.
  const int64_t head_rows = weight.heads > 0 ? rows / weight.heads : rows, half = head_rows / 2;
  const auto source_row = [&](int64_t row) {
    if (weight.heads == 0) return row;
    const int64_t in_head = row % head_rows;
    return row - in_head + in_head % half * 2 + in_head / half;
  };

  std::vector<float> values(quant.block_values);
  std::vector<bf16> piece;
  piece.reserve(std::max(columns, std::min(kPieceValues, rows * columns)));
  for (int64_t row = 0; row < rows; ++row) {
    const std::byte* at = weight.tensor->data.data() + source_row(row) * row_bytes;
    for (int64_t column = 0; column < columns;
         column += quant.block_values, at += quant.block_bytes) {
      quant.decode(at, values.data());
      for (int64_t i = 0; i < quant.block_values; ++i) {
        const bf16 rounded = to_bf16(values[i]);
        CHECK_INPUT((rounded.bits & 0x7F80) != 0x7F80,
                    "{}: tensor {}: value {} of row {} is {}, not finite as bfloat16", where,
                    in_quotes(weight.gguf_name), column + i, source_row(row), values[i]);
        piece.push_back(rounded);
      }
    }
    if (piece.size() + columns > piece.capacity() || row + 1 == rows) {
      take(piece);
      piece.clear();
    }
  }
}

}  // namespace cohort

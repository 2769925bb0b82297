// Builds GGUF images by hand, right and wrong ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cohort {

// The file's numbers for types of values and of tensors.
enum GgufValueId : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kList,
  kU64,
  kI64,
  kF64
};
enum GgufTensorId : uint32_t {
  kTF32 = 0,
  kTF16 = 1,
  kTQ4_0 = 2,
  kTQ4_1 = 3,
  kTQ8_0 = 8,
  kTQ6_K = 14,
  kTBF16 = 30
};

template <typename T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
template <typename T>
std::string raw_list(const std::vector<T>& values) {
  std::string bytes;
  for (T value : values) bytes += raw(value);
  return bytes;
}
inline std::string raw_text(const std::string& text) { return raw(uint64_t{text.size()}) + text; }

// Values with their type in front, as they follow a key.
template <typename T>
std::string value_of(uint32_t id, T value) {
  return raw(id) + raw(value);
}
inline std::string u32_value(uint32_t value) { return value_of(kU32, value); }
inline std::string f32_value(float value) { return value_of(kF32, value); }
inline std::string bool_value(uint8_t value) { return value_of(kBool, value); }
inline std::string text_value(const std::string& text) {
  return raw(uint32_t{kText}) + raw_text(text);
}
inline std::string list_head(uint32_t id, uint64_t count) {
  return raw(uint32_t{kList}) + raw(id) + raw(count);
}
inline std::string texts_value(const std::vector<std::string>& texts) {
  std::string bytes = list_head(kText, texts.size());
  for (const std::string& text : texts) bytes += raw_text(text);
  return bytes;
}
inline std::string i32s_value(const std::vector<int32_t>& values) {
  return list_head(kI32, values.size()) + raw_list(values);
}

struct GgufBuilder {
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims;  // the file's order: the contiguous one first
    uint32_t type;
    std::string data;
    std::optional<uint64_t> offset;  // else behind the tensor before
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  std::optional<uint64_t> tensor_count, key_count;  // else as many as there are
  uint64_t alignment = 32;                          // in fact; the key says it to readers
  std::vector<std::pair<std::string, std::string>> keys;
  std::vector<Tensor> tensors;
  std::string tail;  // behind everything

  GgufBuilder& set(const std::string& key, const std::string& value) {
    for (auto& [known, old] : keys)
      if (known == key) return old = value, *this;
    keys.emplace_back(key, value);
    return *this;
  }
  GgufBuilder& remove(const std::string& key) {
    std::erase_if(keys, [&](const auto& entry) { return entry.first == key; });
    return *this;
  }
  GgufBuilder& remove_tensor(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
    return *this;
  }
  Tensor& tensor(const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const Tensor& t) { return t.name == name; });
  }

  std::string image() const {
    std::string image = magic + raw(version) + raw(tensor_count.value_or(tensors.size())) +
                        raw(key_count.value_or(keys.size()));
    for (const auto& [key, value] : keys) image += raw_text(key) + value;
    std::string data;
    const auto pad = [&](std::string& bytes) {
      bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    };
    for (const Tensor& tensor : tensors) {
      pad(data);
      image += raw_text(tensor.name) + raw(static_cast<uint32_t>(tensor.dims.size())) +
               raw_list(tensor.dims) + raw(tensor.type) + raw(tensor.offset.value_or(data.size()));
      data += tensor.data;
    }
    pad(image);
    return image + data + tail;
  }
};

// A block of the format with scale (and minimum) as binary16 bits and quants that count up from
// `first`.
inline std::string q8_0_block(uint16_t scale, int8_t first) {
  std::string block = raw(scale);
  for (int i = 0; i < 32; ++i) block += raw(static_cast<int8_t>(first + i));
  return block;
}

inline std::vector<std::string> tiny_tokens() {
  return {"<s>", "</s>", "a", "b", "ab", "<tool>", "[PAD6]", "\xC4\xA0"};
}

// One layer, hidden 32, two heads of 16 with one key-value head, ffn 256, eight tokens, untied. Row
// r of attn_q and of attn_k holds r everywhere; every type of tensor occurs.
inline GgufBuilder tiny_llama() {
  GgufBuilder gguf;
  gguf.set("general.architecture", text_value("llama"))
      .set("general.quantization_version", u32_value(2))
      .set("llama.block_count", u32_value(1))
      .set("llama.context_length", u32_value(128))
      .set("llama.embedding_length", u32_value(32))
      .set("llama.feed_forward_length", u32_value(256))
      .set("llama.attention.head_count", u32_value(2))
      .set("llama.attention.head_count_kv", u32_value(1))
      .set("llama.attention.layer_norm_rms_epsilon", f32_value(1e-5f))
      .set("llama.rope.freq_base", f32_value(50000))
      .set("llama.rope.dimension_count", u32_value(16))
      .set("llama.vocab_size", u32_value(8))
      .set("tokenizer.ggml.model", text_value("gpt2"))
      .set("tokenizer.ggml.pre", text_value("smollm"))
      .set("tokenizer.ggml.tokens", texts_value(tiny_tokens()))
      .set("tokenizer.ggml.token_type", i32s_value({3, 3, 1, 1, 1, 4, 5, 1}))
      .set("tokenizer.ggml.merges", texts_value({"a b"}))
      .set("tokenizer.ggml.bos_token_id", u32_value(0))
      .set("tokenizer.ggml.eos_token_id", u32_value(1))
      .set("tokenizer.chat_template", text_value("{{ messages }}\n"));
  const auto f32s = [](size_t rows, size_t columns, auto value) {
    std::string data;
    for (size_t row = 0; row < rows; ++row)
      for (size_t column = 0; column < columns; ++column)
        data += raw(static_cast<float>(value(row)));
    return data;
  };
  const auto repeat = [](const std::string& block, int times) {
    std::string data;
    for (int i = 0; i < times; ++i) data += block;
    return data;
  };
  const auto halves = [](size_t count, uint16_t bits) {
    return raw_list(std::vector<uint16_t>(count, bits));
  };
  const auto row_number = [](size_t row) { return row; };
  const auto one = [](size_t) { return 1; };
  // binary16: 0x3C00 is 1, 0x3800 is 0.5, 0xC000 is -2. bfloat16: 0x3F80 is 1.
  const std::string q4_0 =
      raw(uint16_t{0x3800}) + std::string(16, '\x9F');  // 0.5 * (15 - 8), 0.5 * (9 - 8)
  const std::string q4_1 = raw(uint16_t{0x3800}) + raw(uint16_t{0xC000}) + std::string(16, '\x31');
  const std::string q6_k = std::string(128, '\x21') + std::string(64, '\xE4') +
                           std::string(16, '\x02') + raw(uint16_t{0x3800});
  gguf.tensors = {
      {"token_embd.weight", {32, 8}, kTQ8_0, repeat(q8_0_block(0x3800, -16), 8), {}},
      {"blk.0.attn_norm.weight", {32}, kTF32, f32s(1, 32, one), {}},
      {"blk.0.attn_q.weight", {32, 32}, kTF32, f32s(32, 32, row_number), {}},
      {"blk.0.attn_k.weight", {32, 16}, kTF32, f32s(16, 32, row_number), {}},
      {"blk.0.attn_v.weight", {32, 16}, kTF16, halves(16 * 32, 0xC000), {}},
      {"blk.0.attn_output.weight", {32, 32}, kTBF16, halves(32 * 32, 0x3F80), {}},
      {"blk.0.ffn_norm.weight", {32}, kTF32, f32s(1, 32, one), {}},
      {"blk.0.ffn_gate.weight", {32, 256}, kTQ4_0, repeat(q4_0, 256), {}},
      {"blk.0.ffn_up.weight", {32, 256}, kTQ4_1, repeat(q4_1, 256), {}},
      {"blk.0.ffn_down.weight", {256, 32}, kTQ6_K, repeat(q6_k, 32), {}},
      {"output_norm.weight", {32}, kTF32, f32s(1, 32, one), {}},
      {"output.weight", {32, 8}, kTF32, f32s(8, 32, row_number), {}},
  };
  return gguf;
}

}  // namespace cohort

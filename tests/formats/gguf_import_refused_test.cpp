// Everything that an import refuses, and that nothing is left of it.
#include <cmath>

#include "tests/formats/import_test.h"

namespace cohort {
namespace {

class GgufImportRefuses : public ImportTest {};

TEST_F(GgufImportRefuses, OtherModels) {
  expect_import_refused(GgufBuilder(), {"tokenizer.ggml.model", "missing"});
  expect_import_refused(tiny_llama().remove("general.architecture"),
                        {"general.architecture", "missing"});
  expect_import_refused(tiny_llama().set("general.architecture", text_value("qwen2")),
                        {"'qwen2'", "supported is llama"});
  expect_import_refused(tiny_llama().set("general.type", text_value("adapter")),
                        {"general.type is 'adapter'"});
  expect_import_refused(tiny_llama().set("split.count", value_of(kU16, uint16_t{3})),
                        {"one part of a split model"});
  expect_import_refused(tiny_llama().set("general.quantization_version", u32_value(1)),
                        {"general.quantization_version"});
}

TEST_F(GgufImportRefuses, KeysThatChangeTheModel) {
  for (const char* key :
       {"llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.rope.scale_linear"})
    expect_import_refused(tiny_llama().set(key, f32_value(2)),
                          {key, "rope scaling is not supported"});
  expect_import_refused(tiny_llama().set("llama.expert_count", u32_value(8)),
                        {"llama.expert_count", "experts"});
  expect_import_refused(tiny_llama().set("llama.attention.sliding_window", u32_value(8)),
                        {"'llama.attention.sliding_window' is not supported"});
  expect_import_refused(tiny_llama().set("llama.tensor_data_layout", text_value("other")),
                        {"tensor_data_layout 'other'"});
}

TEST_F(GgufImportRefuses, SizesThatCannotBe) {
  for (const char* key : {"block_count", "embedding_length", "feed_forward_length",
                          "attention.head_count", "context_length", "attention.head_count_kv"}) {
    const std::string name = std::string("llama.") + key;
    for (uint64_t value : {uint64_t{0}, uint64_t{1} << 33, UINT64_MAX})
      expect_import_refused(tiny_llama().set(name, value_of(kU64, value)),
                            {name, "allowed are 1 to"});
    expect_import_refused(tiny_llama().set(name, i32s_value({1})),
                          {name, "must be one whole number"});
    if (name != "llama.attention.head_count_kv")
      expect_import_refused(tiny_llama().remove(name), {name, "missing"});
  }
  for (float value : {0.0f, -1.0f, INFINITY, NAN}) {
    for (const char* key : {"llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon"})
      expect_import_refused(tiny_llama().set(key, f32_value(value)), {key, "positive and finite"});
  }
  expect_import_refused(tiny_llama().set("llama.attention.head_count", u32_value(3)),
                        {"no multiple of 3 heads"});
  expect_import_refused(tiny_llama().set("llama.attention.head_count_kv", u32_value(3)),
                        {"2 heads are no multiple of 3"});
  expect_import_refused(tiny_llama().set("llama.rope.dimension_count", u32_value(8)),
                        {"8 rotated"});
  expect_import_refused(tiny_llama().set("llama.attention.value_length", u32_value(8)),
                        {"8 for values"});
  expect_import_refused(tiny_llama().set("llama.attention.head_count", u32_value(32)),
                        {"heads of 1", "even"});
  expect_import_refused(tiny_llama().set("llama.vocab_size", u32_value(9)),
                        {"llama.vocab_size is 9", "8 tokens"});
}

TEST_F(GgufImportRefuses, TensorsMissingLeftOverOrOfOtherShapes) {
  const std::vector<GgufBuilder::Tensor> tensors = tiny_llama().tensors;
  for (const GgufBuilder::Tensor& tensor : tensors) {
    if (tensor.name == "output.weight") continue;
    expect_import_refused(tiny_llama().remove_tensor(tensor.name), {tensor.name, "is missing"});
  }
  expect_import_refused(tiny_llama().set("llama.block_count", u32_value(2)),
                        {"'blk.1.attn_norm.weight' is missing"});
  for (const char* name : {"blk.0.attn_q.bias", "blk.1.attn_q.weight", "blk.0.ffn_gate.0.weight"}) {
    GgufBuilder gguf = tiny_llama();
    gguf.tensors.push_back({name, {1}, kTF32, raw(1.0f), {}});
    expect_import_refused(gguf, {name, "not part of a plain llama model"});
  }
  GgufBuilder gguf = tiny_llama();
  gguf.tensors.push_back({"rope_freqs.weight", {1}, kTF32, raw(1.0f), {}});
  expect_import_refused(gguf, {"rope_freqs.weight", "rope scaling is not supported"});
  gguf = tiny_llama();
  gguf.tensor("blk.0.attn_norm.weight").dims = {16, 2};
  expect_import_refused(gguf, {"'blk.0.attn_norm.weight' has the shape [2, 16]; expected [32]"});
  expect_import_refused(tiny_llama().set("llama.feed_forward_length", u32_value(128)),
                        {"ffn_gate", "expected [128, 32]"});
}

TEST_F(GgufImportRefuses, ValuesThatAreNotFinite) {
  const std::pair<const char*, std::string> cases[] = {
      {"blk.0.attn_norm.weight", raw(INFINITY)},
      {"blk.0.attn_norm.weight", raw(NAN)},
      {"blk.0.attn_norm.weight", raw(3.4e38f)},  // finite, but infinity as bfloat16
      {"blk.0.attn_v.weight", raw(uint16_t{0x7C00})},
      {"blk.0.attn_output.weight", raw(uint16_t{0xFFC0})},
      {"token_embd.weight", raw(uint16_t{0x7E00})},
      {"blk.0.ffn_gate.weight", raw(uint16_t{0xFC00})},
      {"blk.0.ffn_up.weight", raw(uint16_t{0}) + raw(uint16_t{0x7C00})}};
  for (const auto& [name, bytes] : cases) {
    GgufBuilder gguf = tiny_llama();
    gguf.tensor(name).data.replace(0, bytes.size(), bytes);
    expect_import_refused(gguf, {name, "of row 0 is", "not finite as bfloat16"});
  }
  GgufBuilder gguf = tiny_llama();
  gguf.tensor("blk.0.ffn_down.weight").data.replace(31 * 210 + 208, 2, raw(uint16_t{0x7C00}));
  expect_import_refused(gguf, {"blk.0.ffn_down.weight", "of row 31 is"});
}

TEST_F(GgufImportRefuses, TokenizersItCannotKeepExactly) {
  expect_import_refused(tiny_llama().set("tokenizer.ggml.model", text_value("llama")),
                        {"tokenizer.ggml.model 'llama'", "gpt2"});
  for (const char* name : {"llama-bpe", "qwen2", "", "\x1b[31m"})
    expect_import_refused(tiny_llama().set("tokenizer.ggml.pre", text_value(name)),
                          {"tokenizer.ggml.pre", "is not supported", "smollm, gpt-2"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.pre", text_value("default")),
                        {"does not say how its model splits"});
  expect_import_refused(tiny_llama().remove("tokenizer.ggml.pre"),
                        {"tokenizer.ggml.pre", "missing"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.add_space_prefix", bool_value(1)),
                        {"add_space_prefix is true"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.precompiled_charsmap", u32_value(1)),
                        {"precompiled_charsmap"});
  expect_import_refused(tiny_llama().set("tokenizer.chat_template", text_value("\xFF")),
                        {"chat_template", "UTF-8"});
}

TEST_F(GgufImportRefuses, VocabulariesThatAreWrong) {
  const auto with_token = [](size_t id, const std::string& token) {
    std::vector<std::string> tokens = tiny_tokens();
    tokens[id] = token;
    return tiny_llama().set("tokenizer.ggml.tokens", texts_value(tokens));
  };
  expect_import_refused(with_token(3, "a"), {"tokens 2 and 3 are both 'a'"});
  expect_import_refused(with_token(3, ""), {"token 3 is empty"});
  expect_import_refused(with_token(3, "\xC3"), {"text 3 is not valid UTF-8"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.tokens", texts_value({})),
                        {"has 0 tokens"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.tokens", i32s_value({1})),
                        {"must be a list of texts"});
  expect_import_refused(tiny_llama().remove("tokenizer.ggml.tokens"),
                        {"tokenizer.ggml.tokens", "missing"});
  expect_import_refused(tiny_llama().set("tokenizer.ggml.token_type", i32s_value({1, 1})),
                        {"has 2 numbers; expected 8"});
  for (int32_t type : {0, 2, 6, 7, -1})
    expect_import_refused(
        tiny_llama().set("tokenizer.ggml.token_type", i32s_value({3, 3, type, 1, 1, 4, 5, 1})),
        {"token 2 ('a') has the type", "user-defined (4)"});
  for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                          "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id"}) {
    expect_import_refused(tiny_llama().set(key, u32_value(8)), {key, "allowed are 0 to 7"});
    expect_import_refused(tiny_llama().set(key, u32_value(6)), {key, "is 6, which is unused"});
  }
}

TEST_F(GgufImportRefuses, MergesThatAreWrong) {
  const auto with_merges = [](const std::vector<std::string>& merges) {
    return tiny_llama().set("tokenizer.ggml.merges", texts_value(merges));
  };
  for (const char* merge : {"ab", "a b ", " a b", "a  b", ""})
    expect_import_refused(with_merges({"a b", merge}),
                          {"merge 1", "two tokens with a space between"});
  expect_import_refused(with_merges({"a b", "a b"}), {"merge 1, 'a b', stands twice"});
  expect_import_refused(with_merges({"a c"}), {"'c' is no token"});
  expect_import_refused(with_merges({"b a"}), {"'ba' is no token"});
  expect_import_refused(with_merges({"[PAD6] a"}), {"'[PAD6]' is no token"});
  expect_import_refused(with_merges({" b"}), {"'' is no token"});
  expect_import_refused(tiny_llama().remove("tokenizer.ggml.merges"),
                        {"tokenizer.ggml.merges", "missing"});
}

}  // namespace
}  // namespace cohort

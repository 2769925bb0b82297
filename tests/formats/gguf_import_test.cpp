// From a GGUF file to a Hugging Face folder: names, values, order of rows, config; and what is
// refused.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <map>
#include <set>

#include "core/files.h"
#include "core/json.h"
#include "model/formats/gguf.h"
#include "model/formats/safetensors.h"
#include "tests/formats/gguf_builder.h"
#include "tests/formats/refused.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class GgufImport : public FolderTest {
 protected:
  fs::path out() const { return folder / "out"; }
  void import(const GgufBuilder& gguf) { import_gguf(put("x.gguf", gguf.image()), out()); }
  // Refused with the words, and the folder holds nothing but the GGUF file, whatever had been
  // written by then.
  void expect_import_refused(const GgufBuilder& gguf,
                             std::initializer_list<std::string_view> words) {
    expect_refused([&] { import(gguf); }, {"x.gguf: "});
    expect_refused([&] { import(gguf); }, words);
    expect_only({"x.gguf"});
  }
  void expect_only(const std::set<std::string>& names, const fs::path& where = {}) const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder / where))
      found.insert(entry.path().filename().string());
    EXPECT_EQ(found, names);
  }
  Json json(const char* name) const { return parse_json(read_file(out() / name), name); }

  // The tensor as float32.
  std::vector<float> weights(const SafetensorsFolder& model, const std::string& name) const {
    const StoredTensor& tensor = model.tensors().at(name);
    EXPECT_EQ(tensor.dtype, "BF16");
    std::vector<float> values(tensor.data.size() / 2);
    convert_stored(tensor, name, false, values.data());
    return values;
  }
};

const std::set<std::string> kFiles = {"config.json", "generation_config.json", "model.safetensors",
                                      "tokenizer.json", "tokenizer_config.json"};

TEST_F(GgufImport, WritesTheFilesAndNothingElse) {
  std::vector<std::pair<int, int>> steps;
  import_gguf(put("x.gguf", tiny_llama().image()), out(),
              [&](int done, int total) { steps.emplace_back(done, total); });
  expect_only({"x.gguf", "out"});
  expect_only(kFiles, "out");
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back(), std::pair(12, 12));
  EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
}

TEST_F(GgufImport, TensorsHaveHuggingFaceNamesShapesAndTheirValues) {
  import(tiny_llama());
  const SafetensorsFolder model = SafetensorsFolder::open(out());
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, tensor] : model.tensors()) shapes[name] = tensor.shape;
  const std::string layer = "model.layers.0.";
  EXPECT_EQ(shapes, (std::map<std::string, std::vector<int64_t>>{
                        {"model.embed_tokens.weight", {8, 32}},
                        {layer + "input_layernorm.weight", {32}},
                        {layer + "self_attn.q_proj.weight", {32, 32}},
                        {layer + "self_attn.k_proj.weight", {16, 32}},
                        {layer + "self_attn.v_proj.weight", {16, 32}},
                        {layer + "self_attn.o_proj.weight", {32, 32}},
                        {layer + "post_attention_layernorm.weight", {32}},
                        {layer + "mlp.gate_proj.weight", {256, 32}},
                        {layer + "mlp.up_proj.weight", {256, 32}},
                        {layer + "mlp.down_proj.weight", {32, 256}},
                        {"model.norm.weight", {32}},
                        {"lm_head.weight", {8, 32}}}));

  const std::vector<float> embedding = weights(model, "model.embed_tokens.weight");
  for (int i = 0; i < 256; ++i) EXPECT_EQ(embedding[i], 0.5f * (i % 32 - 16)) << i;
  for (float value : weights(model, layer + "self_attn.v_proj.weight")) EXPECT_EQ(value, -2);
  for (float value : weights(model, layer + "self_attn.o_proj.weight")) EXPECT_EQ(value, 1);
  const std::vector<float> gate = weights(model, layer + "mlp.gate_proj.weight");
  const std::vector<float> up = weights(model, layer + "mlp.up_proj.weight");
  for (size_t i = 0; i < gate.size(); ++i) {
    EXPECT_EQ(gate[i], i % 32 < 16 ? 3.5f : 0.5f) << i;  // 0.5 * (15 - 8), 0.5 * (9 - 8)
    EXPECT_EQ(up[i], i % 32 < 16 ? -1.5f : -0.5f) << i;  // 0.5 * 1 - 2, 0.5 * 3 - 2
  }
  // Low halves 1 and 2 by turns of 64, upper bits 0, 1, 2, 3 by turns of 32; scale 0.5 * 2.
  const float turns[] = {1 - 32, 1 + 16 - 32, 2 + 32 - 32, 2 + 48 - 32};
  const std::vector<float> down = weights(model, layer + "mlp.down_proj.weight");
  for (size_t i = 0; i < down.size(); ++i) EXPECT_EQ(down[i], turns[i % 128 / 32]) << i;
  const std::vector<float> head = weights(model, "lm_head.weight");
  for (int i = 0; i < 256; ++i) EXPECT_EQ(head[i], i / 32) << i;
}

// llama.cpp rotates rows (0, 1), (2, 3), ... of a head; Hugging Face rows (0, 8), (1, 9), ...
TEST_F(GgufImport, RowsOfQueriesAndKeysReturnToTheirOrder) {
  import(tiny_llama());
  const SafetensorsFolder model = SafetensorsFolder::open(out());
  const int order[16] = {0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15};
  const std::vector<float> q = weights(model, "model.layers.0.self_attn.q_proj.weight");
  for (int row = 0; row < 32; ++row)
    for (int column = 0; column < 32; ++column)
      EXPECT_EQ(q[row * 32 + column], row / 16 * 16 + order[row % 16]) << row;
  const std::vector<float> k = weights(model, "model.layers.0.self_attn.k_proj.weight");
  for (int row = 0; row < 16; ++row) EXPECT_EQ(k[row * 32], order[row]) << row;
}

TEST_F(GgufImport, ConfigSaysWhatTheKeysSay) {
  import(tiny_llama());
  EXPECT_EQ(json("config.json"),
            parse_json(R"({"architectures": ["LlamaForCausalLM"], "attention_bias": false,
      "attention_dropout": 0.0, "bos_token_id": 0, "eos_token_id": 1, "head_dim": 16, "hidden_act": "silu",
      "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 256, "max_position_embeddings": 128,
      "mlp_bias": false, "model_type": "llama", "num_attention_heads": 2, "num_hidden_layers": 1,
      "num_key_value_heads": 1, "pad_token_id": null, "rms_norm_eps": 1e-05, "rope_scaling": null,
      "rope_theta": 50000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true,
      "vocab_size": 8})",
                       "expected"));
  EXPECT_EQ(json("generation_config.json"),
            parse_json(R"({"bos_token_id": 0, "eos_token_id": 1})", "expected"));
}

TEST_F(GgufImport, KeysThatMayBeAbsentHaveLlamaCppsDefaults) {
  import(tiny_llama()
             .remove("llama.rope.freq_base")
             .remove("llama.rope.dimension_count")
             .remove("llama.vocab_size")
             .remove("general.quantization_version")
             .remove("tokenizer.ggml.bos_token_id")
             .remove("tokenizer.ggml.token_type")
             .remove("tokenizer.chat_template"));
  const Json config = json("config.json");
  EXPECT_EQ(config["rope_theta"], 10000.0);
  EXPECT_EQ(config["head_dim"], 16);
  EXPECT_EQ(config["vocab_size"], 8);
  EXPECT_TRUE(config["bos_token_id"].is_null());
  EXPECT_EQ(json("generation_config.json"), parse_json(R"({"eos_token_id": 1})", "expected"));
  EXPECT_FALSE(json("tokenizer_config.json").contains("chat_template"));
  EXPECT_TRUE(json("tokenizer.json")["added_tokens"].empty());
}

TEST_F(GgufImport, WithoutAnOutputMatrixTheEmbeddingIsTied) {
  import(tiny_llama().remove_tensor("output.weight"));
  EXPECT_EQ(json("config.json")["tie_word_embeddings"], true);
  EXPECT_FALSE(SafetensorsFolder::open(out()).tensors().contains("lm_head.weight"));
}

TEST_F(GgufImport, HeadSizeMayDifferFromHiddenByHeads) {
  GgufBuilder gguf = tiny_llama()
                         .set("llama.attention.head_count", u32_value(1))
                         .set("llama.attention.key_length", u32_value(16))
                         .set("llama.attention.value_length", u32_value(16));
  gguf.tensor("blk.0.attn_q.weight") = {
      "blk.0.attn_q.weight", {32, 16}, kTF32, std::string(16 * 32 * 4, '\0'), {}};
  gguf.tensor("blk.0.attn_output.weight") = {
      "blk.0.attn_output.weight", {16, 32}, kTF32, std::string(16 * 32 * 4, '\0'), {}};
  import(gguf);
  EXPECT_EQ(json("config.json")["head_dim"], 16);
}

TEST_F(GgufImport, TokenizerIsWrittenAsHuggingFaceKeepsIt) {
  import(tiny_llama());
  const Json tokenizer = json("tokenizer.json");
  EXPECT_EQ(tokenizer["model"], parse_json(R"({"type": "BPE", "dropout": null, "unk_token": null,
      "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
      "ignore_merges": false, "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "<tool>": 5, "\u0120": 7},
      "merges": ["a b"]})",
                                           "expected"));
  EXPECT_EQ(tokenizer["pre_tokenizer"], parse_json(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})",
                                                   "expected"));
  EXPECT_EQ(tokenizer["decoder"]["type"], "ByteLevel");
  EXPECT_TRUE(tokenizer["post_processor"].is_null());
  ASSERT_EQ(tokenizer["added_tokens"].size(), 3u);
  EXPECT_EQ(tokenizer["added_tokens"][1],
            parse_json(R"({"id": 1, "content": "</s>", "single_word": false,
      "lstrip": false, "rstrip": false, "normalized": false, "special": true})",
                       "expected"));
  EXPECT_EQ(tokenizer["added_tokens"][2]["content"], "<tool>");
  EXPECT_EQ(tokenizer["added_tokens"][2]["special"], false);
}

TEST_F(GgufImport, TokenizerConfigNamesSpecialTokensAndTheChatTemplate) {
  import(tiny_llama()
             .set("tokenizer.ggml.padding_token_id", u32_value(1))
             .set("tokenizer.ggml.unknown_token_id", u32_value(0)));
  EXPECT_EQ(json("tokenizer_config.json"), parse_json(R"({"add_prefix_space": false,
      "clean_up_tokenization_spaces": false, "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>",
      "unk_token": "<s>", "model_max_length": 128, "tokenizer_class": "PreTrainedTokenizerFast",
      "chat_template": "{{ messages }}\n"})",
                                                      "expected"));
  EXPECT_EQ(json("config.json")["pad_token_id"], 1);
}

TEST_F(GgufImport, PreTokenizerGpt2IsByteLevelAlone) {
  import(tiny_llama().set("tokenizer.ggml.pre", text_value("gpt-2")));
  EXPECT_EQ(json("tokenizer.json")["pre_tokenizer"]["type"], "ByteLevel");
}

TEST_F(GgufImport, AddedBosAndEosBecomeATemplate) {
  import(tiny_llama()
             .set("tokenizer.ggml.add_bos_token", bool_value(1))
             .set("tokenizer.ggml.add_eos_token", bool_value(1))
             .set("tokenizer.ggml.add_space_prefix", bool_value(0)));
  EXPECT_EQ(json("tokenizer.json")["post_processor"], parse_json(R"({"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                 {"SpecialToken": {"id": "</s>", "type_id": 0}}],
      "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"Sequence": {"id": "B", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                         "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}})",
                                                                 "expected"));
  expect_refused(
      [&] {
        import_gguf(put("y.gguf", tiny_llama()
                                      .set("tokenizer.ggml.add_bos_token", bool_value(1))
                                      .remove("tokenizer.ggml.bos_token_id")
                                      .image()),
                    folder / "other");
      },
      {"add_bos_token is true, but there is no tokenizer.ggml.bos_token_id"});
}

TEST_F(GgufImport, RefusesOtherModels) {
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

TEST_F(GgufImport, RefusesKeysThatChangeTheModel) {
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

TEST_F(GgufImport, RefusesSizesThatCannotBe) {
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

TEST_F(GgufImport, RefusesTensorsMissingLeftOverOrOfOtherShapes) {
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

TEST_F(GgufImport, RefusesValuesThatAreNotFinite) {
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

TEST_F(GgufImport, RefusesTokenizersItCannotKeepExactly) {
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

TEST_F(GgufImport, RefusesVocabulariesThatAreWrong) {
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

TEST_F(GgufImport, RefusesMergesThatAreWrong) {
  const auto with_merges = [](const std::vector<std::string>& merges) {
    return tiny_llama().set("tokenizer.ggml.merges", texts_value(merges));
  };
  for (const char* merge : {"ab", "a b ", " a b", "a  b", ""})
    expect_import_refused(with_merges({"a b", merge}),
                          {"merge 1", "two tokens with a space between"});
  expect_import_refused(with_merges({"a b", "a b"}), {"merge 1, 'a b', stands twice"});
  expect_import_refused(with_merges({"a c"}), {"'c' is no token"});
  expect_import_refused(with_merges({"b a"}), {"'ba' is no token"});
  expect_import_refused(with_merges({" b"}), {"'' is no token"});
  expect_import_refused(tiny_llama().remove("tokenizer.ggml.merges"),
                        {"tokenizer.ggml.merges", "missing"});
}

TEST_F(GgufImport, TheFolderMustBeNewOrEmpty) {
  fs::create_directories(out());
  import(tiny_llama());
  expect_only(kFiles, "out");
  expect_refused([&] { import(tiny_llama()); }, {"out: is not empty"});
  const fs::path file = put("file", "text");
  expect_refused([&] { import_gguf(folder / "x.gguf", file); }, {"file: exists and is no folder"});
  expect_only({"x.gguf", "out", "file"});
  import_gguf(folder / "x.gguf", folder / "new/below/");  // parents are made; the slash is no name
  expect_only(kFiles, "new/below");
  expect_only({"below"}, "new");
}

TEST_F(GgufImport, RefusesFilesThatAreNotThere) {
  expect_refused([&] { import_gguf(folder / "none.gguf", out()); }, {"none.gguf"});
  expect_refused([&] { import_gguf(folder, out()); }, {"not a regular file"});
  expect_refused([&] { import_gguf(put("empty.gguf", ""), out()); }, {"empty.gguf", "truncated?"});
  expect_only({"empty.gguf"});
}

// A limit on the size of files stands in for a full disk.
TEST_F(GgufImport, LeavesNothingBehindWhenSpaceIsShort) {
  const fs::path file = put("x.gguf", tiny_llama().image());
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_refused([&] { import_gguf(file, out()); }, {"model.safetensors.tmp", "cannot be written"},
                 ExitCode::kResources);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, handler);
  expect_only({"x.gguf"});
}

}  // namespace
}  // namespace cohort

// From a GGUF file to a Hugging Face folder: names, values, order of rows, config, tokenizer.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <map>

#include "core/files.h"
#include "core/json.h"
#include "model/formats/safetensors.h"
#include "tests/formats/import_test.h"
#include "tests/formats/plain_formats.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class GgufImport : public ImportTest {
 protected:
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

TEST_F(GgufImport, UnusedTokensMayRepeatAndAreLeftOut) {
  std::vector<std::string> tokens = tiny_tokens();
  tokens[5] = tokens[6] = "[PAD]";
  import(tiny_llama()
             .set("tokenizer.ggml.tokens", texts_value(tokens))
             .set("tokenizer.ggml.token_type", i32s_value({3, 3, 1, 1, 1, 5, 5, 1})));
  EXPECT_EQ(json("tokenizer.json")["model"]["vocab"].size(), 6u);
  EXPECT_EQ(json("config.json")["vocab_size"], 8);
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

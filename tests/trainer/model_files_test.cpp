// What lies beside the weights: carried over byte for byte, as it was read, and part of what a model is.
#include "tests/trainer/model_folder.h"

namespace cohort {
namespace {

using ModelFilesTest = ModelSetup;

TEST_F(ModelFilesTest, WhatIsSavedIsWhatWasReadWhateverBecomesOfTheSource) {
  const fs::path dir = make_model("m", StoredDType::bf16);
  fs::create_directories(dir / "LICENSE");  // not a file
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  const ModelFiles files = read_model_files(dir, model.policy->table);
  fs::rename(dir, folder / "moved");
  save_model(*model.policy, files, folder / "out");
  expect_same_weights(folder / "moved", folder / "out");
  EXPECT_EQ(read_file(folder / "moved/tokenizer.json"), read_file(folder / "out/tokenizer.json"));
  EXPECT_FALSE(fs::exists(folder / "out/LICENSE"));
}

TEST_F(ModelFilesTest, FilesThatDecideTokensOrNumbersAreInTheFingerprint) {
  const fs::path dir = make_model("m", StoredDType::f32);
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  const auto fingerprint = [&] { return read_model_files(dir, model.policy->table).fingerprint(); };
  const std::string before = fingerprint();
  std::ofstream(dir / "LICENSE") << "MIT";
  EXPECT_EQ(fingerprint(), before);
  set_config(dir, "rms_norm_eps", 1e-3);
  const std::string other_config = fingerprint();
  EXPECT_NE(other_config, before);
  std::ofstream(dir / "chat_template.jinja") << "{{ bos_token }}";
  EXPECT_NE(fingerprint(), other_config);
}

TEST_F(ModelFilesTest, ALicenceThatIsALinkIsLeftBehind) {
  const fs::path dir = make_model("m", StoredDType::f32);
  write_file_atomic(folder / "private", "secret");
  fs::create_symlink(folder / "private", dir / "LICENSE");
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  save_model(*model.policy, dir, folder / "out");
  EXPECT_FALSE(fs::exists(folder / "out/LICENSE"));
  EXPECT_EQ(files_left_out(dir), std::vector<std::string>{"LICENSE"});
}

// As `huggingface_hub` keeps a model: every file a link into ../../blobs.
TEST_F(ModelFilesTest, TheHubsCacheIsAModelLikeAnyOther) {
  const fs::path dir = make_model("m", StoredDType::bf16), snapshot = folder / "models--x/snapshots/abc";
  std::ofstream(dir / "LICENSE") << "MIT";
  fs::create_directories(snapshot);
  fs::create_directories(folder / "models--x/blobs");
  for (const std::string& name : files(dir)) {
    fs::copy(dir / name, folder / "models--x/blobs" / ("hash_" + name));
    fs::create_symlink("../../blobs/hash_" + name, snapshot / name);
  }
  check_model_folder(snapshot);
  const LoadedModel model = load_model(snapshot, "auto", 1, owner.exec());
  save_model(*model.policy, snapshot, folder / "out");
  EXPECT_EQ(files(folder / "out"), files(dir));
  for (const std::string& name : files(dir)) {
    const bool same = name == "model.safetensors" || read_file(folder / "out" / name) == read_file(dir / name);
    EXPECT_TRUE(same) << name;
    EXPECT_FALSE(fs::is_symlink(folder / "out" / name));
  }
  expect_same_weights(dir, folder / "out");
  EXPECT_EQ(files_left_out(snapshot), std::vector<std::string>{});
}

TEST_F(ModelFilesTest, OtherFilesAreCarriedOverByteForByte) {
  const fs::path dir = make_model("m", StoredDType::f32);
  const std::string odd("\xEF\xBB\xBF{%- raw -%}\r\n\0\xFF", 18);
  fs::create_directories(dir / "additional_chat_templates");
  for (const char* name : {"generation_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                           "tokenizer.model", "additional_chat_templates/tool_use.jinja", "LICENSE"})
    std::ofstream(dir / name, std::ios::binary) << (std::string(name) == "generation_config.json" ? "{}" : odd);
  std::ofstream(dir / "chat_template.jinja") << "{{ bos_token }}\r\n";
  for (const char* name : {"README.md", "training_args.bin", ".gitattributes"}) std::ofstream(dir / name) << "x";
  const LoadedModel model = load_model(dir, "auto", 1, owner.exec());
  save_model(*model.policy, dir, folder / "out");
  for (const char* name : {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
                           "chat_template.jinja", "additional_chat_templates/tool_use.jinja", "LICENSE"})
    EXPECT_EQ(read_file(dir / name), read_file(folder / "out" / name)) << name;
  EXPECT_FALSE(fs::exists(folder / "out/README.md"));
  EXPECT_EQ(files_left_out(dir), (std::vector<std::string>{"README.md", "training_args.bin"}));
}

}  // namespace
}  // namespace cohort

// A Hugging Face folder of a measured shape with random bf16 weights and a tokenizer of bytes: whole runs without a download.
//
//   random_model SHAPE FOLDER        SHAPE: qwen2.5-0.5b, llama-3.2-1b or tiny; FOLDER is made
#include <array>
#include <cstdio>
#include <filesystem>
#include <thread>
#include <utility>

#include "bench/roofline/steps.h"
#include "core/check.h"
#include "model/text/tokenizer.h"
#include "trainer/model_setup.h"

namespace cohort::roofline {
namespace {

void write_random_model(const std::string& name, const std::filesystem::path& folder) {
  ModelConfig config = find_shape(name).config;
  constexpr int32_t kEndOfText = 256;  // behind the bytes; other tokens have no text
  config.eos_token_ids = {kEndOfText};
  if (config.qkv_bias) config.architecture = "Qwen2ForCausalLM", config.model_type = "qwen2";
  Json json = model_config_json(config);
  if (config.qkv_bias) json.erase("attention_bias");  // its family has them anyway
  config = parse_model_config(json, "config.json");

  ExecOwner owner(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  const auto policy = make_policy(config, DType::bf16, 1, PolicyUse::inference);
  init_weights(*policy, 1, owner.exec());
  const std::array<std::string, 1> special = {"<|endoftext|>"};
  ModelFiles files;
  files.source = folder;
  files.files = {{"config.json", dump_json(json, 2)}, {"tokenizer.json", byte_tokenizer_json(special)},
                 {"tokenizer_config.json", byte_tokenizer_config_json("", special[0], "")}};
  files.dtypes.assign(policy->table.entries.size(), StoredDType::bf16);
  files.config_dtype = StoredDType::bf16;
  std::filesystem::create_directories(folder.parent_path().empty() ? "." : folder.parent_path());
  save_model(*policy, files, folder);
}

}  // namespace
}  // namespace cohort::roofline

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: random_model SHAPE FOLDER; see the head of bench/roofline/random_model.cpp\n");
    return static_cast<int>(cohort::ExitCode::kUsage);
  }
  try {
    cohort::roofline::write_random_model(argv[1], argv[2]);
    return 0;
  } catch (const cohort::Error& error) {
    std::fprintf(stderr, "random_model: error: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "random_model: error: %s\n", error.what());
    return 1;
  }
}

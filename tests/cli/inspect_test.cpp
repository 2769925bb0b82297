// cohort inspect: what it says of a model folder, and of folders that lack something.
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class Inspect : public testing::Test {
 protected:
  static void SetUpTestSuite() { trained = new TrainedModel(); }
  static void TearDownTestSuite() { delete trained; }
  static TrainedModel* trained;

  void SetUp() override { fs::copy(trained->model(), model, fs::copy_options::recursive); }
  // Its output, which has all the words.
  std::string inspect(const std::string& path, const std::vector<std::string>& words) {
    const Outcome outcome = run_cohort({"inspect", path});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const std::string& word : words) EXPECT_NE(outcome.out.find(word), std::string::npos) << word << " in " << outcome.out;
    return outcome.out;
  }
  void set(const std::string& name, const std::string& key, const Json& value) {
    Json json = parse_json(read_all(model + "/" + name), name);
    json[key] = value;
    write_all(model + "/" + name, json.dump());
  }
  TemporaryFolder folder;
  std::string model = folder / "model";
};
TrainedModel* Inspect::trained = nullptr;

TEST_F(Inspect, CountsParametersWhereTheyAre) {
  // Embedding 272 x 32; a layer: norms 2 x 32, q and o 2 x 32 x 32, k and v 2 x 16 x 32, MLP 3 x 64 x 32; the last norm.
  const int64_t layer = 2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32, all = 272 * 32 + 2 * layer + 32;
  EXPECT_EQ(all, 27296);
  inspect(model, {"LlamaForCausalLM (family llama)", "parameters        27,296\n",
                  "embedding 8,704, 2 layers 18,592, head shared with the embedding"});
}

TEST_F(Inspect, DescribesWeightsAndVocabulary) {
  inspect(model, {"dtype             float32\n", "20 tensors in model.safetensors, ", "272 rows, 257 tokens in tokenizer.json",
                  "bos none, eos <|endoftext|> (256), pad <|endoftext|> (256)\n", "ends with         <|endoftext|> (256)",
                  "context           64 positions", "rope              theta 10000", "chat template     none"});
}

TEST_F(Inspect, NamesMemoryForBothDTypes) {
  const std::string out = inspect(model, {"to generate       bfloat16 ", "to train          bfloat16 "});
  EXPECT_NE(out.find(", float32 "), std::string::npos);
}

TEST_F(Inspect, DescribesTheChatTemplate) {
  write_all(model + "/chat_template.jinja", "{{ strftime_now('%Y') }}{% if tools %}{% endif %}{{ messages[0].content }}<think>");
  inspect(model, {"chat template     chat_template.jinja; mentions tools, <think>, the clock"});
  write_all(model + "/chat_template.jinja", "{% for x in %}");
  inspect(model, {"chat template     cannot be used: "});
  fs::remove(model + "/chat_template.jinja");
  set("tokenizer_config.json", "chat_template", "{{ messages[0].content }}");
  inspect(model, {"chat template     tokenizer_config.json: chat_template\n"});
}

TEST_F(Inspect, DescribesShardsAndTheirOddities) {
  ASSERT_EQ(run_cohort({"import", model, folder / "shards", "--dtype", "bfloat16", "--max-shard-size", "20000"}).exit_code, 0);
  model = folder / "shards";
  inspect(model, {"dtype             bfloat16\n", "20 tensors in 3 shards, "});
  Json index = parse_json(read_all(model + "/model.safetensors.index.json"), "index");
  index["metadata"]["total_size"] = 7;
  write_all(model + "/model.safetensors.index.json", index.dump());
  inspect(model, {"warning ", "metadata.total_size is 7"});
  fs::remove(model + "/model-00002-of-00003.safetensors");
  const Outcome outcome = run_cohort({"inspect", model});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_NE(outcome.err.find("'model-00002-of-00003.safetensors', which is missing"), std::string::npos) << outcome.err;
}

TEST_F(Inspect, NamesTheFilesThatAreMissing) {
  fs::remove(model + "/tokenizer.json");
  fs::remove(model + "/model.safetensors");
  inspect(model, {"weights           none here: neither model.safetensors nor model.safetensors.index.json",
                  "tokenizer         none here: tokenizer.json is missing", "float32 (says config.json)"});
  fs::remove(model + "/config.json");
  EXPECT_REFUSED(run_cohort({"inspect", model}), 3, "config.json is missing", "config.yaml is missing", "manifest.json is missing");
}

TEST_F(Inspect, RefusesModelsThatCannotRun) {
  set("config.json", "model_type", "mamba");
  const Outcome outcome = run_cohort({"inspect", model});
  EXPECT_REFUSED(outcome, 3, "mamba");
}

TEST_F(Inspect, ACheckpointMustSayWhatItIs) {
  const std::string checkpoint = trained->run() + "/checkpoints/step_2";
  inspect(checkpoint, {"step              2\n", "format_version    1\n", "shards            2\n"});
  const std::string copy = folder / "step_2";
  fs::copy(checkpoint, copy, fs::copy_options::recursive);
  fs::remove(copy + "/shard_00001.bin");
  inspect(copy, {"shards            2; missing: shard_00001.bin"});
  for (const char* manifest : {"{}", "[]", "7", R"({"format_version": 1})", R"({"format_version": 1, "step": "2"})",
                               R"({"format_version": 1, "step": 2})", R"({"format_version": 1, "step": 2, "shards": 2})"}) {
    write_all(copy + "/manifest.json", manifest);
    EXPECT_REFUSED(run_cohort({"inspect", copy}), 3, "manifest.json");
  }
}

}  // namespace
}  // namespace cohort

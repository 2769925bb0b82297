// What a new user gets wrong first: each message says what was found, what is allowed, and what to do.
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

class FirstMistakes : public testing::Test {
 protected:
  // Runs cohort in a folder of its own, as paths are relative.
  Outcome run(std::vector<std::string> args) const {
    args.insert(args.begin(), {"-C", folder.str(), COHORT_BINARY});
    return run_program("env", args);
  }
  Outcome train(const std::string& override) const { return run({"train", "c.yaml", override}); }
  std::string file(const std::string& name, const std::string& text) const {
    write_all(folder / name, text);
    return name;
  }
  TemporaryFolder folder;
  const std::string config = file("c.yaml", tiny_config("runs"));
  // tiny_config with `model.path` in place of `model.init`, and with a file of data.
  std::string with_model(const std::string& path) const {
    std::string text = tiny_config("runs");
    const size_t from = text.find("init: {");
    return file("model.yaml", text.replace(from, text.find('\n', from) - from, "path: " + path));
  }
  Outcome with_data(const std::string& name) const { return run({"train", file("data.yaml", jsonl_config("runs", name))}); }
};

TEST_F(FirstMistakes, OfTheCommandLine) {
  EXPECT_REFUSED(run({"init"}), 2, "TASK is required; allowed: arithmetic, ", "`cohort init --help`");
  EXPECT_REFUSED(run({"init", "maths"}), 2, "maths not in {arithmetic,", "`cohort init --help`");
  EXPECT_REFUSED(run({"trian", config}), 2, "unknown command 'trian'; did you mean 'train'?");
  EXPECT_REFUSED(run({"train", config, "--quite"}), 2, "not expected: --quite; did you mean '--quiet'?");
  EXPECT_REFUSED(train("--trainer.max_steps=5"), 2, "a key of the config stands without dashes: trainer.max_steps=VALUE");
  EXPECT_REFUSED(train("trainer.max_step=5"), 2, "unknown key 'trainer.max_step'; did you mean 'max_steps'?");
  EXPECT_REFUSED(train("trainer.max_steps=many"), 2, "found 'many'; allowed: an integer from 0");
  EXPECT_REFUSED(train("run.device=gpu"), 2, "found 'gpu'; allowed: one of cpu, cuda");
  EXPECT_REFUSED(run({"plan", config, "--ranks", "0"}), 2, "--ranks: found '0'; allowed is a whole number from 1 to 1048576; see `cohort plan --help`");
}

TEST_F(FirstMistakes, OfTheConfig) {
  EXPECT_REFUSED(run({"train", "my.yaml"}), 2, "my.yaml: cannot be opened: No such file or directory (relative to ", folder.str(), "`cohort init TASK > FILE` makes one");
  EXPECT_REFUSED(run({"train", "."}), 2, ".: a folder, and a file is wanted", "CONFIG is a YAML file");
  EXPECT_REFUSED(run({"train", file("tab.yaml", "run:\n\tname: x\n")}), 2, "tab.yaml:2: a tab; use spaces");
  EXPECT_REFUSED(train("run.dir=c.yaml"), 2, "c.yaml/tiny: cannot be created: Not a directory; the run directory is run.dir/run.name");
  EXPECT_REFUSED(train("run.dir=/proc/nowhere"), 2, "/proc/nowhere/tiny: cannot be created: ", "a folder that this user may write into");
}

TEST_F(FirstMistakes, OfTheModel) {
  EXPECT_REFUSED(run({"train", with_model("models/none")}), 3, "models/none: no such model folder; it is a folder on this machine with config.json, tokenizer.json");
  EXPECT_REFUSED(run({"train", with_model("HuggingFaceTB/SmolLM2-135M")}), 3,
                 "cohort downloads nothing: `hf download HuggingFaceTB/SmolLM2-135M --local-dir SmolLM2-135M` does");
  EXPECT_REFUSED(run({"tokenize", "."}), 3, "tokenizer.json: the model folder has no tokenizer.json", "save_pretrained");
}

TEST_F(FirstMistakes, OfTheData) {
  EXPECT_REFUSED(with_data("none.jsonl"), 3, "none.jsonl: cannot be opened: No such file or directory (relative to ");
  EXPECT_REFUSED(with_data(file("text.jsonl", "What is 1+1?\n")), 3, "text.jsonl:1: invalid JSON at byte 1", "a line is one row: a JSON object with 'prompt' (docs/data.md)");
  for (const char* list : {"[{\"prompt\": \"1+1\"}]\n", "[\n{\"prompt\": \"1+1\"}\n]\n"})
    EXPECT_REFUSED(with_data(file("list.jsonl", list)), 3, "list.jsonl:1: ", "`jq -c '.[]' FILE` makes rows");
  EXPECT_REFUSED(with_data(file("rows.parquet", std::string("PAR1\x15\0\x15\0", 8))), 3, "rows.parquet: a parquet file; data are JSONL", "docs/data.md");
  EXPECT_REFUSED(with_data(file("empty.jsonl", "\n")), 3, "empty.jsonl: the data set is empty; it needs one row a line: a JSON object with 'prompt'");
  EXPECT_REFUSED(with_data(file("columns.jsonl", "{\"question\": \"1+1\", \"answer\": 2}\n")), 3, "the row has no 'prompt'; its columns are \"question\", \"answer\"",
                 "data.columns={prompt: question}");
}

}  // namespace
}  // namespace cohort

// cohort data check: what is printed, and the exit code.
#include "tests/core/packed.h"
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

TEST(DataCheckCommand, SaysWhatItFoundAndEndsWithItsCode) {
  const TemporaryFolder folder;
  const std::string train = write_all(folder / "train.jsonl.gz", packed("{\"question\": \"1+1\"}\n{\"question\": \"1+2\"}\n"));
  const std::string eval = write_all(folder / "eval.jsonl", "{\"question\": \"1+2\"}\n");
  const std::string columns = "{prompt: question}";
  const Outcome good = run_cohort({"data", "check", train, "--columns", columns});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_NE(good.out.find("train.jsonl.gz: 2 rows\n  prompts        2 rows; characters: 3 to 3"), std::string::npos) << good.out;
  const Outcome leak = run_cohort({"data", "check", "--eval", eval, train, "--columns", columns, "--format", "json"});
  EXPECT_EQ(leak.exit_code, 3);
  EXPECT_EQ(leak.err, "");
  const Json report = parse_json(leak.out, "report");
  EXPECT_EQ(report["findings"][0]["kind"], "leak");
  EXPECT_EQ(report["findings"][0]["places"][0], eval + ":1 is " + train + ":2");
  EXPECT_EQ(run_cohort({"data", "check", train}).exit_code, 3) << "no 'prompt'";

  const std::string twice = write_all(folder / "twice.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": \"a\"}\n");
  EXPECT_EQ(run_cohort({"data", "check", twice}).exit_code, 0);
  EXPECT_EQ(run_cohort({"data", "check", twice, "--strict"}).exit_code, 3);
  EXPECT_REFUSED(run_cohort({"data", "check"}), 2, "no file to check; name files, or --config CONFIG");
  EXPECT_REFUSED(run_cohort({"data", "clean", twice}), 2, "ACTION", "check");
  EXPECT_REFUSED(run_cohort({"data", "check", twice, "--columns", "[a]"}), 2, "--columns: found a list; allowed: a map like \"{prompt: question}\"");
  EXPECT_REFUSED(run_cohort({"data", "check", twice, "--max-prompt-length", "5"}), 2, "--max-prompt-length counts tokens", "--model MODEL");
  EXPECT_REFUSED(run_cohort({"data", "check", folder / "absent.jsonl"}), 3, "absent.jsonl");
}

// The config says which files, columns, model and limit.
TEST(DataCheckCommand, ChecksWhatAConfigTrainsOn) {
  const TemporaryFolder folder;
  const std::string data = write_all(folder / "d.jsonl", "{\"q\": \"0123456789\"}\n{\"q\": \"" + std::string(40, 'x') + "\"}\n");
  const std::string config = write_all(folder / "c.yaml", jsonl_config(folder / "runs", data));
  EXPECT_EQ(run_cohort({"data", "check", "--config", config}).exit_code, 3) << "no 'prompt'";
  std::string text = jsonl_config(folder / "runs", data);
  text.replace(text.find("  max_prompt_length"), 2, "  columns: {prompt: q}\n  ");
  const Outcome outcome = run_cohort({"data", "check", "--config", write_all(folder / "c.yaml", text)});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.out.find("1 prompts of more than 32 tokens"), std::string::npos) << outcome.out;
  EXPECT_REFUSED(run_cohort({"train", config, "data.columns={prompt: q}"}), 3, "has 40 tokens; data.max_prompt_length allows 32");
  const std::string task = write_all(folder / "task.yaml", tiny_config(folder / "runs"));
  EXPECT_REFUSED(run_cohort({"data", "check", "--config", task}), 2, "data.task makes its problems");
  EXPECT_REFUSED(run_cohort({"data", "check", "--config", config, "--columns", "{prompt: q}"}), 2, "--columns and --config");
}

}  // namespace
}  // namespace cohort

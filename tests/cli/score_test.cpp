// cohort score: rewards of given completions, in order, with reasons, and what happens to lines that cannot be read.
#include <signal.h>

#include <fmt/format.h>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

// No model, no data.
std::string rewards_config(const TemporaryFolder& folder, const std::string& rewards) {
  return write_all(folder / "rewards.yaml", "reward:\n" + rewards);
}
const char* const kTwo = "  - {name: math, weight: 2.0}\n  - {name: length, max_length: 3}\n";

Outcome score(std::vector<std::string> args, const std::string& input) {
  args.insert(args.begin(), "score");
  return run_cohort(args, input);
}

bool sandbox_works() { return run_cohort({"doctor", "--sandbox"}).exit_code == 0; }

TEST(Score, OneAnswerALineInOrder) {
  const TemporaryFolder folder;
  const std::string config = rewards_config(folder, kTwo);
  std::string input;
  for (int i = 0; i < 1500; ++i)
    input += fmt::format("{{\"completion\": \"\\\\boxed{{{}}}\", \"answer\": {}, \"ids\": [1, 2, 3{}]}}\n", i % 5, i % 3, i % 2 ? ", 4" : "");
  const Outcome outcome = score({config}, input);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 1500u);
  for (int i = 0; i < 1500; ++i) {
    const double math = i % 5 == i % 3, length = i % 2 == 0;
    EXPECT_EQ(records[static_cast<size_t>(i)], (Json{{"reward", 2 * math + length},
                                                    {"rewards", {{"math", math}, {"length", length}}},
                                                    {"outcome", {{"math", "scored"}, {"length", "scored"}}}}))
        << i;
  }
  EXPECT_NE(outcome.err.find("math            mean 0.200 of 1500\nlength          mean 0.500 of 1500\n"), std::string::npos) << outcome.err;
  for (const char* threads : {"1", "3"}) EXPECT_EQ(score({config, std::string("run.threads=") + threads}, input).out, outcome.out);
}

TEST(Score, LabelsKeepRewardsOfOneNameApart) {
  const TemporaryFolder folder;
  const std::string config =
      rewards_config(folder, "  - {name: keywords, require: [a]}\n  - {name: keywords, label: no_b, weight: 2, forbid: [b]}\n");
  const Outcome outcome = score({config}, "{\"completion\": \"a b\"}\n{\"completion\": \"c\"}\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.records()[0]["rewards"], (Json{{"keywords", 1.0}, {"no_b", 0.0}}));
  EXPECT_EQ(outcome.records()[1], (Json{{"reward", 2.0},
                                        {"rewards", {{"keywords", 0.0}, {"no_b", 1.0}}},
                                        {"outcome", {{"keywords", "scored"}, {"no_b", "scored"}}}}));
  EXPECT_NE(outcome.err.find("no_b            mean 0.500 of 2"), std::string::npos) << outcome.err;
  EXPECT_REFUSED(score({config, "reward=[{name: keywords, require: [a]}, {name: keywords, forbid: [b]}]"}, ""), 2,
                 "reward 'keywords' is listed twice", "give one of them a label of its own, e.g. {name: keywords, label: keywords_2}");
}

TEST(Score, FilesInAndOut) {
  const TemporaryFolder folder;
  const std::string config = rewards_config(folder, kTwo);
  const std::string input = write_all(folder / "in.jsonl", "{\"completion\": \"5\", \"answer\": \"5\", \"ids\": [9]}\n\n");
  const Outcome outcome = run_cohort({"score", config, "--input", input, "--output", folder / "out.jsonl", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out + outcome.err, "");
  EXPECT_EQ(read_all(folder / "out.jsonl"),
            "{\"reward\":3.0,\"rewards\":{\"math\":1.0,\"length\":1.0},\"outcome\":{\"math\":\"scored\",\"length\":\"scored\"}}\n");
}

TEST(Score, SaysWhy) {
  const TemporaryFolder folder;
  const Outcome outcome = score({rewards_config(folder, kTwo), "--explain"},
                                "{\"completion\": \"\\\\boxed{7}\", \"answer\": \"5\"}\n{\"completion\": \"7\"}\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_NE(records[0]["explain"]["math"].get<std::string>().find("7"), std::string::npos);
  EXPECT_EQ(records[0]["rewards"]["length"], nullptr) << "its tokens are not known";
  EXPECT_EQ(records[0]["outcome"]["length"], "none");
  EXPECT_EQ(records[0]["reward"], 0.0);
  EXPECT_EQ(records[1]["reward"], nullptr);
  EXPECT_NE(records[1]["explain"]["math"].get<std::string>().find("column 'answer'"), std::string::npos);
  EXPECT_NE(outcome.err.find("mean 0.000 of 1, 1 none"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("length          no scores, 2 none"), std::string::npos) << outcome.err;
}

TEST(Score, WhatRewardsLookAt) {
  const TemporaryFolder folder;
  const std::string config = rewards_config(folder, "  - {name: format}\n");
  const Outcome outcome = score({config},
                                "{\"completion\": \"a</think><answer>b</answer>\", \"opens_thinking\": true, \"prompt\": \"p\"}\n"
                                "{\"completion\": \"a</think><answer>b</answer>\", \"finish_reason\": \"length\", "
                                "\"prompt\": [{\"role\": \"user\", \"content\": \"p\"}]}\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.records()[0]["reward"], 1.0);
  EXPECT_EQ(outcome.records()[1]["reward"], 0.0);
}

TEST(Score, LinesThatCannotBeReadSaySoInTheirPlaces) {
  const TemporaryFolder folder;
  const std::string good = "{\"completion\": \"5\", \"answer\": \"5\", \"ids\": []}\n";
  const std::string input = write_all(folder / "in.jsonl", good + "{\"completion\": \n" + "[1]\n" + "{\"answer\": \"5\"}\n" +
                                                               "{\"completion\": 5}\n" + "{\"completion\": \"5\", \"ids\": [1, -2]}\n" +
                                                               "{\"completion\": \"5\", \"ids\": \"12\"}\n" +
                                                               "{\"completion\": \"5\", \"finish_reason\": \"eos\"}\n" +
                                                               "{\"completion\": \"5\", \"opens_thinking\": 1}\n" + good);
  const Outcome outcome = run_cohort({"score", rewards_config(folder, kTwo), "--input", input});
  EXPECT_EQ(outcome.exit_code, 3);
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 10u);
  EXPECT_EQ(records[0]["rewards"]["math"], 1.0);
  EXPECT_EQ(records[9]["rewards"]["math"], 1.0);
  const std::vector<std::vector<std::string>> words = {{}, {}, {"a record is a JSON object"}, {"'completion'"}, {"'completion'"},
                                                       {"'ids' is the list of the completion's tokens"}, {"'ids'", "string"},
                                                       {"'finish_reason' is 'eos'; allowed are stop, length"}, {"'opens_thinking'"}};
  for (size_t i = 1; i < 9; ++i) {
    const std::string error = records[i].value("error", "");
    EXPECT_NE(error.find("in.jsonl:" + std::to_string(i + 1)), std::string::npos) << i << " " << error;
    for (const std::string& word : words[i]) EXPECT_NE(error.find(word), std::string::npos) << word << " in " << error;
  }
  EXPECT_NE(outcome.err.find("8 records could not be served"), std::string::npos) << outcome.err;
}

TEST(Score, WhatIsRefused) {
  const TemporaryFolder folder;
  EXPECT_REFUSED(run_cohort({"score", folder / "absent.yaml"}), 2, "absent.yaml");
  EXPECT_REFUSED(run_cohort({"score", write_all(folder / "none.yaml", "run: {name: x}\n")}), 2, "reward has no entries; allowed names: last_number");
  EXPECT_REFUSED(run_cohort({"score", rewards_config(folder, "  - {name: maths}\n")}), 2, "rewards.yaml:2", "did you mean 'math'?");
  const std::string config = rewards_config(folder, kTwo);
  EXPECT_REFUSED(run_cohort({"score", config, "--input", folder / "absent.jsonl"}), 3, "absent.jsonl");
  EXPECT_REFUSED(run_cohort({"score", config, "--explained"}), 2, "--explained");
  const std::string both = write_all(folder / "both.jsonl", "{}");
  EXPECT_REFUSED(run_cohort({"score", config, "--input", both, "--output", both}), 2, "--output");
}

TEST(Score, ProgramsRunInTheSandbox) {
  if (!sandbox_works()) GTEST_SKIP() << "this machine cannot run the sandbox: cohort doctor --sandbox";
  const TemporaryFolder folder;
  const std::string config = rewards_config(folder, "  - {name: code, sandbox: local, workers: 3}\n");
  std::string input;
  const Json tests = Json::array({{{"input", "2"}, {"output", "4"}}});
  for (const char* code : {"print(2 * int(input()))", "print(5)", "print(", "print(4)"})
    input += dump_json({{"completion", std::string("```python\n") + code + "\n```"}, {"tests", tests}}) + "\n";
  const Outcome outcome = score({config, "--explain"}, input + "{\"completion\": \"x\"}\n");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<std::string> outcomes;
  for (const Json& record : outcome.records()) outcomes.push_back(record["outcome"]["code"]);
  EXPECT_EQ(outcomes, (std::vector<std::string>{"pass", "fail", "compile_error", "pass", "not_judged"}));
  EXPECT_EQ(outcome.records()[1]["explain"]["code"], "case 1: another output than expected");
  EXPECT_EQ(outcome.records()[4]["reward"], nullptr);
}

// The children of a process, by its main thread.
std::vector<pid_t> children_of(pid_t parent) {
  const std::string name = std::to_string(parent);
  std::istringstream list(read_all("/proc/" + name + "/task/" + name + "/children"));
  std::vector<pid_t> children;
  for (pid_t child; list >> child;) children.push_back(child);
  return children;
}

// The first and only child of `cohort` without mpirun is the nursery; Open MPI's own daemon may follow.
void kill_nursery(pid_t cohort) {
  for (const pid_t child : children_of(cohort))
    if (read_all("/proc/" + std::to_string(child) + "/cmdline").find("score") != std::string::npos ||
        read_all("/proc/" + std::to_string(child) + "/cmdline").find("train") != std::string::npos)
      kill(child, SIGKILL);
}

std::string training_config(const TemporaryFolder& folder, const std::string& more_rewards) {
  std::string rows;
  for (int i = 0; i < 8; ++i)
    rows += R"({"prompt": "write", "answer": "1", "tests": [{"input": "", "output": "x"}]})"
            "\n";
  std::string config = jsonl_config(folder / "runs", write_all(folder / "rows.jsonl", rows));
  const std::string standard = "  - {name: last_number}", steps = "max_steps: 3";
  config.replace(config.find(standard), standard.size(),
                 "  - {name: code, sandbox: local, code: completion, language: shell, languages: {shell: {source: a.sh, run: [/bin/sh, "
                 "/box/a.sh]}}}\n" + more_rewards);
  config.replace(config.find(steps), steps.size(), "max_steps: 4");
  return write_all(folder / "code.yaml", config);
}

Watch kill_after_step_one() {
  return [](pid_t child, const std::string& err) {
    if (err.find(" 1/40") == std::string::npos) return false;
    kill_nursery(child);
    return true;
  };
}

TEST(Score, ADeadNurseryIsToldOnceAndTheOtherRewardsGoOn) {
  if (!sandbox_works()) GTEST_SKIP() << "this machine cannot run the sandbox: cohort doctor --sandbox";
  const TemporaryFolder folder;
  const Outcome outcome = run_cohort({"train", training_config(folder, "  - {name: exact}\n"), "trainer.max_steps=40"}, "", kill_after_step_one());
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string warning = ": reward 'code': ";
  const size_t first = outcome.err.find(warning);
  ASSERT_NE(first, std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("counted in rewards/code/error"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(warning, first + 1), std::string::npos) << "told twice: " << outcome.err;
  std::istringstream lines(read_all(folder / "runs/tiny/metrics.jsonl"));
  std::string line, last;
  while (std::getline(lines, line)) last = line;
  const Json metrics = parse_json(last, "metrics");
  EXPECT_EQ(metrics["step"], 40);
  EXPECT_EQ(metrics["rewards/code/error"], 8);
  EXPECT_EQ(metrics["rewards/code/none"], 8);
  EXPECT_EQ(metrics["rewards/code/timeout"], 0);
  EXPECT_EQ(metrics["rewards/code/outcome/infra_error"], 8);
  EXPECT_EQ(metrics["rewards/exact/none"], 0);
}

TEST(Score, WithoutAnyScoreTheRunEndsAndSaysWhy) {
  if (!sandbox_works()) GTEST_SKIP() << "this machine cannot run the sandbox: cohort doctor --sandbox";
  const TemporaryFolder folder;
  const Outcome outcome = run_cohort({"train", training_config(folder, ""), "trainer.max_steps=40"}, "", kill_after_step_one());
  EXPECT_EQ(outcome.exit_code, 4) << outcome.err;
  EXPECT_NE(outcome.err.find("no completion has a score: reward 'code': 8 scores are missing: error: case 1: the process that starts programs"),
            std::string::npos)
      << outcome.err;
}

}  // namespace
}  // namespace cohort

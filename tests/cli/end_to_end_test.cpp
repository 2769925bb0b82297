// A tiny run from scratch, and every command on the model that it leaves.
#include <cmath>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

TEST(EndToEnd, TrainLeavesARunDirectory) {
  const TrainedModel trained;
  for (const char* name :
       {"config.yaml", "metrics.jsonl", "completions/step_1.jsonl", "checkpoints/step_2",
        "final/config.json", "final/model.safetensors", "final/tokenizer.json"}) {
    EXPECT_TRUE(fs::exists(fs::path(trained.run()) / name)) << name;
  }
  std::istringstream lines(read_all(trained.run() + "/metrics.jsonl"));
  int steps = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, "metrics.jsonl");
    EXPECT_EQ(metrics["step"], ++steps);
    EXPECT_TRUE(metrics.contains("reward") && metrics.contains("loss")) << line;
    const double occupancy = metrics.value("perf/rollout_batch_occupancy", 0.0);
    EXPECT_TRUE(occupancy > 0 && occupancy <= 1) << line;
  }
  EXPECT_EQ(steps, 3);
  std::istringstream completions(read_all(trained.run() + "/completions/step_1.jsonl"));
  for (std::string line; std::getline(completions, line);) {  // once a group
    const Json row = parse_json(line, "step_1.jsonl");
    EXPECT_EQ(row.contains("prompt"), row["sample"] == 0) << line;
    EXPECT_NE(row["explain"].value("last_number", ""), "") << line;
    if (row["sample"] == 0) {
      EXPECT_EQ(row.value("prompt", ""), row["problem"].get<std::string>() + "=") << line;
    }
  }
  // No terminal: one plain line a step, no escape codes; the summary goes to standard output.
  EXPECT_NE(trained.outcome.err.find("step 1/3"), std::string::npos) << trained.outcome.err;
  EXPECT_NE(trained.outcome.err.find("step 3/3"), std::string::npos);
  EXPECT_NE(trained.outcome.err.find("KV cache: up to 8 sequences of "), std::string::npos);
  EXPECT_EQ(trained.outcome.err.find('\x1b'), std::string::npos);
  EXPECT_EQ(trained.outcome.err.find('\r'), std::string::npos);
  for (const char* word : {"accuracy before", "accuracy after GRPO", "steps", "time"}) {
    EXPECT_NE(trained.outcome.out.find(word), std::string::npos) << trained.outcome.out;
  }
  EXPECT_NE(trained.outcome.out.find(trained.run()), std::string::npos);
}

TEST(EndToEnd, QuietTrainingPrintsTheSummaryOnly) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = run_cohort({"train", config, "trainer.max_steps=1", "--quiet"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_NE(outcome.out.find("accuracy after GRPO"), std::string::npos);
}

TEST(EndToEnd, ALogThatNobodyReadsAnyMoreDoesNotEndTheRun) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  // `true` reads nothing and is gone long before the last line; the shell waits for both sides.
  const std::string command = "bash -c \"( '" COHORT_BINARY "' train '" + config + "' 2>&1 > '" + (folder / "out") +
                              "'; echo \\$? > '" + (folder / "code") + "' ) | true\"";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(read_all(folder / "code"), "0\n");
}

TEST(EndToEnd, TheDryRunPrintsAConfigThatIsOne) {
  const TemporaryFolder folder;
  const std::string config = write_all(folder / "tiny.yaml", tiny_config(folder / "runs"));
  const Outcome outcome = run_cohort({"train", config, "trainer.max_steps=7", "--dry-run"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("max_steps: 7"), std::string::npos);
  EXPECT_NE(outcome.out.find("optimizer"), std::string::npos);
  EXPECT_NE(outcome.out.find("# KV cache: up to 8 sequences of 40 tokens, "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("# surely used of it: "), std::string::npos) << outcome.out;
  const Outcome small = run_cohort({"train", config, "rollout.kv_cache_gb=1.0e-6", "--dry-run"});
  EXPECT_EQ(small.exit_code, 2);
  EXPECT_NE(small.err.find("rollout.kv_cache_gb is 1e-06, and one sequence of up to 40 tokens"), std::string::npos) << small.err;
  EXPECT_REFUSED(run_cohort({"train", config, "rollout.stop_token_ids=[272]", "--dry-run"}), 2,
                 "rollout.stop_token_ids: found 272; the model's tokens are 0 to 271");
  EXPECT_REFUSED(run_cohort({"train", config, "rollout.stop=[<|endoftext|>]", "--dry-run"}), 2, "is a special token");
  // 64 sequences of a million positions of 64 layers: 137 TB.
  const Outcome huge = run_cohort({"train", config, "--dry-run", "rollout.kv_cache_gb=1000000", "rollout.max_completion_length=1000000",
                                   "model.init={hidden_size: 4096, num_layers: 64, num_heads: 32, num_kv_heads: 32, max_positions: 1048576}",
                                   "trainer.prompts_per_step=64"});
  EXPECT_EQ(huge.exit_code, 6);
  EXPECT_NE(huge.err.find("rollout.kv_cache_gb is 1000000, and the KV cache would take"), std::string::npos) << huge.err;
  EXPECT_FALSE(fs::exists(folder / "runs"));
  const std::string resolved = write_all(folder / "resolved.yaml", outcome.out);
  const Outcome again = run_cohort({"train", resolved, "--dry-run"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, outcome.out);
}

TEST(EndToEnd, EvalGivesTheAccuracyOfTheRun) {
  const TrainedModel trained;
  const std::string rows = trained.folder / "eval.jsonl";
  const Outcome outcome = run_cohort(
      {"eval", trained.config(), "--model", trained.model(), "--completions", rows, "--quiet"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json result = outcome.records().at(0);
  EXPECT_EQ(result["problems"], 8);
  const double accuracy = result["accuracy"];
  EXPECT_GE(accuracy, 0);
  EXPECT_LE(accuracy, 1);
  int64_t count = 0;
  std::istringstream lines(read_all(rows));
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_TRUE(parse_json(line, rows)["rewards"].contains("last_number")) << line;
  }
  EXPECT_EQ(count, 8);
  EXPECT_REFUSED(run_cohort({"eval", trained.config()}), 2, "--model");
}

TEST(EndToEnd, GenerateKeepsColumnsAndOrder) {
  const TrainedModel trained;
  const std::string input =
      "{\"prompt\": \"1+2=\", \"id\": \"a\"}\n"
      "\n"
      "{\"ids\": [49, 43, 50, 61], \"id\": \"b\"}\n";
  const std::vector<std::string> command = {"generate",
                                            trained.model(),
                                            "--num-generations",
                                            "3",
                                            "--max-completion-length",
                                            "5",
                                            "--seed",
                                            "7",
                                            "--threads",
                                            "1"};
  const Outcome outcome = run_cohort(command, input);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["id"], "a");
  EXPECT_EQ(records[1]["id"], "b");
  for (const Json& record : records) {
    ASSERT_EQ(record["completions"].size(), 3u);
    for (const Json& completion : record["completions"]) {
      EXPECT_LE(completion["ids"].size(), 5u);
      EXPECT_EQ(completion["ids"].size(), completion["logprobs"].size());
      EXPECT_TRUE(completion["finish_reason"] == "stop" || completion["finish_reason"] == "length");
    }
  }
  std::vector<std::string> other = command;
  other.back() = "2";
  other.insert(other.end(), {"--max-num-seqs", "2", "--stats"});
  const Outcome again = run_cohort(other, input);
  EXPECT_EQ(again.out, outcome.out);  // neither threads nor batches change a bit
  EXPECT_NE(again.err.find("decode "), std::string::npos) << again.err;
  EXPECT_NE(again.err.find(" tok/s"), std::string::npos);
}

TEST(EndToEnd, GenerateOfOnePromptPrintsText) {
  const TrainedModel trained;
  const std::vector<std::string> command = {
      "generate", trained.model(),           "--prompt", "1+2=", "--temperature",
      "0",        "--max-completion-length", "4"};
  const Outcome outcome = run_cohort(command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.back(), '\n');
  EXPECT_EQ(run_cohort(command).out, outcome.out);
}

TEST(EndToEnd, LogprobsEqualThoseOfSamplingBitForBit) {
  const TrainedModel trained;
  const Outcome sampled = run_cohort({"generate", trained.model(), "--max-completion-length", "8"},
                                     "{\"ids\": [49, 43, 50, 61]}\n{\"ids\": [50, 43, 50, 61]}\n");
  ASSERT_EQ(sampled.exit_code, 0) << sampled.err;
  std::string input;
  std::vector<Json> completions;
  for (const Json& record : sampled.records()) {
    completions.push_back(record["completions"][0]);
    Json ids = record["ids"];
    for (const Json& id : completions.back()["ids"]) ids.push_back(id);
    input += Json{{"ids", ids}}.dump() + "\n";
  }
  const Outcome outcome = run_cohort({"logprobs", trained.model()}, input);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 2u);
  for (size_t r = 0; r < records.size(); ++r) {
    const Json& logprobs = records[r]["logprobs"];
    ASSERT_EQ(logprobs.size(), records[r]["ids"].size());
    ASSERT_EQ(records[r]["entropy"].size(), logprobs.size());
    EXPECT_TRUE(logprobs[0].is_null() && records[r]["entropy"][0].is_null());
    for (size_t i = 0; i < completions[r]["logprobs"].size(); ++i) {
      EXPECT_EQ(logprobs[4 + i], completions[r]["logprobs"][i]) << r << " " << i;
    }
    for (size_t i = 1; i < logprobs.size(); ++i) {
      EXPECT_LE(logprobs[i].get<double>(), 0);
      EXPECT_GE(records[r]["entropy"][i].get<double>(), 0);
    }
  }
}

TEST(EndToEnd, TokenizeAndBack) {
  const TrainedModel trained;
  const Outcome ids =
      run_cohort({"tokenize", trained.model()}, "{\"text\": \"1+2=\"}\n{\"text\": \"\"}\n");
  ASSERT_EQ(ids.exit_code, 0) << ids.err;
  ASSERT_EQ(ids.records().size(), 2u);
  EXPECT_EQ(ids.records()[0]["ids"].size(), 4u);
  EXPECT_EQ(ids.records()[0]["tokens"], Json({"1", "+", "2", "="}));
  EXPECT_EQ(ids.records()[1]["ids"], Json::array());
  const Outcome text = run_cohort({"tokenize", trained.model(), "--decode"}, ids.out);
  EXPECT_EQ(text.out, "{\"text\":\"1+2=\"}\n{\"text\":\"\"}\n");
}

TEST(EndToEnd, ARecordThatCannotBeServedIsAnsweredInItsPlace) {
  const TrainedModel trained;
  const std::string input =
      "{\"ids\": [49, 50]}\n{\"ids\": [100000]}\nnonsense\n{\"ids\": []}\n{\"other\": 1}\n"
      "{\"ids\": [51]}\n";
  for (const char* command : {"generate", "logprobs"}) {
    const Outcome outcome = run_cohort({command, trained.model()}, input);
    EXPECT_EQ(outcome.exit_code, 3);
    const std::vector<Json> records = outcome.records();
    ASSERT_EQ(records.size(), 6u) << outcome.out;
    for (const size_t good : {0, 5}) EXPECT_FALSE(records[good].contains("error")) << command;
    for (const size_t bad : {1, 2, 3, 4}) EXPECT_TRUE(records[bad].contains("error")) << command;
    EXPECT_NE(records[1]["error"].get<std::string>().find("100000"), std::string::npos);
    EXPECT_NE(records[2]["error"].get<std::string>().find(":3"), std::string::npos);
  }
  const Outcome too_long = run_cohort(
      {"generate", trained.model(), "--max-completion-length", "64"}, "{\"ids\": [49]}\n");
  EXPECT_EQ(too_long.exit_code, 3);
  EXPECT_NE(too_long.out.find("64 positions"), std::string::npos) << too_long.out;
}

TEST(EndToEnd, OutputGoesToAFile) {
  const TrainedModel trained;
  const std::string out = trained.folder / "out.jsonl";
  const std::string in = write_all(trained.folder / "in.jsonl", "{\"text\": \"ab\"}\n");
  const Outcome outcome = run_cohort({"tokenize", trained.model(), "--input", in, "--output", out});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(parse_json(read_all(out), out)["ids"].size(), 2u);
}

TEST(EndToEnd, RenderUsesTheTemplateGiven) {
  const TrainedModel trained;
  const std::string jinja =
      write_all(trained.folder / "chat.jinja",
                "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
                "{% if add_generation_prompt %}[assistant]{% endif %}");
  const Outcome outcome = run_cohort({"render", trained.model(), "--chat-template", jinja},
                                     "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n"
                                     "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], "
                                     "\"add_generation_prompt\": false}\n"
                                     "{\"messages\": []}\n");
  EXPECT_EQ(outcome.exit_code, 3);
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 3u) << outcome.err;
  EXPECT_EQ(records[0]["text"], "[user]hi[assistant]");
  EXPECT_EQ(records[1]["text"], "[user]hi");
  EXPECT_TRUE(records[2].contains("error"));
}

TEST(EndToEnd, RenderGivesTheTemplateItsVariables) {
  const TrainedModel trained;
  const std::string jinja = write_all(
      trained.folder / "chat.jinja",
      "{{ strftime_now('%d %b %Y') }} {{ a }} {{ b }} {{ tools | tojson }} {{ messages[-1].content }}.");
  const std::string hi = "\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]";
  const Outcome outcome =
      run_cohort({"render", trained.model(), "--chat-template", jinja, "--now", "2026-01-31",
                  "--chat-template-kwargs", "{\"a\": 1, \"b\": false}"},
                 "{" + hi + "}\n{" + hi +
                     ", \"chat_template_kwargs\": {\"a\": [2.5]}, \"tools\": [{}]}\n{" + hi +
                     ", \"continue_final_message\": true}\n{" + hi + ", \"tools\": 1}\n");
  EXPECT_EQ(outcome.exit_code, 3);
  const std::vector<Json> records = outcome.records();
  ASSERT_EQ(records.size(), 4u) << outcome.err;
  EXPECT_EQ(records[0]["text"], "31 Jan 2026 1 False null hi.");
  EXPECT_EQ(records[1]["text"], "31 Jan 2026 [2.5] False [{}] hi.");
  EXPECT_EQ(records[2]["text"], "31 Jan 2026 1 False null hi");
  EXPECT_NE(records[3]["error"].get<std::string>().find("'tools' is a list of objects"),
            std::string::npos);
  EXPECT_EQ(run_cohort({"render", trained.model(), "--chat-template", jinja, "--now", "today"}).exit_code, 2);
  EXPECT_EQ(run_cohort({"render", trained.model(), "--chat-template", jinja, "--chat-template-kwargs", "[]"})
                .exit_code,
            2);
}

TEST(EndToEnd, InspectDescribesModelRunAndCheckpoint) {
  const TrainedModel trained;
  const Outcome model = run_cohort({"inspect", trained.model()});
  ASSERT_EQ(model.exit_code, 0) << model.err;
  for (const char* word :
       {"LlamaForCausalLM", "parameters", "float32", "<|endoftext|>", "to train"}) {
    EXPECT_NE(model.out.find(word), std::string::npos) << word << " in " << model.out;
  }
  const Outcome run = run_cohort({"inspect", trained.run()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.out.find("last step         3"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("reward"), std::string::npos);
  const Outcome checkpoint = run_cohort({"inspect", trained.run() + "/checkpoints/step_2"});
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.err;
}

}  // namespace
}  // namespace cohort

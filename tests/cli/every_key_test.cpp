// Each key of the config changes something that a run shows: its files, its numbers, or what it says. A new key needs a row here.
#include <algorithm>
#include <map>
#include <set>

#include "tests/cli/run_cohort.h"
#include "trainer/config_schema.h"
#include "trainer/metrics.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;
using Overrides = std::vector<std::string>;

// A change, and what it needs beside it to count; without the change that is a run as well.
struct Effect {
  const char *key, *value;
  Overrides beside = {};
  const char* command = "train";
};

const std::vector<Effect> kEffects = {
    {"run.name", "other"},
    {"run.dir", "FOLDER/other"},
    {"run.seed", "43"},
    {"run.device", "cuda"},  // which this build, or this machine, may not have
    {"run.threads", "2"},
    {"run.resume", "FOLDER/absent"},
    {"model.path", "FOLDER/absent", {"model.init=null"}},
    {"model.dtype", "bfloat16"},
    {"model.init.hidden_size", "64"},
    {"model.init.intermediate_size", "80"},
    {"model.init.num_layers", "2"},
    {"model.init.num_heads", "4", {"model.init.num_kv_heads=1"}},
    {"model.init.num_kv_heads", "2"},
    {"model.init.max_positions", "32"},
    {"model.init.rope_theta", "100"},
    {"data.train", "FOLDER/other.jsonl", {"data.task=null", "data.train=FOLDER/rows.jsonl"}},
    {"data.eval", "FOLDER/other.jsonl", {"data.task=null", "data.train=FOLDER/rows.jsonl", "data.eval=FOLDER/rows.jsonl"}},
    {"data.columns", "{prompt: question}", {"data.task=null", "data.train=FOLDER/rows.jsonl"}},
    {"data.max_eval_samples", "2"},
    {"data.max_prompt_length", "2"},
    {"data.shuffle", "false"},
    {"data.task.name", "reverse"},
    {"data.task.seed", "2"},
    {"data.task.train_size", "16"},
    {"data.task.eval_size", "4"},
    {"data.task.chat", "true"},
    {"rollout.num_generations", "2"},
    {"rollout.max_completion_length", "4"},
    {"rollout.min_completion_length", "8", {"rollout.stop=[A, B, C, a, b, c, d, e, f, g]"}},
    {"rollout.stop", "[A, B, C, a, b, c, d, e, f, g]"},
    {"rollout.stop_token_ids", "[65, 66, 67, 97, 98, 99, 100, 101, 102, 103]"},
    {"rollout.temperature", "0.5"},
    {"rollout.top_p", "0.5"},
    {"rollout.top_k", "2"},
    {"rollout.min_p", "0.9"},
    {"rollout.eval_temperature", "1"},
    {"rollout.eval_top_p", "0.1", {"rollout.eval_temperature=1"}},
    {"rollout.eval_top_k", "1", {"rollout.eval_temperature=1"}},
    {"rollout.eval_min_p", "0.99", {"rollout.eval_temperature=1"}},
    {"rollout.num_generations_eval", "2", {"rollout.eval_temperature=1"}},
    {"rollout.max_num_seqs", "2"},
    {"rollout.kv_cache_gb", "0.000009"},
    {"rollout.staleness", "1"},
    {"optim.learning_rate", "2.0e-3"},
    {"optim.adam_beta1", "0.5"},
    {"optim.adam_beta2", "0.5"},
    {"optim.adam_epsilon", "1"},
    {"optim.weight_decay", "1"},
    {"optim.max_grad_norm", "1.0e-4"},
    {"optim.lr_scheduler_type", "linear"},
    {"optim.warmup_ratio", "1"},
    {"trainer.max_steps", "1"},
    {"trainer.prompts_per_step", "4"},
    {"trainer.logical_ranks", "1"},
    {"trainer.pack_tokens", "16"},
    {"trainer.reuse_activations", "false"},
    {"trainer.eval_steps", "1"},
    {"trainer.eval_before", "false"},
    {"trainer.eval_pass_at_k", "[1]", {"rollout.num_generations_eval=2", "rollout.eval_temperature=1"}},
    {"trainer.eval_pass_threshold", "-1", {"rollout.num_generations_eval=2", "rollout.eval_temperature=1"}},
    {"trainer.metric_for_best_model", "eval/accuracy"},
    {"trainer.save_steps", "1"},
    {"trainer.save_total_limit", "1", {"trainer.save_steps=1"}},
    {"trainer.warm_start.steps", "2"},
    {"trainer.warm_start.problems_per_step", "4", {"trainer.warm_start.steps=3"}},
    {"trainer.warm_start.learning_rate", "1.0e-4", {"trainer.warm_start.steps=3"}},
    {"sft.examples_per_step", "1", {}, "sft"},
    {"sft.num_train_epochs", "2", {}, "sft"},
    {"sft.max_length", "3", {}, "sft"},
    {"sft.filter_overlong", "true", {"sft.max_length=5"}, "sft"},
    {"rm.pairs_per_step", "1", {}, "rm"},
    {"rm.num_train_epochs", "2", {}, "rm"},
    {"rm.max_length", "3", {}, "rm"},
    {"rm.filter_overlong", "true", {"rm.max_length=5"}, "rm"},
    {"rm.center_rewards_coefficient", "1", {}, "rm"},
    {"log.completions_steps", "0"},
    {"log.eval_completions", "false"},
    {"log.progress", "false"},
    {"log.format", "json"},
    {"log.trace", "true"},
    {"log.tensorboard", "false"},
    {"log.hooks", "[\"cat > FOLDER/seen\"]"},
};

// Keys whose effect shows in a run of another kind, and the test that has it.
const std::map<std::string, const char*> kElsewhere = {
    {"run.pin_threads", "core/cpu_topology_test.cpp"},
    {"run.allow_changes", "faults/resume_test.cpp"},
    {"run.numerics", "cli/replay_test.cpp"},  // fast is strict as yet, and part of what a run is
    {"model.lora.rank", "cli/lora_test.cpp"},
    {"model.lora.alpha", "cli/lora_test.cpp"},
    {"model.lora.target_modules", "cli/lora_test.cpp"},
    {"model.lora.dropout", "cli/lora_test.cpp"},
    {"model.lora.save_merged", "cli/lora_test.cpp"},
    {"data.chat_template_kwargs", "trainer/encode_prompts_test.cpp"},
    {"data.allow_special_tokens", "trainer/encode_prompts_test.cpp"},
    {"data.now", "trainer/encode_prompts_test.cpp"},
    {"data.curriculum.metric", "trainer/curriculum_test.cpp"},
    {"data.curriculum.pass_threshold", "trainer/curriculum_test.cpp"},
    {"data.curriculum.min_pass_rate", "trainer/curriculum_test.cpp"},
    {"data.curriculum.max_pass_rate", "trainer/curriculum_test.cpp"},
    {"data.curriculum.skip_epochs", "trainer/curriculum_test.cpp"},
    {"rollout.max_num_batched_tokens", "cli/memory_plan_test.cpp"},
    {"rollout.load_balancing", "faults/stealing_test.cpp"},
    {"trainer.checkpoint_must_save_by", "faults/resume_test.cpp"},
    {"trainer.gradient_checkpointing", "trainer/update_test.cpp"},
    {"trainer.skip_zero_advantage", "trainer/update_test.cpp"},
    {"trainer.greater_is_better", "cli/eval_test.cpp"},
    {"sft.stop_token_ids", "trainer/sft_data_test.cpp"},
    {"comm.interface", "trainer/ranks_agree_test.cpp"},
    {"log.hooks_timeout_s", "cli/trackers_test.cpp"},
};

constexpr const char* kRows = "{\"prompt\": \"1+1=\", \"question\": \"2+1=\", \"completion\": \"2\", \"answer\": \"2\", \"chosen\": \"2\", \"rejected\": \"x\"}\n"
                              "{\"prompt\": \"2+2=\", \"question\": \"3+1=\", \"completion\": \"44\", \"answer\": \"4\", \"chosen\": \"44\", \"rejected\": \"y\"}\n";

std::string config_of(const std::string& command) {
  std::string text = R"(run: {name: tiny, threads: 1, dir: FOLDER/runs}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 1, num_heads: 2, num_kv_heads: 1, max_positions: 64}
  dtype: float32
optim: {learning_rate: 1.0e-3}
)";
  if (command == "train")
    return text + R"(data: {task: {name: addition, seed: 1, train_size: 8, eval_size: 8}, max_prompt_length: 32}
reward: [{name: soft_overlong, max_length: 8, buffer: 8, unit: characters}]
rollout: {num_generations: 4, max_completion_length: 8}
trainer: {max_steps: 2, prompts_per_step: 2, logical_ranks: 2}
log: {completions_steps: 1}
)";
  return text + "data: {train: FOLDER/rows.jsonl}\ntrainer: {logical_ranks: 2}\n" + command + ": {num_train_epochs: 1, max_length: 64}\n";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) text.replace(at, what.size(), by);
  return text;
}

// What a run says, but for lines with times in them.
std::string said(const std::string& text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (line.find("tok/s") == std::string::npos && line.find("time ") == std::string::npos && line.find("warm start ") == std::string::npos) kept += line + "\n";
  return kept;
}

// What is in a file, but for what was measured.
std::string contents(const fs::path& file) {
  if (file.filename() != "metrics.jsonl") return read_all(file);
  std::istringstream lines(read_all(file));
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const Json metrics = parse_json(line, file.string());
    for (const auto& [name, value] : metrics.items())
      if (!is_measured(name)) text += name + " " + dump_json(value) + "\n";
  }
  return text;
}

// All that a run shows: exit code, messages, names of files, and of those that hold what it did the contents.
std::map<std::string, std::string> run(const Effect& effect, bool changed) {
  const TemporaryFolder folder;
  const auto here = [&](const std::string& text) { return replaced(text, "FOLDER", folder.str()); };
  write_all(folder / "rows.jsonl", kRows);
  write_all(folder / "other.jsonl", replaced(kRows, "1+1", "5+5"));
  std::vector<std::string> args = {effect.command, write_all(folder / "c.yaml", here(config_of(effect.command)))};
  for (const std::string& key : effect.beside) args.push_back(here(key));
  if (changed) args.push_back(here(std::string(effect.key) + "=" + effect.value));
  const Outcome outcome = run_cohort(args);
  std::map<std::string, std::string> seen = {{"exit code", std::to_string(outcome.exit_code)},
                                             {"output", replaced(said(outcome.out), folder.str(), "FOLDER")},
                                             {"messages", replaced(said(outcome.err), folder.str(), "FOLDER")}};
  for (const auto& entry : fs::recursive_directory_iterator(folder.str())) {
    const std::string name = entry.path().filename().string();
    const std::string place = entry.path().lexically_relative(folder.str()).string();
    if (name.starts_with("events.out.tfevents")) {
      seen["tensorboard"] = "";
    } else {
      const bool shows = place.find("checkpoints") == place.npos && name != "config.yaml" &&
                         (name == "metrics.jsonl" || name.starts_with("step_") || name.ends_with(".safetensors"));
      seen[place] = shows && entry.is_regular_file() ? contents(entry.path()) : "";
    }
  }
  return seen;
}

std::string first_lines(const std::string& text) { return text.substr(0, 300); }

TEST(EveryKey, ChangesSomething) {
  std::map<std::string, std::map<std::string, std::string>> bases;  // by what is beside: most have nothing
  for (const Effect& effect : kEffects) {
    SCOPED_TRACE(effect.key);
    std::string name = effect.command;
    for (const std::string& key : effect.beside) name += " " + key;
    if (!bases.contains(name)) bases[name] = run(effect, false);
    const auto& before = bases[name];
    const auto after = run(effect, true);
    EXPECT_TRUE(after != before) << first_lines(after.at("messages"));  // without printing both
    // A key that is only refused would change nothing either.
    EXPECT_NE(after.at("exit code"), "1") << after.at("messages");
  }
}

TEST(EveryKey, IsInTheTable) {
  std::set<std::string> known;
  for (const Effect& effect : kEffects) known.insert(effect.key);
  for (const auto& [key, file] : kElsewhere) {
    EXPECT_TRUE(known.insert(key).second) << key << " stands twice";
    const std::string word = key == "run.pin_threads" ? "plan_threads" : key.substr(key.rfind('.') + 1);  // which has its value
    EXPECT_NE(read_all(SOURCE_DIR "/tests/" + std::string(file)).find(word), std::string::npos) << word << " is not in " << file;
  }
  for (const KeyRow& key : config_keys()) {
    if (key.section == "algorithm") continue;  // Algorithm.EveryKeyChangesTheResult
    if (key.section == "comm" && key.name.ends_with("timeout_s")) continue;  // the faults, which are found by them
    EXPECT_TRUE(known.erase(key.path()) == 1) << key.path() << " is not in the table";
  }
  EXPECT_TRUE(known.empty()) << *known.begin() << " is no key";
}

}  // namespace
}  // namespace cohort

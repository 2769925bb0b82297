#include "trainer/config_check.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "core/check.h"
#include "core/text.h"
#include "core/yaml.h"
#include "model/lora.h"
#include "model/text/chat_template_input.h"
#include "model/text/chat_template_time.h"
#include "trainer/config_schema.h"
#include "trainer/data_columns.h"
#include "trainer/evaluate.h"
#include "trainer/lineage.h"
#include "trainer/save_by.h"

namespace cohort {
namespace {

struct Checker {
  const Config& config;
  const std::string& file;
  const KeyPlaces& places;

  // The place of the first of the keys that is given; the command line first, as it is what was
  // changed.
  std::string at(std::initializer_list<const char*> keys) const {
    std::string first;
    for (const char* key : keys) {
      const auto place = places.find(key);
      if (place == places.end()) continue;
      if (place->second.starts_with("command line: ")) return place->second;
      if (first.empty()) first = place->second;
    }
    return first.empty() ? file : first;
  }

  template <typename... Args>
  void require(bool condition, std::initializer_list<const char*> keys,
               fmt::format_string<Args...> format, Args&&... args) const {
    if (!condition) {
      throw Error(ExitCode::kUsage,
                  at(keys) + ": " + fmt::format(format, std::forward<Args>(args)...));
    }
  }

  // Runs a check of another part, whose message gets the key's place.
  template <typename Check>
  void accept(const char* key, Check check) const {
    try {
      check();
    } catch (const Error& error) {
      throw Error(ExitCode::kUsage, fmt::format("{}: {}", at({key}), error.what()));
    }
  }

  void run() const {
    const RunConfig& r = config.run;
    require(
        !r.name.empty() && r.name.find('/') == std::string::npos && r.name != "." && r.name != "..",
        {"run.name"}, "run.name: found '{}'; allowed: the name of a folder, without '/'", r.name);
    // Of the 255 bytes of a file name, five are for the .N of a run that is moved aside.
    require(r.name.size() <= 250, {"run.name"},
            "run.name: found '{}' of {} bytes; allowed: at most 250, as a file name has 255 and a run that is moved aside gets a number behind its name; "
            "write a shorter one", excerpt(r.name), r.name.size());
    require(!r.dir.empty(), {"run.dir"}, "run.dir: found an empty text; allowed: a folder");
    require(!r.resume.empty(), {"run.resume"},
            "run.resume: found an empty text; allowed: auto, never, or the path of a checkpoint");
    require(r.allow_changes.empty() || (r.resume != "auto" && r.resume != "never"), {"run.allow_changes"},
            "run.allow_changes: found [{}], but run.resume is {}; it is for run.resume: PATH", fmt::join(r.allow_changes, ", "), r.resume);
    for (const std::string& key : r.allow_changes)
      require(std::ranges::find(changeable_keys(), key) != changeable_keys().end(), {"run.allow_changes"},
              "run.allow_changes: found '{}'; allowed: {}. Other changes begin with the model alone: model.path, and run.resume: never", key,
              fmt::join(changeable_keys(), ", "));
    accept("trainer.checkpoint_must_save_by", [&] { SaveBy(config.trainer.checkpoint_must_save_by).is_due(0); });
  }

  void model() const {
    const bool path = !config.model.path.empty();
    require(!path || !config.model.init, {"model.init", "model.path", "model"},
            "both model.path and model.init are given; exactly one says which model to train (null "
            "removes the other)");
    require(path || config.model.init, {"model.path", "model.init", "model"},
            "neither model.path (a Hugging Face folder) nor model.init (a model from scratch) is "
            "given");
    if (config.model.init) init(*config.model.init);
    if (config.model.lora) lora(*config.model.lora);
  }

  void lora(const LoraSection& l) const {
    require(l.dropout == 0, {"model.lora.dropout", "model.lora"},
            "model.lora.dropout: found {}; allowed: 0, as a forward pass with dropout is not the one that sampled", l.dropout);
    accept("model.lora.target_modules", [&] { lora_modules(l.target_modules); });
    require(config.run.device == "cpu", {"run.device", "model.lora"},
            "model.lora is not computed on run.device: {}; use run.device: cpu, or train all weights (model.lora: null)", config.run.device);
    require(config.algorithm.ref_model_sync_steps == 0, {"algorithm.ref_model_sync_steps", "model.lora"},
            "algorithm.ref_model_sync_steps: found {}, but with model.lora the reference is the base without the adapter, which never moves; "
            "allowed: 0", config.algorithm.ref_model_sync_steps);
  }

  void init(const ModelInitConfig& m) const {
    require(m.hidden_size % 16 == 0, {"model.init.hidden_size", "model.init"},
            "model.init.hidden_size: found {}; allowed: a multiple of 16", m.hidden_size);
    require(m.intermediate_size % 16 == 0, {"model.init.intermediate_size", "model.init"},
            "model.init.intermediate_size: found {}; allowed: a multiple of 16",
            m.intermediate_size);
    require(m.hidden_size % m.num_heads == 0,
            {"model.init.num_heads", "model.init.hidden_size", "model.init"},
            "model.init: hidden_size {} is no multiple of num_heads {}", m.hidden_size,
            m.num_heads);
    const int64_t head_size = m.hidden_size / m.num_heads;
    require(head_size % 2 == 0 && head_size <= 256,
            {"model.init.num_heads", "model.init.hidden_size", "model.init"},
            "model.init: hidden_size {} / num_heads {} gives heads of size {}; allowed: even, at "
            "most 256",
            m.hidden_size, m.num_heads, head_size);
    require(m.num_heads % m.num_kv_heads == 0,
            {"model.init.num_kv_heads", "model.init.num_heads", "model.init"},
            "model.init: num_heads {} is no multiple of num_kv_heads {}", m.num_heads,
            m.num_kv_heads);
    if (config.learns_from_rows()) {
      const char* const key = config.sft ? "sft.max_length" : "rm.max_length";
      const int64_t longest = config.sft ? config.sft->max_length : config.rm->max_length;
      require(longest <= m.max_positions, {"model.init.max_positions", key, "model.init"}, "model.init.max_positions is {}; {} {} needs as many",
              m.max_positions, key, longest);
      return;
    }
    const int64_t prompt = config.data.max_prompt_length,
                  completion = config.rollout.max_completion_length;
    require(prompt + completion <= m.max_positions,
            {"model.init.max_positions", "data.max_prompt_length", "rollout.max_completion_length",
             "model.init"},
            "model.init.max_positions is {}; data.max_prompt_length {} and "
            "rollout.max_completion_length {} need {}",
            m.max_positions, prompt, completion, prompt + completion);
  }

  void data() const {
    const DataSection& d = config.data;
    const bool train = !d.train.empty(), eval = !d.eval.empty(), task = d.task.has_value();
    require(!train || !task, {"data.task", "data.train", "data"},
            "both data.train and data.task are given; exactly one says what to train on (null "
            "removes the other)");
    require(!eval || !task, {"data.eval", "data"},
            "data.eval is given beside data.task, which has evaluation problems of its own "
            "(data.task.eval_size)");
    require(!eval || train, {"data.eval", "data"}, "data.eval is given without data.train");
    require(train || task, {"data.train", "data.task", "data"},
            "neither data.train (a JSONL file) nor data.task (built-in problems) is given");
    require(!task || !d.task->name.empty(), {"data.task", "data"},
            "data.task.name is missing; allowed: {}", find_key("data.task", "name")->allowed());
    if (d.curriculum) curriculum(*d.curriculum);
    if (!d.now.empty()) accept("data.now", [&] { parse_iso_time(d.now, "data.now"); });
    accept("data.chat_template_kwargs",
           [&] { check_template_kwargs(d.chat_template_kwargs, "chat_template_kwargs", "data"); });
    require(!task || d.columns.empty(), {"data.columns"}, "data.columns: found {}, but the problems of data.task come from no file; remove one of the two",
            d.columns.dump());
    accept("data.columns", [&] { check_columns(d.columns, "data.columns"); });
    require(task || !config.trainer.warm_start, {"trainer.warm_start"},
            "trainer.warm_start needs the solutions of a built-in task; data.task is not given");
    require(task || eval || config.trainer.eval_steps == 0, {"trainer.eval_steps"},
            "trainer.eval_steps: found {}, but there is no data.eval to evaluate on",
            config.trainer.eval_steps);
  }

  void curriculum(const CurriculumConfig& c) const {
    require(c.min_pass_rate <= c.max_pass_rate, {"data.curriculum.min_pass_rate", "data.curriculum.max_pass_rate", "data.curriculum"},
            "data.curriculum.min_pass_rate {} is more than max_pass_rate {}", c.min_pass_rate, c.max_pass_rate);
    require(c.min_pass_rate > 0 || c.max_pass_rate < 1, {"data.curriculum"},
            "data.curriculum: min_pass_rate 0 and max_pass_rate 1 skip no problem; allowed: another range, e.g. max_pass_rate: 0.9, or no curriculum");
    std::vector<std::string> names;
    for (const RewardSpec& spec : config.reward) names.push_back(spec.name);
    require(c.metric.empty() || std::ranges::find(names, c.metric) != names.end(), {"data.curriculum.metric", "data.curriculum"},
            "data.curriculum.metric: found '{}'; allowed: one of {}", c.metric, fmt::join(names, ", "));
  }

  void evaluation() const {
    const TrainerSection& t = config.trainer;
    const int64_t samples = config.rollout.num_generations_eval;
    for (const int64_t k : t.eval_pass_at_k)
      require(k <= samples, {"trainer.eval_pass_at_k", "rollout.num_generations_eval"},
              "trainer.eval_pass_at_k: found {} with rollout.num_generations_eval {}; allowed: at most that, as pass@k needs k completions of a problem",
              k, samples);
    require(samples == 1 || config.rollout.eval_temperature > 0, {"rollout.num_generations_eval", "rollout.eval_temperature"},
            "rollout.num_generations_eval: found {} with rollout.eval_temperature 0, where all completions of a problem are one; allowed: 1, or an "
            "eval_temperature above 0", samples);
    if (t.metric_for_best_model.empty()) {
      require(t.greater_is_better, {"trainer.greater_is_better"},
              "trainer.greater_is_better: found false, but trainer.metric_for_best_model names no metric; allowed: with one, or without this key");
      return;
    }
    require(!config.data.eval.empty() || config.data.task, {"trainer.metric_for_best_model"},
            "trainer.metric_for_best_model: found {}, but there is no data.eval to measure it on", t.metric_for_best_model);
    const std::vector<std::string> names = eval_metric_names(config);
    const std::string near = nearest_name(t.metric_for_best_model, names);
    require(std::ranges::find(names, t.metric_for_best_model) != names.end(), {"trainer.metric_for_best_model"},
            "trainer.metric_for_best_model: found '{}';{} allowed: {}", t.metric_for_best_model,
            near.empty() ? "" : fmt::format(" did you mean '{}'?", near), fmt::join(names, ", "));
  }

  void sampling_and_steps() const {
    const RolloutSection& r = config.rollout;
    require(r.min_completion_length <= r.max_completion_length,
            {"rollout.min_completion_length", "rollout.max_completion_length"},
            "rollout.min_completion_length {} is more than rollout.max_completion_length {}",
            r.min_completion_length, r.max_completion_length);
    require(config.trainer.max_steps >= 0, {"trainer.max_steps"},
            "trainer.max_steps: found -1, which is for cohort sft and rm; allowed: an integer from 0 on: epochs * problems / prompts_per_step");
    logical_ranks();
  }

  void logical_ranks() const {
    const int64_t ranks = config.trainer.logical_ranks;
    require(std::has_single_bit(static_cast<uint64_t>(ranks)), {"trainer.logical_ranks"},
            "trainer.logical_ranks: found {}; allowed: a power of two from 1 to 4096, e.g. {}",
            ranks, std::bit_floor(static_cast<uint64_t>(ranks)));
  }

  void algorithm() const {
    check_algorithm(config, [&](std::initializer_list<const char*> keys, const std::string& why) {
      throw Error(ExitCode::kUsage, at(keys) + ": " + why);
    });
  }

  void rows_command(std::string_view own) const {
    check_rows_command(config, own, places, [&](std::initializer_list<const char*> keys, const std::string& why) {
      throw Error(ExitCode::kUsage, at(keys) + ": " + why);
    });
  }

  void rewards() const {
    require(!config.reward.empty(), {"reward"}, "reward has no entries; allowed names: {}",
            fmt::join(reward_names(), ", "));
  }
};

}  // namespace

void check_config(const Config& config, const std::string& file, const KeyPlaces& places, ConfigUse use) {
  const Checker checker{config, file, places};
  const bool sft = use == ConfigUse::sft || (use == ConfigUse::recorded && config.sft);
  const bool rows = sft || use == ConfigUse::rm || (use == ConfigUse::recorded && config.rm);
  if (rows) {
    checker.rows_command(sft ? "sft" : "rm");
  } else {
    checker.require(!config.sft, {"sft"}, "section sft is for cohort sft, which learns from examples; remove it, or run cohort sft with this config");
    checker.require(!config.rm, {"rm"}, "section rm is for cohort rm, which learns from pairs of answers; remove it, or run cohort rm with this config");
  }
  if (use == ConfigUse::rewards) return checker.rewards();
  checker.run();
  checker.model();
  checker.data();
  if (rows) return checker.logical_ranks();
  checker.evaluation();
  checker.sampling_and_steps();
  checker.algorithm();
  checker.rewards();
}

}  // namespace cohort

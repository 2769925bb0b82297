// Which keys `cohort sft` and `cohort rm` read, and what must hold of them (docs/sft.md, docs/reward-models.md). A key that would have no
// effect is refused by name.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/check.h"
#include "trainer/config_check.h"
#include "trainer/config_schema.h"

namespace cohort {
namespace {

// A section whose keys all count, and single keys of the others. New keys are not read until they stand here.
constexpr std::array kRead = {
    "run.*", "model.path", "model.dtype", "model.init.*", "optim.*", "data.task.*",
    "data.train", "data.eval", "data.columns", "data.max_eval_samples", "data.shuffle", "data.chat_template_kwargs", "data.allow_special_tokens", "data.now",
    "trainer.max_steps", "trainer.logical_ranks", "trainer.pack_tokens", "trainer.gradient_checkpointing", "trainer.eval_steps",
    "trainer.eval_before", "trainer.save_steps", "trainer.save_total_limit", "trainer.checkpoint_must_save_by",
    "comm.timeout_s", "comm.update_timeout_s", "comm.load_timeout_s", "comm.checkpoint_timeout_s", "comm.interface",
    "log.progress", "log.format", "log.trace", "log.tensorboard", "log.hooks*",
};

// `own`: the section of the command.
bool is_read(std::string_view path, std::string_view own) {
  if (own == "sft" && (path == "model.lora" || path.starts_with("model.lora."))) return true;
  if (path == own || path.starts_with(fmt::format("{}.", own))) return true;
  return std::ranges::any_of(kRead, [&](std::string_view entry) {
    if (!entry.ends_with('*')) return entry == path || entry.starts_with(fmt::format("{}.", path));
    entry.remove_suffix(1);  // "run."
    return path.starts_with(entry) || entry.starts_with(fmt::format("{}.", path));
  });
}

// What to do instead.
std::string remedy(std::string_view path, std::string_view own) {
  if (path == "data.max_prompt_length") return fmt::format("{}.max_length bounds prompt and completion together", own);
  if (path == "trainer.prompts_per_step") return fmt::format("cohort {} counts {}.{}", own, own, own == "sft" ? "examples_per_step" : "pairs_per_step");
  if (path == "sft" || path == "rm" || path.starts_with("sft.") || path.starts_with("rm.")) return "it is of another command";
  if (path.starts_with("trainer.warm_start")) return "the whole run is what a warm start is";
  if (path == "log.completions_steps" || path == "trainer.reuse_activations" || path.starts_with("comm.r")) return "it samples and scores nothing";
  if (path.starts_with("model.lora")) return "a reward model's head is new and has to be trained whole; remove it";
  for (const char* section : {"rollout", "reward", "algorithm"})
    if (path.starts_with(section)) return "it samples and scores nothing";
  return "remove it";
}

}  // namespace

bool config_reads(const Config& config, std::string_view path) {
  if (config.learns_from_rows()) return is_read(path, config.sft ? "sft" : "rm");
  return path != "sft" && path != "rm" && !path.starts_with("sft.") && !path.starts_with("rm.");
}

void check_rows_command(const Config& config, std::string_view own, const KeyPlaces& places, const Refuse& refuse) {
  if (own == "sft" && !config.sft) refuse({}, "section sft is missing, which says what cohort sft learns from; write at least sft: {num_train_epochs: 3}");
  if (own == "rm" && !config.rm) refuse({}, "section rm is missing, which says how cohort rm learns from pairs; write at least rm: {num_train_epochs: 1}");
  if (own == "rm" && config.run.device != "cpu")
    refuse({"run.device"}, fmt::format("run.device: found {}, where reward models are not trained; allowed: cpu", config.run.device));
  for (const auto& [name, data] : {std::pair{"data.train", &config.data.train}, std::pair{"data.eval", &config.data.eval}})
    if (!data->sources.empty())
      refuse({name}, fmt::format("{}: cohort {} takes one file, found a list of {}; a 'merge' stage of cohort pipeline joins them", name, own,
                                 data->sources.size()));
  for (const auto& [path, where] : places)
    if (!is_read(path, own)) refuse({path.c_str()}, fmt::format("{}: cohort {} does not read it: {}", path, own, remedy(path, own)));
}

}  // namespace cohort

#include "reward/model_options.h"

#include "core/check.h"
#include "reward/judge_text.h"
#include "reward/options.h"

namespace cohort {
namespace {

std::string path_option(const RewardSpec& spec) {
  const auto it = spec.options.find("path");
  CHECK_USAGE(it != spec.options.end(), "reward '{}': 'path' is missing, the folder of the model", spec.name);
  CHECK_USAGE(it->is_string() && !it->get_ref<const std::string&>().empty(), "reward '{}': 'path' is the folder of a model, found {}", spec.name,
              it->dump());
  return it->get<std::string>();
}

constexpr int64_t kLongest = int64_t{1} << 24;  // tokens: beyond any model's positions

}  // namespace

ModelRewardOptions read_model_reward(const RewardSpec& spec) {
  check_options(spec, {"path", "dtype", "max_length", "prompt"});
  return {.path = path_option(spec),
          .dtype = word_option(spec, "dtype", {"auto", "float32", "bfloat16"}),
          .max_length = whole_option(spec, "max_length", 0, kLongest, 0),
          .user_message = word_option(spec, "prompt", {"as_given", "user_message"}) == "user_message"};
}

void check_model_reward(const RewardSpec& spec) { read_model_reward(spec); }

JudgeOptions read_judge(const RewardSpec& spec) {
  check_options(spec, {"path", "dtype", "template", "system", "tag", "min", "max", "max_prompt_length", "max_completion_length", "temperature", "seed",
                       "max_num_seqs"});
  const auto text = [&](const char* key) {
    const auto it = spec.options.find(key);
    if (it == spec.options.end()) return std::string();
    CHECK_USAGE(it->is_string() && !it->get_ref<const std::string&>().empty(), "reward '{}': '{}' is a text, found {}", spec.name, key, it->dump());
    return it->get<std::string>();
  };
  JudgeOptions options{.path = path_option(spec), .dtype = word_option(spec, "dtype", {"auto", "float32", "bfloat16"}), .text = text("template"),
                       .system = text("system")};
  CHECK_USAGE(!options.text.empty(), "reward '{}': 'template' is missing, the text that the judge is asked, e.g. \"Rate this answer from 0 to 10 as "
              "<score>N</score>: {{completion}}\"", spec.name);
  JudgeTemplate::parse(options.text, fmt::format("reward '{}': 'template'", spec.name));
  if (spec.options.contains("tag")) options.tag = text("tag");
  CHECK_USAGE(options.tag.find_first_of("<>/ ") == options.tag.npos, "reward '{}': 'tag' is '{}'; allowed is a name, as in <score>", spec.name, options.tag);
  options.min = number_option(spec, "min", -1e6, 1e6, options.min), options.max = number_option(spec, "max", -1e6, 1e6, options.max);
  CHECK_USAGE(options.min < options.max, "reward '{}': 'min' is {} and 'max' {}; allowed is a min below max", spec.name, options.min, options.max);
  options.max_prompt_length = whole_option(spec, "max_prompt_length", 1, kLongest, options.max_prompt_length);
  options.max_completion_length = whole_option(spec, "max_completion_length", 1, kLongest, options.max_completion_length);
  options.temperature = number_option(spec, "temperature", 0, 100, options.temperature);
  options.seed = static_cast<uint64_t>(whole_option(spec, "seed", 0, INT64_MAX, 0));
  options.max_num_seqs = whole_option(spec, "max_num_seqs", 1, 4096, options.max_num_seqs);
  return options;
}

void check_judge(const RewardSpec& spec) { read_judge(spec); }

}  // namespace cohort

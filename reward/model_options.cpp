#include "reward/model_options.h"

#include "core/check.h"
#include "reward/judge_text.h"
#include "reward/options.h"

namespace cohort {
namespace {

constexpr double kLongest = 1 << 24;  // tokens: beyond any model's positions

OptionRow path_row(const char* what) { return {.name = "path", .type = OptionType::text, .help = what, .needed = true}; }
OptionRow dtype_row() {
  return {.name = "dtype", .type = OptionType::word, .help = "of its weights in memory; auto: as the files have it", .standard = "auto",
          .words = {"auto", "float32", "bfloat16"}};
}

}  // namespace

const OptionTable& model_reward_options() {
  static const OptionTable table = {
      path_row("the folder of a reward model"),
      dtype_row(),
      {.name = "max_length", .type = OptionType::integer, .help = "tokens; a longer conversation has no score; 0: the model's positions", .standard = 0,
       .bounds = {.low = 0, .high = kLongest}},
      {.name = "prompt", .type = OptionType::word,
       .help = "user_message: a prompt that is a text becomes a message of the user, and the chat template is used", .standard = "as_given",
       .words = {"as_given", "user_message"}},
  };
  return table;
}

ModelRewardOptions read_model_reward(const RewardSpec& spec) {
  const OptionReader options(spec, model_reward_options());
  return {.path = options.text("path"),
          .dtype = options.word("dtype"),
          .max_length = options.integer("max_length"),
          .user_message = options.word("prompt") == "user_message"};
}

void check_model_reward(const RewardSpec& spec) { read_model_reward(spec); }

const OptionTable& judge_options() {
  static const OptionTable table = {
      path_row("the folder of a language model"),
      dtype_row(),
      {.name = "template", .type = OptionType::text, .help = "what it is asked; {prompt}, {completion} and {COLUMN} are filled in, {{ and }} are braces",
       .needed = true, .form = "a text like \"Rate this answer from 0 to 10 as <score>N</score>: {completion}\""},
      {.name = "system", .type = OptionType::text, .help = "a message of the system before it; without it there is none"},
      {.name = "tag", .type = OptionType::text, .help = "the verdict is the number in the last <tag>...</tag>", .standard = "score",
       .form = "a name, as in <score>"},
      {.name = "min", .type = OptionType::number, .help = "the verdict that gives the score 0", .standard = 0.0, .bounds = {.low = -1e6, .high = 1e6}},
      {.name = "max", .type = OptionType::number, .help = "the verdict that gives the score 1; above min", .standard = 10.0,
       .bounds = {.low = -1e6, .high = 1e6}},
      {.name = "max_prompt_length", .type = OptionType::integer, .help = "tokens of the question; a longer one has no score", .standard = 2048,
       .bounds = {.low = 1, .high = kLongest}},
      {.name = "max_completion_length", .type = OptionType::integer, .help = "tokens of its answer", .standard = 256,
       .bounds = {.low = 1, .high = kLongest}},
      {.name = "temperature", .type = OptionType::number, .help = "of its answer; 0: greedy", .standard = 0.0, .bounds = {.low = 0, .high = 100}},
      {.name = "seed", .type = OptionType::integer, .help = "of its draws", .standard = 0, .bounds = {.low = 0}},
      {.name = "max_num_seqs", .type = OptionType::integer, .help = "how many it judges together; more need more memory, and no verdict changes",
       .standard = 16, .bounds = {.low = 1, .high = 4096}},
  };
  return table;
}

JudgeOptions read_judge(const RewardSpec& spec) {
  const OptionReader read(spec, judge_options());
  JudgeOptions options{.path = read.text("path"), .dtype = read.word("dtype"), .text = read.text("template"), .system = read.text("system"),
                       .tag = read.text("tag"), .min = read.number("min"), .max = read.number("max"),
                       .max_prompt_length = read.integer("max_prompt_length"), .max_completion_length = read.integer("max_completion_length"),
                       .temperature = read.number("temperature"), .seed = static_cast<uint64_t>(read.integer("seed")),
                       .max_num_seqs = read.integer("max_num_seqs")};
  JudgeTemplate::parse(options.text, fmt::format("reward '{}': 'template'", spec.name));
  CHECK_USAGE(options.tag.find_first_of("<>/ ") == options.tag.npos, "reward '{}': 'tag' is '{}'; allowed is a name, as in <score>", spec.name, options.tag);
  CHECK_USAGE(options.min < options.max, "reward '{}': 'min' is {} and 'max' {}; allowed is a min below max", spec.name, options.min, options.max);
  return options;
}

void check_judge(const RewardSpec& spec) { read_judge(spec); }

}  // namespace cohort

// The reward `reasoning_gym`: what reasoning-gym's own scorer of the row's task says.
#include <algorithm>

#include "core/check.h"
#include "core/text.h"
#include "reward/options.h"
#include "reward/rewards.h"
#include "reward/tasks/reasoning_gym.h"

namespace cohort {
namespace {

const tasks::Task* find_task(std::string_view name) {
  const auto all = tasks::tasks();
  const auto it = std::ranges::find(all, name, &tasks::Task::name);
  return it == all.end() ? nullptr : &*it;
}

std::string task_names() {
  std::string names;
  for (const tasks::Task& task : tasks::tasks()) names += (names.empty() ? "" : ", ") + std::string(task.name);
  return names;
}

class ReasoningGym : public Reward {
 public:
  explicit ReasoningGym(const OptionReader& options)
      : column_(options.text("column")),
        metadata_(options.text("metadata")),
        whole_completion_(options.word("extract") == "completion"),
        all_or_nothing_(options.word("credit") == "full"),
        task_(find_task(options.word("task"))) {}

  std::optional<double> score(const RewardInput& input) const override { return explain(input).score; }

  Verdict explain(const RewardInput& input) const override {
    if (input.columns == nullptr || !input.columns->is_object()) return {std::nullopt, "the row has no columns"};
    const auto it = input.columns->find(metadata_);
    // Rows without such a column are looked at themselves: {"numbers", "target"}.
    const Json& metadata = it != input.columns->end() && it->is_object() ? *it : *input.columns;
    const tasks::Task* task = task_;
    if (task == nullptr) {
      const auto name = metadata.find("source_dataset");
      if (name == metadata.end() || !name->is_string())
        return {std::nullopt, "the row's '" + metadata_ + "' has no 'source_dataset' that names its task; or give 'task'"};
      task = find_task(name->get_ref<const std::string&>());
      if (task == nullptr)
        return {std::nullopt, "no scorer for the task '" + name->get<std::string>() + "'; there are " + task_names()};
    }
    const tasks::Entry entry{answer_text(input), metadata, all_or_nothing_};
    const std::string completion = to_valid_utf8(input.completion);
    Verdict verdict = task->score(whole_completion_ ? std::string_view(completion) : tasks::extract_answer(completion), entry);
    // spell_backward adds up to more than 1 for nine letters with more behind them.
    if (all_or_nothing_ && verdict.score && *verdict.score != 1.0) verdict.score = 0.0;
    return verdict;
  }

  bool takes_answers() const override { return true; }
  std::optional<std::string> answer(std::string_view completion) const override {
    const std::string text = to_valid_utf8(completion);
    const std::optional<std::string_view> found = whole_completion_ ? std::optional<std::string_view>(text) : tasks::extract_answer(text);
    if (!found || trim(*found).empty()) return std::nullopt;
    return std::string(trim(*found));
  }

 private:
  // A list (number_sorting) is as good as its text.
  std::string answer_text(const RewardInput& input) const {
    const auto it = input.columns->find(column_);
    if (it != input.columns->end() && it->is_array()) return it->dump();
    return column_text(input, column_).value_or("");
  }

  std::string column_, metadata_;
  bool whole_completion_, all_or_nothing_;
  const tasks::Task* task_;  // null: each row names its own
};

}  // namespace

const OptionTable& reasoning_gym_options() {
  static const OptionTable table = [] {
    std::vector<std::string> tasks = {"row"};
    for (const tasks::Task& task : tasks::tasks()) tasks.emplace_back(task.name);
    return OptionTable{
        {.name = "task", .type = OptionType::word, .help = "which of its tasks the rows are; row: what each row's metadata.source_dataset says",
         .standard = "row", .words = std::move(tasks)},
        answer_column("the data column with the entry's answer"),
        {.name = "metadata", .type = OptionType::column, .help = "the data column with the entry's metadata; in rows without it their own columns count",
         .standard = "metadata"},
        {.name = "extract", .type = OptionType::word, .help = "tags: what stands between the last <answer> and </answer>; completion: all of it",
         .standard = "tags", .words = {"tags", "completion"}},
        {.name = "credit", .type = OptionType::word, .help = "partial: what reasoning-gym gives to an answer that is partly right; full: 0 for what is not wholly right",
         .standard = "partial", .words = {"partial", "full"}},
    };
  }();
  return table;
}

std::unique_ptr<Reward> make_reasoning_gym(const RewardSpec& spec) {
  return std::make_unique<ReasoningGym>(OptionReader(spec, reasoning_gym_options()));
}

}  // namespace cohort

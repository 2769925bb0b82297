// The built-in tasks: small problems with checkable answers, so that nothing needs to be
// downloaded.
#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/rng.h"
#include "core/text.h"
#include "trainer/dataset.h"
#include "trainer/task_items.h"
#include "trainer/task_words.h"

namespace cohort {
namespace {

struct Sum {
  int a, b;
};

// Sums a + b with both in [low, high]. a + b and b + a go to the same side; evaluation is chosen
// first, so that it does not depend on train_size.
Items sums(const TaskConfig& task, int low, int high, int64_t train_size, int64_t eval_size,
           std::string (*prompt)(const Sum&)) {
  const int64_t count = high - low + 1;
  eval_size = checked_eval_size(task, eval_size, count * count);
  Random random(task.seed, Stream::kTask);
  std::vector<Sum> pairs;
  for (int a = low; a <= high; ++a)
    for (int b = a; b <= high; ++b) pairs.push_back({a, b});
  shuffle(pairs, random);
  std::vector<Sum> train, eval;
  for (const Sum& pair : pairs) {
    std::vector<Sum>& side = static_cast<int64_t>(eval.size()) < eval_size ? eval : train;
    side.push_back(pair);
    if (pair.a != pair.b) side.push_back({pair.b, pair.a});
  }
  shuffle(eval, random);
  eval.resize(eval_size);  // may drop one: it stays out of training too, as its twin is here
  shuffle(train, random);
  train.resize(checked_train_size(task, train_size, static_cast<int64_t>(train.size()), eval_size));

  const auto item = [&](const Sum& sum) {
    return Item{.id = fmt::format("{}+{}", sum.a, sum.b),
                .prompt = prompt(sum),
                .answer = std::to_string(sum.a + sum.b)};
  };
  Items items;
  std::ranges::transform(train, std::back_inserter(items.train), item);
  std::ranges::transform(eval, std::back_inserter(items.eval), item);
  return items;
}

// Two-digit addition, the bare sum: for models that start from nothing.
Items addition(const TaskConfig& task) {
  return sums(task, 10, 99, 7500, 256,
              [](const Sum& sum) { return fmt::format("{}+{}=", sum.a, sum.b); });
}

// The same kind of sum as a request: for models that read instructions.
Items arithmetic(const TaskConfig& task) {
  return sums(task, 1, 99, 8192, 128, [](const Sum& sum) {
    return fmt::format(
        "State the final answer to the following arithmetic problem: {} + {} =", sum.a, sum.b);
  });
}

// Lower-case words of 3 to 6 letters, to be reversed. A word and its reverse never both occur.
Items reverse(const TaskConfig& task) {
  constexpr int64_t kAll =
      20000;  // few beside the words that exist, so that drawing new ones stays quick
  const int64_t eval_size = checked_eval_size(task, 256, kAll);
  const int64_t train_size = checked_train_size(task, 8192, kAll - eval_size, eval_size);
  Random random(task.seed, Stream::kTask);
  std::unordered_set<std::string> seen;
  const auto draw = [&] {
    while (true) {
      std::string word(static_cast<size_t>(random.between(3, 6)), ' ');
      for (char& letter : word) letter = static_cast<char>('a' + random.below(26));
      const std::string reversed(word.rbegin(), word.rend());
      if (seen.insert(std::min(word, reversed)).second) {
        return Item{.id = word, .prompt = fmt::format("reverse {}=", word), .answer = reversed};
      }
    }
  };
  Items items;
  while (static_cast<int64_t>(items.eval.size()) < eval_size) items.eval.push_back(draw());
  while (static_cast<int64_t>(items.train.size()) < train_size) items.train.push_back(draw());
  return items;
}

// Texts to be reversed into tags, as in prime-rl's example reverse_text. No text occurs twice, nor does one's reverse.
Items texts_to_reverse(const TaskConfig& task, std::string (*text_of)(Random&)) {
  constexpr int64_t kAll = 20000;  // few beside the texts that there are
  const int64_t eval_size = checked_eval_size(task, 128, kAll);
  const int64_t train_size = checked_train_size(task, 8192, kAll - eval_size, eval_size);
  Random random(task.seed, Stream::kTask);
  std::unordered_set<std::string> seen;
  const auto draw = [&] {
    while (true) {
      const std::string text = text_of(random), reversed(text.rbegin(), text.rend());
      if (!seen.insert(std::min(text, reversed)).second) continue;
      return Item{.id = text,
                  .prompt = "Reverse the text character-by-character. Put your answer in <reversed_text> tags.\n\n" + text,
                  .answer = reversed,
                  .solution = fmt::format("<reversed_text>{}</reversed_text>", reversed)};
    }
  };
  Items items;
  while (static_cast<int64_t>(items.eval.size()) < eval_size) items.eval.push_back(draw());
  while (static_cast<int64_t>(items.train.size()) < train_size) items.train.push_back(draw());
  return items;
}

// Two to four common words: a model must know how they are spelled.
Items reverse_text(const TaskConfig& task) {
  return texts_to_reverse(task, [](Random& random) {
    std::string text;
    for (int64_t words = random.between(2, 4); words > 0; --words)
      text += fmt::format("{}{}", text.empty() ? "" : " ", kTaskWords[random.below(static_cast<uint32_t>(kTaskWords.size()))]);
    return text;
  });
}

// Six to twelve characters, letters and digits in turn: each is a token in most vocabularies, so that there is nothing to be
// known about spelling and all to be learnt about order.
Items reverse_codes(const TaskConfig& task) {
  return texts_to_reverse(task, [](Random& random) {
    std::string text(static_cast<size_t>(random.between(6, 12)), ' ');
    bool letter = random.below(2) == 0;
    for (char& c : text) {
      c = static_cast<char>(letter ? 'a' + random.below(26) : '0' + random.below(10));
      letter = !letter;
    }
    return text;
  });
}

struct Task {
  const char* name;
  Items (*make)(const TaskConfig&);
};
constexpr std::array kTasks = {Task{"addition", addition}, Task{"reverse", reverse},
                               Task{"arithmetic", arithmetic}, Task{"reverse_text", reverse_text},
                               Task{"reverse_codes", reverse_codes}, Task{"countdown", countdown},
                               Task{"countdown_attempts", countdown_attempts}};

Dataset dataset_of(std::vector<Item> items, const TaskConfig& task, const char* side) {
  Dataset data{.name = fmt::format("task '{}' ({})", task.name, side)};
  for (Item& item : items) {
    Problem problem{.id = std::move(item.id),
                    .columns = std::move(item.columns),
                    .solution = item.solution.empty() ? item.answer : item.solution};
    problem.columns["answer"] = item.answer;
    if (task.chat) {
      problem.messages.push_back({{"role", "user"}, {"content", std::move(item.prompt)}});
    } else {
      problem.prompt = std::move(item.prompt);
    }
    data.problems.push_back(std::move(problem));
  }
  data.fingerprint = fingerprint_problems(data.problems);
  return data;
}

}  // namespace

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const Task& task : kTasks) names.push_back(task.name);
  return names;
}

TaskData make_task(const TaskConfig& task) {
  CHECK_USAGE(task.train_size >= 0 && task.eval_size >= 0,
              "data.task: train_size {} and eval_size {}; allowed are 0 (the task's own) and more",
              task.train_size, task.eval_size);
  for (const Task& known : kTasks) {
    if (task.name != known.name) continue;
    Items items = known.make(task);
    return {.train = dataset_of(std::move(items.train), task, "train"),
            .eval = dataset_of(std::move(items.eval), task, "eval")};
  }
  const std::vector<std::string> names = task_names();
  const std::string nearest = nearest_name(task.name, names);
  fail(ExitCode::kUsage, "unknown task '{}';{} allowed are {}", task.name,
       nearest.empty() ? "" : fmt::format(" did you mean '{}'?", nearest), fmt::join(names, ", "));
}

}  // namespace cohort

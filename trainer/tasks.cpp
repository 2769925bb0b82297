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
#include "trainer/task_words.h"

namespace cohort {
namespace {

// A problem of a task before it has become a prompt.
struct Item {
  std::string id, prompt, answer;
  std::string solution = "";  // "": the answer alone
  Json columns = Json::object();  // beside "answer"
};
struct Items {
  std::vector<Item> train, eval;
};

template <typename T>
void shuffle(std::vector<T>& items, Random& random) {
  for (size_t i = items.size(); i > 1; --i)
    std::swap(items[i - 1], items[random.below(static_cast<uint32_t>(i))]);
}

// Never empty sides: evaluation gets at most half of what there is, training the rest.
int64_t checked_eval_size(const TaskConfig& task, int64_t standard, int64_t all) {
  const int64_t size = task.eval_size == 0 ? standard : task.eval_size;
  CHECK_USAGE(size <= all / 2,
              "data.task.eval_size is {}; task '{}' has at most {} problems for evaluation", size,
              task.name, all / 2);
  return size;
}
int64_t checked_train_size(const TaskConfig& task, int64_t standard, int64_t left,
                           int64_t eval_size) {
  const int64_t size = task.train_size == 0 ? std::min(standard, left) : task.train_size;
  CHECK_USAGE(size <= left,
              "data.task.train_size is {}; task '{}' has at most {} problems for training beside "
              "{} for evaluation",
              size, task.name, left, eval_size);
  return size;
}

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

// x op y in whole numbers; none where it has a fraction.
std::optional<int> applied(int x, char op, int y) {
  switch (op) {
    case '+': return x + y;
    case '-': return x - y;
    case '*': return x * y;
    default: return y != 0 && x % y == 0 ? std::optional(x / y) : std::nullopt;
  }
}

// x op y op2 z, the pair that is meant first where `left` says so.
std::optional<int> applied(int x, char op, int y, char op2, int z, bool left) {
  const std::optional<int> pair = left ? applied(x, op, y) : applied(y, op2, z);
  if (!pair) return std::nullopt;
  return left ? applied(*pair, op2, z) : applied(x, op, *pair);
}

// All targets of 10 to 99 that three numbers reach, each with an expression that gives it: the first in a fixed order.
std::map<int, std::string> countdown_targets(std::array<int, 3> numbers) {
  const auto binds = [](char op) { return op == '*' || op == '/'; };
  std::map<int, std::string> targets;
  std::ranges::sort(numbers);
  do {
    const auto [x, y, z] = numbers;
    for (const char op : {'+', '-', '*', '/'}) {
      for (const char op2 : {'+', '-', '*', '/'}) {
        const auto offer = [&](bool left, const char* form) {
          const std::optional<int> value = applied(x, op, y, op2, z, left);
          if (value && *value >= 10 && *value <= 99 && !targets.contains(*value))
            targets[*value] = fmt::format(fmt::runtime(form), x, op, y, op2, z);
        };
        const bool left = binds(op) || !binds(op2);  // without parentheses
        offer(left, "{}{}{}{}{}");
        if (!left) offer(true, "({}{}{}){}{}");
        if (binds(op) && !binds(op2)) offer(false, "{}{}({}{}{})");
      }
    }
  } while (std::ranges::next_permutation(numbers).found);
  return targets;
}

// Three numbers of 1 to 20 and a target that they reach, each used once: many answers are right, the reward `reasoning_gym` knows.
Items countdown(const TaskConfig& task) {
  constexpr int kLargest = 20;
  Random random(task.seed, Stream::kTask);
  std::vector<Item> all;
  for (int a = 1; a <= kLargest; ++a)
    for (int b = a; b <= kLargest; ++b)
      for (int c = b; c <= kLargest; ++c)
        for (const auto& [target, expression] : countdown_targets({a, b, c})) {
          std::vector<int> shown = {a, b, c};
          shuffle(shown, random);
          all.push_back({.id = fmt::format("{} {} {} {}", a, b, c, target),
                         .prompt = fmt::format("{}={}:", fmt::join(shown, " "), target),
                         .answer = expression,
                         .columns = {{"numbers", shown}, {"target", target}}});
        }
  shuffle(all, random);
  const int64_t size = static_cast<int64_t>(all.size());
  const int64_t eval_size = checked_eval_size(task, 256, size);
  const int64_t train_size = checked_train_size(task, size - eval_size, size - eval_size, eval_size);
  const auto middle = all.begin() + eval_size;
  return {.train = {middle, middle + train_size}, .eval = {all.begin(), middle}};
}

struct Task {
  const char* name;
  Items (*make)(const TaskConfig&);
};
constexpr std::array kTasks = {Task{"addition", addition}, Task{"reverse", reverse},
                               Task{"arithmetic", arithmetic}, Task{"reverse_text", reverse_text},
                               Task{"reverse_codes", reverse_codes}, Task{"countdown", countdown}};

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

// Countdown: three numbers, each to be used once, and a target.
#include <array>
#include <cstdlib>
#include <map>
#include <optional>

#include "core/text.h"
#include "trainer/task_items.h"

namespace cohort {
namespace {

constexpr int kLargest = 20;  // number

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

// A way to use three numbers: a pair, then the third.
struct Attempt {
  std::string line;    // "7*3=21+5=26"
  std::string answer;  // "(7*3)+5"
  int value;
};

// All ways to go on from a pair that stay within whole numbers of -400 to 400, whatever they give, in a fixed order. What ends in a
// pair (z-x*y, z/(x-y)) is not among them: 3 of 100 problems need it.
std::vector<Attempt> all_attempts(std::array<int, 3> numbers) {
  constexpr int kMost = 400;
  std::vector<Attempt> attempts;
  std::ranges::sort(numbers);
  do {
    const auto [x, y, z] = numbers;
    for (const char op : {'+', '-', '*', '/'}) {
      if ((op == '+' || op == '*') && x > y) continue;  // the same pair the other way round
      const std::optional<int> pair = applied(x, op, y);
      if (!pair) continue;
      for (const char op2 : {'+', '-', '*', '/'}) {
        const std::optional<int> value = applied(*pair, op2, z);
        if (value && std::abs(*value) <= kMost)
          attempts.push_back({.line = fmt::format("{}{}{}={}{}{}={}", x, op, y, *pair, op2, z, *value),
                              .answer = fmt::format("({}{}{}){}{}", x, op, y, op2, z),
                              .value = *value});
      }
    }
  } while (std::ranges::next_permutation(numbers).found);
  return attempts;
}

// A few different attempts at random, each with whether it gives the target, and the last one as the answer all the same. Every
// third time a right one is among them, as there would be too few otherwise to learn from what a right one looks like.
std::string random_attempts(const std::array<int, 3>& numbers, int target, Random& random) {
  constexpr int64_t kMost = 10;
  std::vector<Attempt> attempts = all_attempts(numbers);
  shuffle(attempts, random);
  const int64_t count = std::min(random.between(1, kMost), static_cast<int64_t>(attempts.size()));
  const auto right = std::ranges::find(attempts, target, &Attempt::value);
  const int64_t place = random.between(0, count - 1);
  if (random.below(3) == 0 && right != attempts.end()) std::swap(attempts[place], *right);
  std::string text;
  for (int64_t i = 0; i < count; ++i)
    text += fmt::format("{} {}? {}\n", attempts[i].line, target, attempts[i].value == target ? "yes" : "no");
  return fmt::format("{}<answer>{}</answer>", text, attempts[count - 1].answer);
}

}  // namespace

// Three numbers of 1 to 20 and a target that they reach, each used once: many answers are right, the reward `reasoning_gym` knows.
Items countdown(const TaskConfig& task) {
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

// The same problems, to be worked at: what a model is shown are random attempts, so that it learns from them how an attempt and an
// answer are written, and neither which to try nor when to stop.
Items countdown_attempts(const TaskConfig& task) {
  Items items = countdown(task);
  Random random(task.seed, Stream::kTask, 1);
  for (std::vector<Item>* side : {&items.eval, &items.train})
    for (Item& item : *side) {
      const auto& shown = item.columns["numbers"];
      item.solution = random_attempts({shown[0], shown[1], shown[2]}, item.columns["target"], random);
    }
  return items;
}

}  // namespace cohort

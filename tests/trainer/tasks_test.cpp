// The built-in tasks: right answers, no problem on both sides, sizes and their limits.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "core/check.h"
#include "reward/reward.h"
#include "trainer/dataset.h"

namespace cohort {
namespace {

std::string refusal(const TaskConfig& task) {
  try {
    make_task(task);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

void expect_words(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " in " << message;
}

std::vector<Problem> both(const TaskData& data) {
  std::vector<Problem> all = data.train.problems;
  all.insert(all.end(), data.eval.problems.begin(), data.eval.problems.end());
  return all;
}

// What a problem and the same problem turned round have in common.
std::string family(const std::string& task, const Problem& problem) {
  if (task == "countdown" || task == "countdown_attempts") return problem.id;  // its numbers are sorted
  if (task.starts_with("reverse")) return std::min(problem.id, problem.columns["answer"].get<std::string>());
  const size_t plus = problem.id.find('+');
  const std::string a = problem.id.substr(0, plus), b = problem.id.substr(plus + 1);
  return std::min(a, b) + "+" + std::max(a, b);
}

std::set<std::string> families(const std::string& task, const Dataset& data) {
  std::set<std::string> result;
  for (const Problem& problem : data.problems) result.insert(family(task, problem));
  return result;
}

bool disjoint(const std::set<std::string>& a, const std::set<std::string>& b) {
  for (const std::string& x : a)
    if (b.contains(x)) return false;
  return true;
}

TEST(Tasks, Defaults) {
  EXPECT_EQ(task_names(), (std::vector<std::string>{"addition", "reverse", "arithmetic", "reverse_text", "reverse_codes", "countdown", "countdown_attempts"}));
  for (const std::string& name : task_names()) {
    const TaskData data = make_task({.name = name});
    EXPECT_GE(data.train.problems.size(), 4096u) << name;
    EXPECT_GE(data.eval.problems.size(), 128u) << name;
    EXPECT_NE(data.train.name, data.eval.name);
    EXPECT_NE(data.train.name.find(name), std::string::npos);
  }
}

TEST(Tasks, AdditionIsTwoDigitAddition) {
  for (const Problem& p : both(make_task({.name = "addition", .seed = 3}))) {
    ASSERT_EQ(p.prompt.size(), 6u) << p.prompt;
    const int a = std::stoi(p.prompt.substr(0, 2)), b = std::stoi(p.prompt.substr(3, 2));
    ASSERT_TRUE(a >= 10 && a <= 99 && b >= 10 && b <= 99) << p.prompt;
    ASSERT_EQ(p.prompt, fmt::format("{}+{}=", a, b));
    ASSERT_EQ(p.id, fmt::format("{}+{}", a, b));
    ASSERT_EQ(p.solution, std::to_string(a + b));
    ASSERT_EQ(p.columns, Json({{"answer", p.solution}}));
    ASSERT_TRUE(p.messages.empty());
  }
}

TEST(Tasks, ReverseReversesAWord) {
  for (const Problem& p : both(make_task({.name = "reverse", .seed = 3}))) {
    ASSERT_EQ(p.prompt, fmt::format("reverse {}=", p.id));
    ASSERT_TRUE(p.id.size() >= 3 && p.id.size() <= 6) << p.id;
    ASSERT_EQ(p.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), std::string::npos) << p.id;
    ASSERT_EQ(p.solution, std::string(p.id.rbegin(), p.id.rend()));
    ASSERT_EQ(p.columns, Json({{"answer", p.solution}}));
  }
}

TEST(Tasks, ReverseTextReversesWordsIntoTags) {
  for (const Problem& p : both(make_task({.name = "reverse_text", .seed = 3}))) {
    ASSERT_EQ(p.prompt, "Reverse the text character-by-character. Put your answer in <reversed_text> tags.\n\n" + p.id);
    const auto spaces = std::ranges::count(p.id, ' ');
    ASSERT_TRUE(spaces >= 1 && spaces <= 3) << p.id;
    ASSERT_EQ(p.id.find_first_not_of("abcdefghijklmnopqrstuvwxyz "), std::string::npos) << p.id;
    const std::string answer(p.id.rbegin(), p.id.rend());
    ASSERT_EQ(p.columns, Json({{"answer", answer}}));
    ASSERT_EQ(p.solution, "<reversed_text>" + answer + "</reversed_text>");
  }
}

TEST(Tasks, ReverseCodesReversesLettersAndDigitsInTurn) {
  std::set<size_t> lengths;
  std::set<bool> begins_with_letter;
  for (const Problem& p : both(make_task({.name = "reverse_codes", .seed = 3}))) {
    ASSERT_EQ(p.prompt, "Reverse the text character-by-character. Put your answer in <reversed_text> tags.\n\n" + p.id);
    for (size_t i = 0; i < p.id.size(); ++i) {
      const bool letter = p.id[i] >= 'a' && p.id[i] <= 'z', digit = p.id[i] >= '0' && p.id[i] <= '9';
      ASSERT_TRUE(letter != digit && (i == 0 || letter != (p.id[i - 1] >= 'a'))) << p.id;
    }
    lengths.insert(p.id.size());
    begins_with_letter.insert(p.id[0] >= 'a');
    const std::string answer(p.id.rbegin(), p.id.rend());
    ASSERT_EQ(p.columns, Json({{"answer", answer}}));
    ASSERT_EQ(p.solution, "<reversed_text>" + answer + "</reversed_text>");
  }
  EXPECT_EQ(lengths, (std::set<size_t>{6, 7, 8, 9, 10, 11, 12}));
  EXPECT_EQ(begins_with_letter.size(), 2u);
}

TEST(Tasks, CountdownAsksForATargetThatItsNumbersReach) {
  std::set<int> largest, targets;
  for (const Problem& p : both(make_task({.name = "countdown", .seed = 3}))) {
    std::vector<int> numbers = p.columns["numbers"];
    const int target = p.columns["target"];
    ASSERT_EQ(p.prompt, fmt::format("{}={}:", fmt::join(numbers, " "), target));
    std::ranges::sort(numbers);
    ASSERT_EQ(p.id, fmt::format("{} {}", fmt::join(numbers, " "), target));
    ASSERT_TRUE(numbers.size() == 3 && numbers.front() >= 1 && numbers.back() <= 20 && target >= 10 && target <= 99) << p.id;
    ASSERT_EQ(p.columns["answer"], p.solution);
    largest.insert(numbers.back());
    targets.insert(target);
  }
  EXPECT_EQ(*largest.rbegin(), 20);
  EXPECT_EQ(targets.size(), 90u);
}

TEST(Tasks, ArithmeticAsksInWords) {
  const TaskData data = make_task({.name = "arithmetic", .seed = 3, .chat = true});
  for (const Problem& p : both(data)) {
    const size_t plus = p.id.find('+');
    const int a = std::stoi(p.id.substr(0, plus)), b = std::stoi(p.id.substr(plus + 1));
    ASSERT_TRUE(a >= 1 && a <= 99 && b >= 1 && b <= 99) << p.id;
    ASSERT_EQ(p.prompt, "");
    ASSERT_EQ(p.messages.size(), 1u);
    ASSERT_EQ(p.messages[0]["role"], "user");
    ASSERT_EQ(
        p.messages[0]["content"],
        fmt::format("State the final answer to the following arithmetic problem: {} + {} =", a, b));
    ASSERT_EQ(p.solution, std::to_string(a + b));
  }
}

TEST(Tasks, ChatIsTheSameProblemAsOneUserMessage) {
  for (const std::string& name : task_names()) {
    const TaskData text = make_task({.name = name, .seed = 5, .train_size = 50, .eval_size = 20});
    const TaskData chat =
        make_task({.name = name, .seed = 5, .train_size = 50, .eval_size = 20, .chat = true});
    const std::vector<Problem> a = both(text), b = both(chat);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ASSERT_TRUE(a[i].messages.empty() && b[i].prompt.empty());
      ASSERT_EQ(b[i].messages.at(0).at("content"), a[i].prompt);
      ASSERT_EQ(a[i].solution, b[i].solution);
    }
    EXPECT_NE(text.train.fingerprint, chat.train.fingerprint);
  }
}

struct AttemptLine {
  int x, y, pair, z, value, target;
  char op, op2;
  bool yes;
};

// Takes one line like "7*3=21+5=26 31? no" off the front.
std::optional<AttemptLine> read_attempt(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  AttemptLine line;
  char verdict[4];
  const std::string first(text.substr(0, end));
  if (std::sscanf(first.c_str(), "%d%c%d=%d%c%d=%d %d? %3s", &line.x, &line.op, &line.y, &line.pair, &line.op2, &line.z, &line.value,
                  &line.target, verdict) != 9)
    return std::nullopt;
  line.yes = std::string(verdict) == "yes";
  text.remove_prefix(end + 1);
  return line;
}

int applied(int x, char op, int y) {
  switch (op) {
    case '+': return x + y;
    case '-': return x - y;
    case '*': return x * y;
    default: EXPECT_TRUE(y != 0 && x % y == 0) << x << "/" << y; return y == 0 ? 0 : x / y;
  }
}

// What is shown is the form: each attempt uses the numbers once, says what it gives, and "yes" where that is the target; the answer
// is the last attempt. A right one is put into every third, and most answers are wrong.
TEST(Tasks, CountdownAttemptsShowHowToWriteThem) {
  const RewardSet rewards(std::vector<RewardSpec>{{.name = "reasoning_gym", .options = {{"task", "countdown"}, {"credit", "full"}}}});
  const TaskData data = make_task({.name = "countdown_attempts", .seed = 3, .train_size = 2000});
  const TaskData same = make_task({.name = "countdown", .seed = 3, .train_size = 2000});
  int right = 0, shown = 0, problems = 0;
  std::map<int, int> lengths;
  for (size_t i = 0; i < data.train.problems.size(); ++i) {
    const Problem& p = data.train.problems[i];
    ASSERT_EQ(p.prompt, same.train.problems[i].prompt);
    ASSERT_EQ(p.columns, same.train.problems[i].columns);
    std::string_view rest = p.solution;
    std::string last;
    std::set<std::string> seen;
    bool any = false;
    while (const std::optional<AttemptLine> attempt = read_attempt(rest)) {
      std::vector<int> used = {attempt->x, attempt->y, attempt->z}, numbers = p.columns["numbers"];
      std::ranges::sort(used);
      std::ranges::sort(numbers);
      ASSERT_EQ(used, numbers) << p.solution;
      ASSERT_EQ(applied(attempt->x, attempt->op, attempt->y), attempt->pair) << p.solution;
      ASSERT_EQ(applied(attempt->pair, attempt->op2, attempt->z), attempt->value) << p.solution;
      ASSERT_EQ(attempt->target, p.columns["target"]) << p.solution;
      ASSERT_EQ(attempt->yes, attempt->value == attempt->target) << p.solution;
      any |= attempt->yes;
      last = fmt::format("({}{}{}){}{}", attempt->x, attempt->op, attempt->y, attempt->op2, attempt->z);
      ASSERT_TRUE(seen.insert(last).second) << p.solution;
    }
    ASSERT_EQ(rest, "<answer>" + last + "</answer>") << p.solution;
    ++lengths[static_cast<int>(seen.size())];
    shown += any;
    right += rewards.score({.completion = p.solution, .columns = &p.columns}).total == 1.0;
    ++problems;
  }
  for (int length = 1; length <= 10; ++length) EXPECT_NEAR(lengths[length], problems / 10, problems / 30) << length;
  EXPECT_NEAR(shown, 0.45 * problems, 0.1 * problems);
  EXPECT_NEAR(right, 0.14 * problems, 0.05 * problems);
}

TEST(Tasks, TheSolutionEarnsTheReward) {
  for (const std::string& name : task_names()) {
    if (name == "countdown_attempts") continue;  // its solutions only show the form
    const RewardSpec tagged{.name = "similarity", .options = {{"tag", "reversed_text"}}};
    const RewardSpec game{.name = "reasoning_gym", .options = {{"task", "countdown"}, {"extract", "completion"}}};
    const RewardSpec plain{.name = name == "reverse" ? "exact" : "last_number"};
    const bool tags = name == "reverse_text" || name == "reverse_codes";
    const RewardSet rewards(std::vector<RewardSpec>{tags ? tagged : name == "countdown" ? game : plain});
    for (const Problem& p : both(make_task({.name = name, .train_size = 500}))) {
      ASSERT_EQ(rewards.score({.completion = p.solution, .columns = &p.columns}).total, 1.0)
          << p.id;
      const double least = name == "countdown" ? 0.05 : 0.0;  // for an expression with another value
      const std::string wrong = tags ? p.columns["answer"].get<std::string>() : p.solution + (name == "countdown" ? "*1" : "1");
      ASSERT_EQ(rewards.score({.completion = wrong, .columns = &p.columns}).total, least)
          << p.id;
    }
  }
}

TEST(Tasks, TrainAndEvalNeverShareAProblemNorItsTwin) {
  for (const std::string& name : task_names()) {
    for (const uint64_t seed : {0, 1}) {
      for (const int64_t eval_size : {1, 2, 101, 4050}) {
        const TaskData data = make_task({.name = name, .seed = seed, .eval_size = eval_size});
        ASSERT_EQ(static_cast<int64_t>(data.eval.problems.size()), eval_size);
        EXPECT_TRUE(disjoint(families(name, data.train), families(name, data.eval)))
            << name << " " << seed;
        std::set<std::string> ids;
        for (const Problem& p : both(data)) EXPECT_TRUE(ids.insert(p.id).second) << p.id;
      }
    }
  }
}

TEST(Tasks, APureFunctionOfTheConfig) {
  for (const std::string& name : task_names()) {
    const auto made = [&](uint64_t seed) {
      return make_task({.name = name, .seed = seed, .train_size = 100, .eval_size = 40});
    };
    EXPECT_EQ(made(1).train.fingerprint, made(1).train.fingerprint);
    EXPECT_EQ(made(1).eval.fingerprint, made(1).eval.fingerprint);
    EXPECT_NE(made(1).train.fingerprint, made(2).train.fingerprint);
    EXPECT_NE(made(1).eval.fingerprint, made(2).eval.fingerprint);
    EXPECT_NE(made(1).train.fingerprint, made(1).eval.fingerprint);
  }
}

TEST(Tasks, MoreTrainingProblemsChangeNeitherTheFirstOnesNorTheEvaluation) {
  for (const std::string& name : task_names()) {
    const TaskData small = make_task({.name = name, .train_size = 10}),
                   large = make_task({.name = name, .train_size = 1000});
    EXPECT_EQ(small.eval.fingerprint, large.eval.fingerprint);
    for (size_t i = 0; i < 10; ++i)
      EXPECT_EQ(small.train.problems[i].id, large.train.problems[i].id);
  }
}

// Each number after `words` in the message.
int64_t number_after(const std::string& message, const std::string& words) {
  const size_t at = message.find(words);
  int64_t number = -1;
  if (at != std::string::npos)
    std::from_chars(message.data() + at + words.size(), message.data() + message.size(), number);
  return number;
}

TEST(Tasks, SizesBeyondTheTaskNameTheMaximumAndTheMaximumWorks) {
  for (const std::string& name : task_names()) {
    const std::map<std::string, int64_t> sizes = {{"addition", 90 * 90}, {"arithmetic", 99 * 99}, {"countdown", 12166}, {"countdown_attempts", 12166}};
    const int64_t all = sizes.contains(name) ? sizes.at(name) : 20000;
    const std::string eval_message = refusal({.name = name, .eval_size = all});
    expect_words(eval_message, {"data.task.eval_size is " + std::to_string(all), name});
    EXPECT_EQ(number_after(eval_message, "has at most "), all / 2) << eval_message;
    const TaskData half = make_task({.name = name, .eval_size = all / 2});
    EXPECT_EQ(static_cast<int64_t>(half.eval.problems.size()), all / 2);
    EXPECT_GE(half.train.problems.size(), 4000u);
    refusal({.name = name, .eval_size = all / 2 + 1});

    const std::string train_message = refusal({.name = name, .train_size = all, .eval_size = 100});
    expect_words(train_message,
                 {"data.task.train_size is " + std::to_string(all), name, "beside 100"});
    const int64_t most = number_after(train_message, "has at most ");
    EXPECT_TRUE(most == all - 100 || most == all - 101)
        << train_message;  // a twin of the last one may be left out
    const TaskData full = make_task({.name = name, .train_size = most, .eval_size = 100});
    EXPECT_EQ(static_cast<int64_t>(full.train.problems.size()), most);
    EXPECT_TRUE(disjoint(families(name, full.train), families(name, full.eval)));
    refusal({.name = name, .train_size = most + 1, .eval_size = 100});
    refusal({.name = name, .train_size = INT64_MAX});
    refusal({.name = name, .eval_size = INT64_MAX});
    expect_words(refusal({.name = name, .train_size = -1}), {"-1"});
    expect_words(refusal({.name = name, .eval_size = -5}), {"-5"});
  }
}

TEST(Tasks, UnknownNamesAreAnsweredWithTheNearest) {
  expect_words(refusal({.name = "adition"}), {"unknown task 'adition'; did you mean 'addition'?",
                                              "addition, reverse, arithmetic, reverse_text, reverse_codes, countdown, countdown_attempts"});
  const std::string far = refusal({.name = "chess"});
  expect_words(far, {"unknown task 'chess'; allowed are addition, reverse, arithmetic, reverse_text, reverse_codes, countdown, countdown_attempts"});
}

// Both sides draw from the whole task: no operand or letter is missing from training.
TEST(Tasks, TrainingCoversTheTask) {
  std::set<std::string> first, second;
  for (const Problem& p : make_task({.name = "addition"}).train.problems) {
    first.insert(p.prompt.substr(0, 2));
    second.insert(p.prompt.substr(3, 2));
  }
  EXPECT_EQ(first.size(), 90u);
  EXPECT_EQ(second.size(), 90u);
  std::set<std::pair<size_t, char>> letters;
  for (const Problem& p : make_task({.name = "reverse"}).train.problems)
    for (size_t i = 0; i < p.id.size(); ++i) letters.insert({i, p.id[i]});
  EXPECT_EQ(letters.size(), 6u * 26u);
}

}  // namespace
}  // namespace cohort

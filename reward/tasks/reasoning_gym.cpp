#include "reward/tasks/reasoning_gym.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/check.h"
#include "reward/tasks/expression.h"
#include "reward/tasks/number_list.h"
#include "reward/tasks/python_text.h"

namespace cohort::tasks {
namespace {

constexpr std::array kTasks = {
    Task{"countdown", score_countdown},           Task{"chain_sum", score_chain_sum},
    Task{"number_sorting", score_number_sorting}, Task{"word_sorting", score_word_sorting},
    Task{"spell_backward", score_spell_backward}, Task{"basic_arithmetic", score_by_text},
    Task{"letter_counting", score_by_text},
};

Verdict no_row(std::string why) { return {std::nullopt, std::move(why), Missing::row}; }

// The share of the answer that the oracle makes up, where it stands in it.
Verdict contained(std::string_view answer, std::string_view oracle) {
  if (answer.find(oracle) == std::string_view::npos) return {0.0, "the answer is another one"};
  return {static_cast<double>(length(oracle)) / static_cast<double>(length(answer)), "the answer stands among other text"};
}

std::string without_commas(std::string_view text) {
  std::string out(text);
  std::erase(out, ',');
  return out;
}

std::optional<std::vector<std::string>> text_list(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_array()) return std::nullopt;
  if (!std::ranges::all_of(*it, [](const Json& item) { return item.is_string(); })) return std::nullopt;
  return it->get<std::vector<std::string>>();
}

// As the task asks for it: whole numbers, + - * / and parentheses. (3 == 7 and 3 // 7 are 0, which rids an expression of its numbers.)
bool is_plain_arithmetic(std::string_view text) {
  return text.find_first_not_of("0123456789+-*/() \n\t") == std::string_view::npos && text.find("**") == std::string_view::npos &&
         text.find("//") == std::string_view::npos;
}

}  // namespace

std::span<const Task> tasks() { return kTasks; }

std::optional<std::string_view> extract_answer(std::string_view completion) {
  constexpr std::string_view kOpen = "<answer>", kClose = "</answer>";
  std::optional<std::string_view> answer;
  for (size_t at = 0;;) {
    const size_t open = completion.find(kOpen, at);
    if (open == std::string_view::npos) return answer;
    const size_t from = open + kOpen.size(), close = completion.find(kClose, from);
    if (close == std::string_view::npos) return answer;
    answer = strip(completion.substr(from, close - from));
    at = close + kClose.size();
  }
}

Verdict score_countdown(const Answer& answer, const Entry& entry) {
  const auto numbers = entry.metadata.find("numbers"), target = entry.metadata.find("target");
  const bool complete = numbers != entry.metadata.end() && numbers->is_array() &&
                        std::ranges::all_of(*numbers, [](const Json& n) { return n.is_number_integer(); }) &&
                        target != entry.metadata.end() && target->is_number();
  if (!complete) return no_row("the row has no whole numbers 'numbers' and no number 'target'");
  if (!answer || strip(*answer).empty()) return {0.01, "there is no answer"};
  const std::optional<double> value = evaluate_expression(*answer);
  if (!value) return {0.01, "the answer is no arithmetic expression with a value"};
  std::vector<std::string> used, given;
  for (const std::string_view number : literal_integers(*answer)) used.emplace_back(number);
  for (const Json& number : *numbers) given.push_back(number.dump());
  std::ranges::sort(used);
  std::ranges::sort(given);
  if (used != given) return {0.05, "it does not use each number exactly once"};
  if (entry.strict && !is_plain_arithmetic(*answer)) return {0.05, "it has more than numbers, + - * / and parentheses"};
  const double wanted = target->get<double>();
  // numpy.isclose(value, target, atol=1e-6), whose relative tolerance is 1e-5; strictly, what rounding leaves of equal values.
  const double tolerance = entry.strict ? 1e-12 + 1e-12 * std::abs(wanted) : 1e-6 + 1e-5 * std::abs(wanted);
  const bool close = std::isfinite(*value) && std::abs(*value - wanted) <= tolerance;
  return close ? Verdict{1.0, "it uses each number once and gives the target"}
               : Verdict{0.05, fmt::format("it gives {}, not {}", *value, wanted)};
}

Verdict score_chain_sum(const Answer& answer, const Entry& entry) {
  if (entry.answer.empty()) return no_row("the row has no answer");
  if (!answer || answer->empty()) return {0.0, "there is no answer"};
  const std::string found = without_commas(*answer), oracle = without_commas(entry.answer);
  if (same_decimal(found, oracle)) return {1.0, "the same number"};
  return contained(found, oracle);
}

Verdict score_by_text(const Answer& answer, const Entry& entry) {
  if (entry.answer.empty()) return no_row("the row has no answer");
  if (!answer || answer->empty()) return {0.0, "there is no answer"};
  if (*answer == entry.answer) return {1.0, "the same text"};
  return contained(*answer, entry.answer);
}

Verdict score_number_sorting(const Answer& answer, const Entry& entry) {
  const std::optional<std::vector<double>> expected = parse_number_list(entry.answer);
  const auto direction = entry.metadata.find("direction");
  if (!expected || direction == entry.metadata.end() || !direction->is_string())
    return no_row("the row has no list of numbers as its answer, or no 'direction'");
  if (!answer) return {0.0, "there is no answer"};
  const std::optional<std::vector<double>> found = parse_number_list(*answer);
  if (!found) return {0.0, "the answer is no list of numbers"};
  if (found->size() != expected->size())
    return {0.0, fmt::format("{} numbers instead of {}", found->size(), expected->size())};
  // Python would call a list of NaN sorted, and near to everything.
  if (std::ranges::any_of(*found, [](double x) { return std::isnan(x); })) return {0.0, "NaN is no answer"};
  const bool ascending = *direction == "ascending";
  if (ascending ? !std::ranges::is_sorted(*found) : !std::ranges::is_sorted(*found, std::greater{}))
    return {0.0, "the numbers are not in order"};
  for (size_t i = 0; i < found->size(); ++i)
    if (std::abs((*found)[i] - (*expected)[i]) > (entry.strict ? 0 : 1))
      return {0.0, fmt::format("number {} is {}, {} {}", i + 1, (*found)[i], entry.strict ? "not" : "more than 1 away from", (*expected)[i])};
  return {1.0, entry.strict ? "the numbers in order" : "in order, and each within 1 of its number"};
}

Verdict score_word_sorting(const Answer& answer, const Entry& entry) {
  std::optional<std::vector<std::string>> expected = text_list(entry.metadata, "sorted_words");
  if (!expected || expected->empty()) return no_row("the row has no list of words 'sorted_words'");
  if (!answer || answer->empty()) return {0.0, "there is no answer"};
  std::vector<std::string> found;
  for (std::string_view rest = *answer;;) {
    const size_t comma = rest.find(',');
    found.emplace_back(strip(rest.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (found == *expected) return {1.0, "all words in order"};
  if (entry.strict) return {0.0, fmt::format("{} words, which are not the {} in order", found.size(), expected->size())};
  size_t right = 0;
  for (size_t i = 0; i < std::min(found.size(), expected->size()); ++i) right += found[i] == (*expected)[i];
  const double share = static_cast<double>(right) / static_cast<double>(expected->size());
  const std::string reason = fmt::format("{} of {} words in their places", right, expected->size());
  std::ranges::sort(found);
  std::ranges::sort(*expected);
  return {found == *expected ? std::max(share, 0.2) : share, reason};
}

Verdict score_spell_backward(const Answer& answer, const Entry& entry) {
  if (entry.answer.empty()) return no_row("the row has no answer");
  if (!answer) return {0.0, "there is no answer"};
  const std::u32string expected = lower(entry.answer), found = lower(*answer);
  if (found == expected) return {1.0, "the same word"};
  double reward = 0;
  size_t right = 0;
  // Added up as reasoning-gym does: what a word with more behind it gets depends on how the sum rounds.
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i)
    if (found[i] == expected[i]) reward += 1.0 / static_cast<double>(expected.size()), ++right;
  if (reward == 1.0) reward -= 0.2;
  return {reward, fmt::format("{} of {} letters in their places", right, expected.size())};
}

}  // namespace cohort::tasks

#include "reward/judge_text.h"

#include <charconv>

#include "core/check.h"
#include "reward/options.h"

namespace cohort {
namespace {

std::string content_text(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) return "";
  if (content->is_string()) return content->get<std::string>();
  std::string text;  // of parts
  for (const Json& part : *content) text += part.value("text", "");
  return text;
}

std::string prompt_text(const RewardInput& input) {
  if (input.messages == nullptr) return std::string(input.prompt);
  std::string text;
  for (const Json& message : *input.messages)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n\n", message.value("role", ""), content_text(message));
  return text;
}

}  // namespace

JudgeTemplate JudgeTemplate::parse(std::string_view text, std::string_view where) {
  JudgeTemplate result;
  std::string before;
  bool judges = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      before.push_back(c);
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      before.push_back(c);
      ++at;
      continue;
    }
    const size_t end = c == '{' ? text.find('}', at) : text.npos;
    const std::string place(end == text.npos ? "" : text.substr(at + 1, end - at - 1));
    CHECK_USAGE(!place.empty() && place.find('{') == place.npos,
                "{}: a '{}' at byte {} that is neither doubled nor part of {{prompt}}, {{completion}} or {{COLUMN}}", where, c, at + 1);
    judges = judges || place == "completion";
    result.parts_.push_back({std::move(before), place});
    before.clear();
    at = end;
  }
  CHECK_USAGE(judges, "{}: the text has no {{completion}}, so that nothing would be judged", where);
  result.parts_.push_back({std::move(before), ""});
  return result;
}

std::optional<std::string> JudgeTemplate::fill(const RewardInput& input, std::string& missing) const {
  std::string text;
  for (const Part& part : parts_) {
    text += part.text;
    if (part.place == "prompt") {
      text += prompt_text(input);
    } else if (part.place == "completion") {
      text += input.completion;
    } else if (!part.place.empty()) {
      const std::optional<std::string> value = input.columns != nullptr ? column_text(input, part.place) : std::nullopt;
      if (!value) {
        missing = part.place;
        return std::nullopt;
      }
      text += *value;
    }
  }
  return text;
}

std::optional<double> read_verdict(std::string_view text, std::string_view tag, double min, double max) {
  const std::string open = fmt::format("<{}>", tag), close = fmt::format("</{}>", tag);
  const size_t last = text.rfind(open);
  if (last == text.npos) return std::nullopt;
  const size_t begin = last + open.size(), end = text.find(close, begin);
  if (end == text.npos) return std::nullopt;
  const std::string_view number = trim(text.substr(begin, end - begin));
  double value = 0;
  const auto [rest, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || rest != number.data() + number.size()) return std::nullopt;
  if (!(value >= min && value <= max)) return std::nullopt;  // NaN among them
  return (value - min) / (max - min);
}

}  // namespace cohort

#include "reward/tasks/number_list.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "core/text.h"
#include "reward/tasks/python_text.h"

namespace cohort::tasks {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class ListReader {
 public:
  explicit ListReader(std::string text) : text_(std::move(text)) {}

  std::optional<std::vector<double>> read() {
    std::vector<double> values;
    if (!take("[")) return std::nullopt;
    if (!take("]")) {
      do {
        const std::optional<double> value = element();
        if (!value) return std::nullopt;
        values.push_back(*value);
      } while (take(","));
      if (!take("]")) return std::nullopt;
    }
    skip_space();
    return at_ == text_.size() ? std::optional(std::move(values)) : std::nullopt;
  }

 private:
  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
  bool take(std::string_view what) {
    skip_space();
    if (!std::string_view(text_).substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }

  std::optional<double> element() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (take("\"")) return text();
    if (take("NaN")) return std::numeric_limits<double>::quiet_NaN();
    if (take("Infinity")) return kInfinity;
    if (take("-Infinity")) return -kInfinity;
    if (take("true")) return 1.0;  // a bool is an int
    if (take("false")) return 0.0;
    return number();
  }

  std::optional<double> number() {
    skip_space();
    const size_t begin = at_;
    const auto digits = [&] {
      const size_t from = at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      return at_ - from;
    };
    const auto next_is = [&](std::string_view any) { return at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos; };
    if (next_is("-")) ++at_;
    const bool zero = next_is("0");
    const size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) return std::nullopt;
    bool integer = true;
    if (next_is(".")) {
      ++at_;
      integer = false;
      if (digits() == 0) return std::nullopt;
    }
    if (next_is("eE")) {
      ++at_;
      integer = false;
      if (next_is("+-")) ++at_;
      if (digits() == 0) return std::nullopt;
    }
    const std::optional<double> value = parse_float(std::string_view(text_).substr(begin, at_ - begin));
    if (integer && value && std::isinf(*value)) return std::nullopt;  // int too large to convert to float
    return value;
  }

  // Behind the opening quote.
  std::optional<double> text() {
    std::string content;
    while (at_ < text_.size() && text_[at_] != '"') {
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
      if (c != '\\') {
        content += c;
        continue;
      }
      if (!escape(content)) return std::nullopt;
    }
    if (at_ == text_.size()) return std::nullopt;
    ++at_;
    return parse_float(content);
  }

  bool escape(std::string& content) {
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (const size_t which = kNames.find(c); which != std::string_view::npos) return content += kMeanings[which], true;
    if (c != 'u' || at_ + 4 > text_.size()) return false;
    char32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const char h = text_[at_++];
      const int digit = is_digit(h) ? h - '0' : h >= 'a' && h <= 'f' ? h - 'a' + 10 : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;
      if (digit < 0) return false;
      code = code * 16 + static_cast<char32_t>(digit);
    }
    if (code >= 0xD800 && code < 0xE000) return false;  // half a character is no digit; a pair is refused with it
    append_utf8(content, code);
    return true;
  }

  std::string text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<double>> parse_number_list(std::string_view text) {
  std::string quoted(text);
  std::ranges::replace(quoted, '\'', '"');
  return ListReader(std::move(quoted)).read();
}

}  // namespace cohort::tasks

// The scanner of templates. The rules of white space are those of Jinja 3.1 (its documentation,
// "Whitespace Control").
#include "model/text/jinja_lexer.h"

#include <algorithm>
#include <charconv>

#include "core/check.h"
#include "core/text.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Line ends become \n, and the last one is dropped.
std::string normalize_lines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text.push_back(source[i]);
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

class Lexer {
 public:
  Lexer(std::string source, std::string_view where)
      : source_(std::move(source)), where_(where), rest_(source_) {}

  std::vector<Token> run() {
    while (at_ < rest_.size()) text_and_tag();
    push(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  void push(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, line_, std::move(text)});
  }
  template <typename... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ExitCode::kInput, "{}:{}: {}", where_, line_,
         fmt::format(format, std::forward<Args>(args)...));
  }
  bool looking_at(std::string_view what) const { return rest_.substr(at_).starts_with(what); }
  void advance(size_t bytes) {
    line_ += static_cast<int>(std::count(rest_.begin() + at_, rest_.begin() + at_ + bytes, '\n'));
    at_ += bytes;
    line_starting_ = at_ > 0 && rest_[at_ - 1] == '\n';
  }

  // Text up to the next tag, then that tag.
  void text_and_tag() {
    size_t begin = at_;
    for (;; ++begin) {
      begin = rest_.find('{', begin);
      if (begin == rest_.npos || begin + 1 == rest_.size()) {
        begin = rest_.npos;
        break;
      }
      const char second = rest_[begin + 1];
      if (second == '{' || second == '%' || second == '#') break;
    }
    if (begin == rest_.npos) {
      push(Token::Kind::kText, std::string(rest_.substr(at_)));
      return advance(rest_.size() - at_);
    }
    const char kind = rest_[begin + 1];
    const char sign = begin + 2 < rest_.size() ? rest_[begin + 2] : '\0';
    std::string_view text = rest_.substr(at_, begin - at_);
    if (sign == '-') {
      text = rstrip(text);
    } else if (sign != '+' && kind != '{') {
      // lstrip_blocks: blanks between the start of the line and the tag go.
      const size_t line_start = text.rfind('\n') + 1;  // npos + 1 == 0
      const bool starts_line = line_start > 0 || line_starting_;
      if (starts_line && text.find_first_not_of(" \t", line_start) == text.npos)
        text = text.substr(0, line_start);
    }
    if (!text.empty()) push(Token::Kind::kText, std::string(text));
    advance(begin - at_);
    const int first_line = line_;
    advance(sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') {
      comment();
    } else {
      push(kind == '%' ? Token::Kind::kBlockBegin : Token::Kind::kOutputBegin, "");
      expression(kind == '%', first_line);
    }
  }

  void comment() {
    const size_t end = rest_.find("#}", at_);
    if (end == rest_.npos) error("comment without an end '#}}'");
    const char sign = end > at_ ? rest_[end - 1] : '\0';
    advance(end + 2 - at_);
    after_tag(sign, true);
  }

  // What a tag's end takes of the text that follows. sign: the character before "%}", "}}" or "#}".
  void after_tag(char sign, bool is_block) {
    if (sign == '-') {
      const std::string_view text = rest_.substr(at_);
      advance(text.size() - lstrip(text).size());
    } else if (is_block && sign != '+' && looking_at("\n")) {
      advance(1);  // trim_blocks
    }
  }

  bool tag_end(bool is_block) {
    const std::string_view end = is_block ? "%}" : "}}";
    char sign = '\0';
    if (looking_at("-") || (is_block && looking_at("+"))) {
      if (rest_.substr(at_ + 1).starts_with(end)) sign = rest_[at_];
    }
    if (!sign && !looking_at(end)) return false;
    push(is_block ? Token::Kind::kBlockEnd : Token::Kind::kOutputEnd, "");
    advance(sign ? 3 : 2);
    after_tag(sign, is_block);
    return true;
  }

  void expression(bool is_block, int first_line) {
    std::string open;  // brackets not yet closed; inside them "}}" is two brackets
    for (;;) {
      while (at_ < rest_.size() && is_space(rest_[at_])) advance(1);
      if (at_ == rest_.size())
        error("tag opened on line {} without an end '{}'", first_line, is_block ? "%}" : "}}");
      if (open.empty() && tag_end(is_block)) return;
      const char c = rest_[at_];
      if (starts_name(c)) {
        name();
      } else if (is_digit(c)) {
        number();
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        operator_token(open);
      }
    }
  }

  void name() {
    size_t end = at_;
    while (end < rest_.size() && (starts_name(rest_[end]) || is_digit(rest_[end]))) ++end;
    push(Token::Kind::kName, std::string(rest_.substr(at_, end - at_)));
    advance(end - at_);
  }

  // Digits, then for a float a point with digits, an exponent, or both.
  void number() {
    const auto digits_from = [&](size_t at) {
      while (at < rest_.size() && is_digit(rest_[at])) ++at;
      return at;
    };
    size_t end = digits_from(at_);
    const size_t whole = end;
    if (end + 1 < rest_.size() && rest_[end] == '.' && is_digit(rest_[end + 1]))
      end = digits_from(end + 1);
    if (end < rest_.size() && (rest_[end] == 'e' || rest_[end] == 'E')) {
      const size_t sign = end + 1 < rest_.size() && (rest_[end + 1] == '+' || rest_[end + 1] == '-');
      if (const size_t exponent = digits_from(end + 1 + sign); exponent > end + 1 + sign)
        end = exponent;
    }
    const bool odd = end < rest_.size() && starts_name(rest_[end]);  // 0x1f, 1_000
    const std::string_view digits = rest_.substr(at_, end + odd - at_);
    Token token{end > whole ? Token::Kind::kReal : Token::Kind::kInteger, line_, std::string(digits)};
    const char *first = digits.data(), *last = first + digits.size();
    const auto [stop, code] = token.kind == Token::Kind::kReal
                                  ? std::from_chars(first, last, token.real)
                                  : std::from_chars(first, last, token.integer);
    if (code != std::errc() || stop != last)
      error("the number '{}' is not supported; supported are decimal numbers below 2^63", digits);
    tokens_.push_back(std::move(token));
    advance(end - at_);
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) error("a string without an end");
    push(Token::Kind::kString, unescape(rest_.substr(at_ + 1, end - at_ - 1)));
    advance(end + 1 - at_);
  }

  // Python's escapes; an unknown one stays as it is written.
  std::string unescape(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out.push_back(text[i]);
        continue;
      }
      constexpr std::string_view kLetters = "ntrbfav\\'\"", kMeaning = "\n\t\r\b\f\a\v\\'\"";
      const char c = text[++i];
      const size_t known = kLetters.find(c);
      if (known != kLetters.npos) {
        out.push_back(kMeaning[known]);
      } else if (c == '\n') {
        continue;
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        uint32_t code = 0;
        const std::string_view hex = text.substr(i + 1, digits);
        const auto [stop, failure] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
        if (hex.size() != digits || stop != hex.data() + digits || code > 0x10FFFF ||
            (code >= 0xD800 && code < 0xE000))
          error("'\\{}{}' is not a character", c, hex);
        append_utf8(out, code);
        i += digits;
      } else if (c == 'N' || is_digit(c)) {
        error("the escape '\\{}' is not supported", c);
      } else {
        out.push_back('\\');
        out.push_back(c);
      }
    }
    return out;
  }

  void operator_token(std::string& open) {
    for (std::string_view two : {"==", "!=", "<=", ">=", "//", "**"})
      if (looking_at(two)) {
        push(Token::Kind::kOperator, std::string(two));
        return advance(2);
      }
    const char c = rest_[at_];
    constexpr std::string_view kSingle = "+-*/%~|.,:()[]{}=<>";
    if (kSingle.find(c) == kSingle.npos) {
      size_t end = at_;
      next_code_point(rest_, end);
      error("unexpected character '{}'", rest_.substr(at_, end - at_));
    }
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) error("'{}' closes nothing", c);
      if (open.back() != c) error("'{}' where '{}' is expected", c, open.back());
      open.pop_back();
    }
    push(Token::Kind::kOperator, std::string(1, c));
    advance(1);
  }

  std::string source_;
  std::string_view where_, rest_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, std::string_view where) {
  return Lexer(normalize_lines(source), where).run();
}

}  // namespace cohort::jinja

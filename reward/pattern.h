// Regular expressions (PCRE2) whose matching ends: by steps that are counted, so that a result is the same on every machine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace cohort {

class Pattern {
 public:
  struct Form {
    bool whole = false;        // the match is all of the text; else it is anywhere in it
    bool caseless = false;
    bool strict_end = false;   // $ is the end of the text, not also what is before a line break there
  };
  // Perl's syntax over Unicode. Throws (exit code 2) for what does not compile, and for what cannot be bounded; `who` leads the message.
  Pattern(const std::string& text, const Form& form, const std::string& who);
  Pattern(Pattern&&) noexcept;
  ~Pattern();

  enum class Match { yes, no, unknown };
  // Of valid UTF-8. Unknown: it would take more than `steps`, from which those that it took are taken away.
  Match match(std::string_view text, int64_t& steps) const;

  // The first match that begins at `from` or later and is not empty: bytes [begin, end) of the text. ^ and lookbehinds see what is
  // before `from`.
  struct Found {
    Match match = Match::no;
    size_t begin = 0, end = 0;
  };
  Found find(std::string_view text, size_t from, int64_t& steps) const;

 private:
  Found run(std::string_view text, size_t from, uint32_t options, int64_t& steps) const;
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

// Of one completion: less than 50 ms.
constexpr int64_t kMaxPatternSteps = 1'000'000;

}  // namespace cohort

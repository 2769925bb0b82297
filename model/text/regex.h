// Regular expressions by PCRE2's just-in-time compiler, with limits; every failure is an error,
// never "no match".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace cohort {

class Regex {
 public:
  // `pattern`: as tokenizer.json spells it (Oniguruma). What is refused: pattern_syntax.h, and what
  // PCRE2 does not compile; exit code 3, `where` leads the message.
  Regex(std::string_view pattern, std::string_view where);

  // What a search needs besides the expression; one per thread of calls.
  class Matcher {
   public:
    explicit Matcher(const Regex& regex);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    // The leftmost match in `text` (valid UTF-8) that starts at `from` or later, as offsets. A
    // search that takes too many steps is refused (exit code 3).
    std::optional<std::pair<size_t, size_t>> find(std::string_view text, size_t from);

   private:
    struct State;
    const Regex& regex_;
    std::unique_ptr<State> state_;
  };

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
  std::string pattern_, where_;
};

}  // namespace cohort

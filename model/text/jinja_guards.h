// Texts in which guards stand (kGuard), compared, searched and cut as if the guards were not there.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::jinja {

// A text without its guards: a view of the text given when it has none, which must then outlive this.
class Unguarded {
 public:
  explicit Unguarded(std::string_view text);
  Unguarded(const Unguarded&) = delete;
  Unguarded& operator=(const Unguarded&) = delete;
  std::string_view text() const { return text_; }

 private:
  std::string copy_;
  std::string_view text_;
};

// Negative, 0, positive: as std::string_view::compare. O(what they have in common).
int compare_texts(std::string_view a, std::string_view b);
inline bool same_text(std::string_view a, std::string_view b) {
  return a == b || compare_texts(a, b) == 0;
}

// Where `part`, with which `text` starts (ends), ends (starts) in it; nothing when it does not.
std::optional<size_t> prefix_end(std::string_view text, std::string_view part);
std::optional<size_t> suffix_start(std::string_view text, std::string_view part);

// split, rsplit and replace_all of jinja_strings.h. Guards inside what is cut out go with it.
std::vector<std::string> split_guarded(std::string_view text, std::string_view separator,
                                       size_t most);
std::vector<std::string> rsplit_guarded(std::string_view text, std::string_view separator,
                                        size_t most);
std::string replace_guarded(std::string_view text, std::string_view from, std::string_view to,
                            size_t most);

}  // namespace cohort::jinja

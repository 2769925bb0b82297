#include "model/text/jinja_guards.h"

#include <utility>

#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

bool has_guard(std::string_view text) { return text.find(kGuard) != text.npos; }

// Puts the guards of `text` back into its parts; between two of them lie so many bytes.
std::vector<std::string> with_guards(std::string_view text, const std::vector<std::string>& parts,
                                     size_t separator) {
  std::vector<std::string> guarded;
  size_t at = 0;
  for (const std::string& part : parts) {
    std::string out;
    for (size_t left = part.size(); at < text.size() && (left > 0 || text[at] == kGuard); ++at) {
      if (text[at] != kGuard) --left;
      out.push_back(text[at]);
    }
    guarded.push_back(std::move(out));
    for (size_t left = separator; at < text.size() && left > 0; ++at)
      if (text[at] != kGuard) --left;
  }
  return guarded;
}

}  // namespace

Unguarded::Unguarded(std::string_view text) : text_(text) {
  if (!has_guard(text)) return;
  copy_ = text;
  std::erase(copy_, kGuard);
  text_ = copy_;
}

int compare_texts(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  for (;; ++i, ++j) {
    while (i < a.size() && a[i] == kGuard) ++i;
    while (j < b.size() && b[j] == kGuard) ++j;
    if (i == a.size() || j == b.size()) return int{i < a.size()} - int{j < b.size()};
    if (a[i] != b[j])
      return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]) ? -1 : 1;
  }
}

std::optional<size_t> prefix_end(std::string_view text, std::string_view part) {
  size_t at = 0;
  for (const char c : part) {
    if (c == kGuard) continue;
    while (at < text.size() && text[at] == kGuard) ++at;
    if (at == text.size() || text[at] != c) return std::nullopt;
    ++at;
  }
  return at;
}

std::optional<size_t> suffix_start(std::string_view text, std::string_view part) {
  size_t at = text.size();
  for (size_t i = part.size(); i-- > 0;) {
    if (part[i] == kGuard) continue;
    while (at > 0 && text[at - 1] == kGuard) --at;
    if (at == 0 || text[at - 1] != part[i]) return std::nullopt;
    --at;
  }
  return at;
}

std::vector<std::string> split_guarded(std::string_view text, std::string_view separator,
                                       size_t most) {
  const Unguarded plain(text), between(separator);
  std::vector<std::string> parts = split(plain.text(), between.text(), most);
  return has_guard(text) ? with_guards(text, parts, between.text().size()) : parts;
}

std::vector<std::string> rsplit_guarded(std::string_view text, std::string_view separator,
                                        size_t most) {
  const Unguarded plain(text), between(separator);
  std::vector<std::string> parts = rsplit(plain.text(), between.text(), most);
  return has_guard(text) ? with_guards(text, parts, between.text().size()) : parts;
}

std::string replace_guarded(std::string_view text, std::string_view from, std::string_view to,
                            size_t most) {
  if (!has_guard(text)) return replace_all(text, Unguarded(from).text(), to, most);
  std::string out;
  bool first = true;
  for (const std::string& part : split_guarded(text, from, most)) {
    if (!std::exchange(first, false)) out += to;
    out += part;
  }
  return out;
}

}  // namespace cohort::jinja

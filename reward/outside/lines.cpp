#include "reward/outside/lines.h"

#include <algorithm>
#include <vector>

#include "core/text.h"
#include "reward/options.h"

namespace cohort {
namespace {

constexpr size_t kHeld = 4096, kShownLines = 4, kShownBytes = 240;

}  // namespace

void LineReader::append(std::string_view bytes) {
  if (!too_long_) held_ += bytes;
}

std::optional<std::string> LineReader::next() {
  const size_t end = held_.find('\n', searched_);
  if (std::min(end, held_.size()) > limit_) {
    too_long_ = true;
    held_.clear();
    searched_ = 0;
    return std::nullopt;
  }
  if (end == std::string::npos) {
    searched_ = held_.size();
    return std::nullopt;
  }
  std::string line = held_.substr(0, end);
  held_.erase(0, end + 1);
  searched_ = 0;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

void LastLines::append(std::string_view bytes) {
  held_ += bytes.substr(bytes.size() - std::min(bytes.size(), kHeld));
  if (held_.size() > kHeld) held_.erase(0, held_.size() - kHeld);
}

std::string LastLines::text() const {
  std::vector<std::string_view> lines;
  for (std::string_view rest = trim(held_); !rest.empty() && lines.size() < kShownLines;) {
    const size_t end = rest.rfind('\n');
    lines.push_back(trim(end == std::string_view::npos ? rest : rest.substr(end + 1)));
    rest = end == std::string_view::npos ? std::string_view() : trim(rest.substr(0, end));
  }
  std::string text;
  for (size_t i = lines.size(); i-- > 0;) {
    text += lines[i].substr(0, kShownBytes);
    if (lines[i].size() > kShownBytes) text += "...";
    if (i > 0) text += " / ";
  }
  return printable(to_valid_utf8(text));
}

}  // namespace cohort

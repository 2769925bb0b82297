#include "core/yaml.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

// Where messages point to.
struct Place {
  std::string_view where;
  bool lines;

  [[noreturn]] void refuse(int line, const std::string& what) const {
    if (!lines) fail(ExitCode::kUsage, "{}: {}", where, what);
    fail(ExitCode::kUsage, "{}:{}: {}", where, std::max(line, 1), what);
  }
};

// Bytes that yaml-cpp would drop, take for the end of the file, or count differently than people
// do.
void check_bytes(const std::string& text, const Place& place) {
  if (text.size() > kMaxYamlBytes) {
    place.refuse(
        1, fmt::format("{} bytes of YAML; at most {} are allowed", text.size(), kMaxYamlBytes));
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    place.refuse(1, "begins with a byte order mark; save it as UTF-8 without one");
  }
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row = std::string_view(text).substr(at, end - at);
    if (!is_utf8(row)) place.refuse(line, "invalid UTF-8");
    for (size_t i = 0; i < row.size(); ++i) {
      const auto byte = static_cast<unsigned char>(row[i]);
      if (byte == '\t') {
        place.refuse(line, "a tab; use spaces, or \\t in double quotes");
      }
      const bool line_end = byte == '\r' && i + 1 == row.size() && end < text.size();
      if ((byte < 0x20 || byte == 0x7F) && !line_end) {
        place.refuse(
            line, fmt::format("control character 0x{:02x}; write \\x{:02x} in double quotes", byte,
                              byte));
      }
    }
    at = end + 1;
    ++line;
  }
}

// %YAML and %TAG lines are settings of the parser, which it applies without a word.
void refuse_directives(const std::string& text, const Place& place) {
  int line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    if (text[at] == '%')
      place.refuse(line, "a line that begins with '%': directives are not allowed");
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) return;
    at = end + 1;
  }
}

// Whether the quoted scalar that begins at text[at] ends; yaml-cpp takes the end of the file for
// its end.
bool quote_is_closed(std::string_view text, size_t at) {
  const char quote = text[at++];
  for (; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      if (quote == '"' || at + 1 == text.size() || text[at + 1] != quote) return true;
      ++at;
    }
  }
  return false;
}

// Whether the list or map that begins at text[at] ends; where it does not, yaml-cpp takes it for a key.
bool bracket_is_closed(std::string_view text, size_t at) {
  int depth = 0;
  bool value_begins = true;  // else a quote is part of a plain text: [it's]
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (value_begins && (c == '"' || c == '\'')) {
      if (!quote_is_closed(text, at)) return false;
      for (++at; text[at] != c; ++at)
        if (c == '"' && text[at] == '\\') ++at;
      value_begins = false;
      continue;
    }
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && --depth == 0) return true;
    if (c != ' ' && c != '\n' && c != '\r') value_begins = c == '[' || c == '{' || c == ',' || c == ':';
  }
  return false;
}

// Follows the parser's events and refuses while it goes, before yaml-cpp recurses or builds nodes.
class StrictEvents : public YAML::EventHandler {
 public:
  StrictEvents(std::string_view text, const Place& place) : text_(text), place_(place) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse(mark, "a second document; one file holds one document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (key_is_next()) refuse(mark, "a key is missing, empty or null");
    value_ends();
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark, "an alias ('*'); write the value out, or quote the text");
  }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    refuse(mark, "an anchor ('&'); write the value out, or quote the text");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    refuse_open_quote(mark);
    if (!key_is_next()) return value_ends();
    const auto [known, is_new] = frames_.back().keys.emplace(value, mark.line + 1);
    if (!is_new) {
      refuse(mark,
             fmt::format(
                 "duplicate key '{}'{}", excerpt(value),
                 place_.lines ? fmt::format("; it stands already in line {}", known->second) : ""));
    }
    frames_.back().key_is_next = false;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    collection_starts(mark, tag, anchor, false);
  }
  void OnSequenceEnd() override { collection_ends(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    collection_starts(mark, tag, anchor, true);
  }
  void OnMapEnd() override { collection_ends(); }

 private:
  struct Frame {
    bool is_map, key_is_next;
    std::map<std::string, int> keys;  // and their lines
  };

  bool key_is_next() const { return !frames_.empty() && frames_.back().key_is_next; }
  void value_ends() {
    if (!frames_.empty()) frames_.back().key_is_next = frames_.back().is_map;
  }
  void collection_starts(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         bool is_map) {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    if (key_is_next()) {
      const char first = byte_at(mark);
      const bool open = (first == '[' || first == '{') && !bracket_is_closed(text_, static_cast<size_t>(mark.pos));
      refuse(mark, open ? fmt::format("a '{}' that is not closed", first) : "a key must be text, not a list or a map");
    }
    if (frames_.size() == kMaxYamlDepth) {
      refuse(mark, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    }
    frames_.push_back({is_map, is_map, {}});
  }
  void collection_ends() {
    frames_.pop_back();
    value_ends();
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0) refuse(mark, "an anchor ('&'); write the value out, or quote the text");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    const bool implied = tag.empty() || tag == "?" || (tag == "!" && byte_at(mark) != '!');
    if (!implied)
      refuse(mark, fmt::format("the tag '{}'; tags are not allowed, quote the text", excerpt(tag)));
  }
  void refuse_open_quote(const YAML::Mark& mark) const {
    const char first = byte_at(mark);
    if ((first == '"' || first == '\'') && !quote_is_closed(text_, static_cast<size_t>(mark.pos))) {
      refuse(mark, fmt::format("a quote ({}) that is not closed", first));
    }
  }
  char byte_at(const YAML::Mark& mark) const {
    const auto at = static_cast<size_t>(mark.pos);
    return mark.pos >= 0 && at < text_.size() ? text_[at] : '\0';
  }
  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& what) const {
    place_.refuse(mark.line + 1, what);
  }

  const std::string_view text_;
  const Place& place_;
  int documents_ = 0;
  std::vector<Frame> frames_;
};

}  // namespace

YAML::Node parse_yaml(const std::string& text, std::string_view where, bool lines) {
  const Place place{where, lines};
  check_bytes(text, place);
  refuse_directives(text, place);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    StrictEvents events(text, place);
    while (parser.HandleNextDocument(events)) {
    }
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    place.refuse(error.mark.line + 1, "not YAML: " + to_valid_utf8(error.msg));
  }
}

std::string excerpt(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string line = to_valid_utf8(text.substr(0, kLongest));
  for (char& byte : line) {
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F) byte = ' ';
  }
  return text.size() > kLongest ? line + "..." : line;
}

int yaml_line(const YAML::Node& node) { return node.Mark().line + 1; }

}  // namespace cohort

// Bytes that come in pieces, as lines; and the last lines of what nobody reads otherwise. Both hold a bounded number of bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cohort {

// Lines of at most `limit` bytes, without their ends (LF or CRLF).
class LineReader {
 public:
  explicit LineReader(size_t limit) : limit_(limit) {}
  // Call next() until it gives nothing before appending more: at most `limit` and the last piece are held.
  void append(std::string_view bytes);
  // The next whole line. Nothing: there is none yet, or the line is too long.
  std::optional<std::string> next();
  // The line that comes next is longer than the limit; there will be no further one.
  bool too_long() const { return too_long_; }
  // Bytes of a line without its end are waiting.
  bool inside() const { return !held_.empty(); }

 private:
  const size_t limit_;
  std::string held_;
  size_t searched_ = 0;  // no line ends before
  bool too_long_ = false;
};

class LastLines {
 public:
  void append(std::string_view bytes);
  // The last lines, " / " between them, safe to print; "" when there are none.
  std::string text() const;
  void clear() { held_.clear(); }

 private:
  std::string held_;
};

}  // namespace cohort

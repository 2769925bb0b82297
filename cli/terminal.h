// The terminal that a person watches: whether there is one, what it can show, and lines at its end that replace themselves.
//
// Nothing that needs to be put back is ever changed: no cursor is hidden, no mode set, and the cursor waits at the begin of a line of its own.
// So a program that is killed at any moment leaves the terminal as it should be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"

namespace cohort {

struct TerminalSize {
  int columns = 80, rows = 24;
  bool operator==(const TerminalSize&) const = default;
};

class Terminal {
 public:
  // Standard error; under mpirun, what that shows it on.
  Terminal();
  // For tests.
  Terminal(bool live, bool color, bool utf8, TerminalSize size = {}) : live_(live), color_(color), utf8_(utf8), assumed_(size) {}
  bool live() const { return live_; }    // lines can be rewritten
  bool color() const { return color_; }  // live, and NO_COLOR is not set
  bool utf8() const { return utf8_; }    // by LC_ALL, LC_CTYPE or LANG
  TerminalSize size() const;             // as it is now

 private:
  bool live_ = false, color_ = false, utf8_ = false;
  TerminalSize assumed_;
  Fd shown_on_;  // mpirun's; none: standard error itself
};

// Columns that a text takes: escape sequences none, wide characters two. The text is valid UTF-8.
int display_width(std::string_view text);
// The text up to so many columns; escape sequences stay whole, and colour ends.
std::string cut_to_width(std::string_view text, int columns);

// Lines that stand at the end of the terminal and are replaced in place. Thread-safe. Of all that exist in a process one shows lines at a time.
class LiveLines {
 public:
  explicit LiveLines(const Terminal& terminal) : terminal_(terminal) {}
  ~LiveLines() { close(); }
  LiveLines(const LiveLines&) = delete;
  LiveLines& operator=(const LiveLines&) = delete;
  void show(const std::vector<std::string>& lines);  // in place of the last ones; each is cut to the terminal's width
  void print(const std::string& text);               // a text that stays, above them
  void close();                                      // what is shown stays

 private:
  const Terminal& terminal_;
};

// Writes to standard error below what is shown there, whoever shows it: nothing of `text` is overwritten.
void write_below(std::string_view text);

// The most lines that any LiveLines shows. Ranks that say something on a terminal which another rank rewrites leave so many below it.
constexpr int kMostLiveLines = 8;

}  // namespace cohort

// A terminal in the test: a program behind a pty, and the screen that its output makes.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/text.h"

namespace cohort {

// What a VT100 shows: lines (those that have scrolled away too), cursor, colour. Throws on what cohort has no need to send.
class Screen {
 public:
  Screen(int columns, int rows) : columns_(columns), rows_(rows) { lines_.resize(1); }

  void write(std::string_view bytes) {
    pending_ += bytes;
    size_t at = 0;
    while (at < pending_.size()) {
      const size_t end = complete(at);
      if (end == 0) break;
      show(std::string_view(pending_).substr(at, end - at));
      at = end;
    }
    pending_.erase(0, at);
  }

  // All lines, without what is blank at their ends.
  std::vector<std::string> lines() const {
    std::vector<std::string> shown;
    for (const auto& line : lines_) {
      std::string text;
      for (const std::string& cell : line) text += cell;
      text.erase(text.find_last_not_of(' ') + 1);
      shown.push_back(text);
    }
    while (!shown.empty() && shown.back().empty()) shown.pop_back();
    return shown;
  }
  std::string text() const {
    std::string all;
    for (const std::string& line : lines()) all += line + "\n";
    return all;
  }
  int column() const { return column_; }
  size_t row() const { return row_; }
  bool colored() const { return colored_; }         // what is written next
  bool saw_color() const { return saw_color_; }
  bool saw_escape() const { return saw_escape_; }
  // What is longer than the screen becomes wide is broken, as most terminals do. The cursor is at the begin of a line.
  void resize(int columns, int rows) {
    columns_ = columns, rows_ = rows;
    std::vector<std::vector<std::string>> broken;
    size_t row = 0;
    for (size_t i = 0; i < lines_.size(); ++i) {
      if (i == row_) row = broken.size();
      auto line = lines_[i];
      while (std::ssize(line) > columns) {
        broken.emplace_back(line.begin(), line.begin() + columns);
        line.erase(line.begin(), line.begin() + columns);
      }
      broken.push_back(std::move(line));
    }
    lines_ = std::move(broken);
    row_ = row;
  }

 private:
  // Where the character or sequence that begins at `at` ends; 0: it has not come whole.
  size_t complete(size_t at) const {
    if (pending_[at] == '\x1b') {
      for (size_t end = at + 1; end < pending_.size(); ++end)
        if (end > at + 1 && pending_[end] >= '@' && pending_[end] <= '~') return end + 1;
      return 0;
    }
    const auto lead = static_cast<unsigned char>(pending_[at]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return at + size <= pending_.size() ? at + size : 0;
  }

  void show(std::string_view piece) {
    if (piece.front() == '\x1b') return sequence(piece);
    if (piece == "\r") { column_ = 0; return; }
    if (piece == "\n") return next_line();
    if (static_cast<unsigned char>(piece.front()) < 0x20) throw std::runtime_error("the program sent a control character");
    size_t at = 0;
    const int width = utf8proc_charwidth(static_cast<utf8proc_int32_t>(next_code_point(piece, at)));
    if (column_ + width > columns_) {
      column_ = 0;
      next_line();
    }
    auto& line = lines_[row_];
    if (line.size() < static_cast<size_t>(column_ + width)) line.resize(static_cast<size_t>(column_ + width), " ");
    line[static_cast<size_t>(column_)] = std::string(piece);
    for (int i = 1; i < width; ++i) line[static_cast<size_t>(column_ + i)] = "";
    column_ += width;
  }

  void next_line() {
    if (++row_ == lines_.size()) lines_.emplace_back();
  }

  void sequence(std::string_view piece) {
    saw_escape_ = true;
    const std::string parameters(piece.substr(2, piece.size() - 3));
    switch (piece.back()) {
      case 'A': {  // no further than the top of what is visible
        const size_t top = lines_.size() > static_cast<size_t>(rows_) ? lines_.size() - static_cast<size_t>(rows_) : 0;
        const auto up = static_cast<size_t>(parameters.empty() ? 1 : std::stoi(parameters));
        row_ = row_ > top + up ? row_ - up : top;
        return;
      }
      case 'K': lines_[row_].resize(std::min(lines_[row_].size(), static_cast<size_t>(column_))); return;
      case 'J':
        lines_[row_].resize(std::min(lines_[row_].size(), static_cast<size_t>(column_)));
        for (size_t below = row_ + 1; below < lines_.size(); ++below) lines_[below].clear();
        return;
      case 'm':
        saw_color_ = true;
        colored_ = parameters != "0" && !parameters.empty();
        return;
      default: throw std::runtime_error("the program sent an escape sequence that changes the terminal: " + std::string(piece.substr(1)));
    }
  }

  int columns_, rows_, column_ = 0;
  size_t row_ = 0;
  bool colored_ = false, saw_color_ = false, saw_escape_ = false;
  std::string pending_;
  std::vector<std::vector<std::string>> lines_;
};

// A program on a terminal of its own.
class OnTerminal {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;
  OnTerminal(std::vector<std::string> command, int columns, int rows, const Variables& variables = {}) : screen_(columns, rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns), size.ws_row = static_cast<unsigned short>(rows);
    std::vector<char*> argv;
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    child_ = forkpty(&terminal_, nullptr, nullptr, &size);
    if (child_ < 0) throw std::runtime_error("no pty");
    if (child_ == 0) {
      setenv("TERM", "xterm", 1), setenv("LC_ALL", "C.UTF-8", 1), unsetenv("NO_COLOR");
      for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
      signal(SIGINT, SIG_DFL);  // which a shell ignores in what it runs in the background
      execvp(argv[0], argv.data());
      _exit(127);
    }
    tcgetattr(terminal_, &before_);
  }
  ~OnTerminal() {
    if (child_ > 0) kill(child_, SIGKILL), waitpid(child_, nullptr, 0);
    close(terminal_);
  }
  OnTerminal(const OnTerminal&) = delete;

  // Reads until the screen is as wanted; false when the program ends, or a minute passes, before.
  bool until(const std::function<bool(const Screen&)>& wanted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!wanted(screen_)) {
      pollfd entry{terminal_, POLLIN, 0};
      if (std::chrono::steady_clock::now() > deadline || poll(&entry, 1, 1000) < 0) return false;
      if (entry.revents == 0) continue;
      char buffer[4096];
      const ssize_t got = read(terminal_, buffer, sizeof buffer);
      if (got <= 0) return wanted(screen_);  // EIO: nobody has it open any more
      screen_.write({buffer, static_cast<size_t>(got)});
    }
    return true;
  }
  bool until_shown(const std::string& text) {
    return until([&](const Screen& screen) { return screen.text().find(text) != std::string::npos; });
  }
  void type(const std::string& keys) { [[maybe_unused]] const ssize_t written = ::write(terminal_, keys.data(), keys.size()); }
  void resize(int columns, int rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns), size.ws_row = static_cast<unsigned short>(rows);
    ioctl(terminal_, TIOCSWINSZ, &size);
    screen_.resize(columns, rows);
  }
  // Waits for the program's end; the exit code, or -SIGNAL.
  int end() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(55);
    until([](const Screen&) { return false; });
    if (std::chrono::steady_clock::now() > deadline) kill(child_, SIGKILL);  // it goes on
    int status = 0;
    waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // No mode differs from those that it began with.
  bool modes_unchanged() const {
    termios now{};
    if (tcgetattr(terminal_, &now) != 0) return false;
    return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag && now.c_lflag == before_.c_lflag && now.c_cflag == before_.c_cflag;
  }
  const Screen& screen() const { return screen_; }

 private:
  int terminal_ = -1;
  pid_t child_ = -1;
  termios before_{};
  Screen screen_;
};

}  // namespace cohort

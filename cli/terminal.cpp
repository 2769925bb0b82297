#include "cli/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <utility>

#include "core/text.h"

namespace cohort {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != 0;
}

std::string program_of(pid_t process) {
  std::error_code none;
  return std::filesystem::read_symlink(fmt::format("/proc/{}/exe", process), none).string();
}

pid_t parent_of(pid_t process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string word; status >> word;)
    if (pid_t parent; word == "PPid:" && status >> parent) return parent;
  return 0;
}

// Under mpirun standard error is a pipe to it; what counts is where mpirun, which on its own host started us or our supervisor
// (comm/supervisor.h), shows what it reads.
Fd launcher_terminal() {
  if (!is_set("OMPI_COMM_WORLD_RANK")) return {};
  pid_t launcher = getppid();
  while (launcher > 1 && program_of(launcher) == program_of(getpid())) launcher = parent_of(launcher);
  Fd fd(open(fmt::format("/proc/{}/fd/2", launcher).c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  return fd && isatty(fd.get()) == 1 ? std::move(fd) : Fd();
}

// As the C library chooses the encoding: the first that is set decides.
bool wants_utf8() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!is_set(variable)) continue;
    std::string value = std::getenv(variable);
    std::erase(value, '-');
    std::ranges::transform(value, value.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value.find("utf8") != std::string::npos;
  }
  return false;
}

// Standard error belongs to the process, and so does what is shown at its end.
struct Shown {
  std::mutex mutex;
  const LiveLines* owner = nullptr;
  std::vector<int> widths;  // of its lines, which the cursor stands below
};
Shown& shown() {
  static Shown state;
  return state;
}

void write_error(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

// A character or an escape sequence (ESC [ ... letter) at text[at], which is moved behind it.
struct Piece {
  std::string_view text;
  int width;
};
Piece next_piece(std::string_view text, size_t& at) {
  const size_t begin = at;
  if (text[at] == '\x1b' && at + 1 < text.size() && text[at + 1] == '[') {
    at += 2;
    while (at < text.size() && (text[at] < '@' || text[at] > '~')) ++at;
    at = std::min(at + 1, text.size());
    return {text.substr(begin, at - begin), 0};
  }
  const char32_t code_point = next_code_point(text, at);
  return {text.substr(begin, at - begin), std::max(0, utf8proc_charwidth(static_cast<utf8proc_int32_t>(code_point)))};
}

// Up to the first of the lines that are shown. A terminal that became narrower has broken those that were longer.
std::string to_begin(const std::vector<int>& widths, int columns) {
  int rows = 0;
  for (const int width : widths) rows += std::max(1, (width + columns - 1) / columns);
  return rows > 0 ? fmt::format("\x1b[{}A\r", rows) : "";
}

}  // namespace

Terminal::Terminal() : utf8_(wants_utf8()) {
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return;
  const bool direct = isatty(STDERR_FILENO) == 1;
  if (!direct) shown_on_ = launcher_terminal();
  live_ = direct || shown_on_;
  color_ = live_ && !is_set("NO_COLOR");
}

TerminalSize Terminal::size() const {
  struct winsize size {};
  if (live_ && ioctl(shown_on_ ? shown_on_.get() : STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
    return {size.ws_col, size.ws_row};
  return assumed_;
}

int display_width(std::string_view text) {
  int width = 0;
  for (size_t at = 0; at < text.size();) width += next_piece(text, at).width;
  return width;
}

std::string cut_to_width(std::string_view text, int columns) {
  if (display_width(text) <= columns) return std::string(text);
  std::string cut;
  bool colored = false;
  int width = 0;
  for (size_t at = 0; at < text.size();) {
    const Piece piece = next_piece(text, at);
    if (piece.text.front() == '\x1b') colored = true;
    if (width + piece.width > columns) break;
    cut += piece.text;
    width += piece.width;
  }
  return colored ? cut + "\x1b[0m" : cut;
}

void LiveLines::show(const std::vector<std::string>& lines) {
  const std::lock_guard lock(shown().mutex);
  const TerminalSize size = terminal_.size();
  if (shown().owner != this) shown().widths.clear();
  if (lines.empty() && shown().widths.empty()) return;
  std::string frame = to_begin(shown().widths, size.columns);
  std::vector<int> widths;
  for (const std::string& line : lines) {
    const std::string cut = cut_to_width(to_valid_utf8(line), size.columns);
    frame += cut + "\x1b[K\n";
    widths.push_back(display_width(cut));
  }
  frame += "\x1b[J";  // what more lines, or broken ones, left
  shown().owner = this;
  shown().widths = std::move(widths);
  write_error(frame);
}

void LiveLines::print(const std::string& text) {
  const std::lock_guard lock(shown().mutex);
  std::string frame;
  if (shown().owner == this) frame = to_begin(shown().widths, terminal_.size().columns) + "\x1b[J";
  shown().widths.clear();
  write_error(frame + text + "\n");
}

void LiveLines::close() {
  const std::lock_guard lock(shown().mutex);
  if (shown().owner != this) return;
  shown().owner = nullptr;
  shown().widths.clear();
}

void write_below(std::string_view text) {
  const std::lock_guard lock(shown().mutex);
  shown().widths.clear();
  write_error(text);
}

}  // namespace cohort

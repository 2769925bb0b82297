#include "trainer/save_by.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <sstream>

#include "core/check.h"
#include "core/files.h"

namespace cohort {

double parse_days_and_time(std::string_view text, std::string_view what) {
  std::array<int, 4> parts{};
  size_t part = 0, digits = 0;
  bool good = !text.empty();
  for (const char c : text) {
    if (c == ':') {
      good = good && digits == 2 && ++part < parts.size();
      digits = 0;
    } else {
      good = good && std::isdigit(static_cast<unsigned char>(c)) && ++digits <= 2;
      if (good) parts[part] = 10 * parts[part] + (c - '0');
    }
    if (!good) break;
  }
  const auto [days, hours, minutes, seconds] = parts;
  const int total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  CHECK_USAGE(good && part == 3 && digits == 2 && hours < 24 && minutes < 60 && seconds < 60 && total > 0,
              "{}: found '{}'; allowed: a time after the start of the program as DD:HH:MM:SS, e.g. 00:03:45:00, or null", what, text);
  return total;
}

double process_age() {
  // Field 22 is the start in clock ticks since the machine's; the name in field 2 may hold anything but ends with the last ')'.
  const std::string stat = read_file("/proc/self/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string word;
  for (int field = 3; field <= 22; ++field) fields >> word;
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) - std::stod(word) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

SaveBy::SaveBy(const std::string& text) {
  if (!text.empty()) by_ = parse_days_and_time(text, "trainer.checkpoint_must_save_by");
}

}  // namespace cohort

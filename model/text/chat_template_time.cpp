#include "model/text/chat_template_time.h"

#include <charconv>

#include "core/check.h"

namespace cohort {
namespace {

// The digits of `text` at `at`, or -1.
int digits(std::string_view text, size_t at, size_t count) {
  int value = 0;
  if (at + count > text.size()) return -1;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

std::tm parse_iso_time(std::string_view text, std::string_view where) {
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  bool fits = text.size() == kShape.size() || text.size() == 10;
  for (size_t i = 0; fits && i < text.size(); ++i)
    fits = kShape[i] == 'd' ? digits(text, i, 1) >= 0 : text[i] == kShape[i];
  std::tm time{};
  if (fits) {
    time.tm_year = digits(text, 0, 4) - 1900;
    time.tm_mon = digits(text, 5, 2) - 1;
    time.tm_mday = digits(text, 8, 2);
    if (text.size() > 10) {
      time.tm_hour = digits(text, 11, 2);
      time.tm_min = digits(text, 14, 2);
      time.tm_sec = digits(text, 17, 2);
    }
    std::tm moved = time;  // timegm moves the 31st of February into March, and fills in the weekday
    timegm(&moved);
    fits = time.tm_year >= 1000 - 1900 && moved.tm_mon == time.tm_mon &&
           moved.tm_mday == time.tm_mday && moved.tm_hour == time.tm_hour &&
           moved.tm_min == time.tm_min && moved.tm_sec == time.tm_sec;
    time = moved;
  }
  CHECK_USAGE(fits, "{}: found '{}'; allowed: a time like 2026-01-31T00:00:00 or a day like 2026-01-31",
              where, text);
  return time;
}

std::tm local_time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  localtime_r(&now, &time);
  return time;
}

}  // namespace cohort

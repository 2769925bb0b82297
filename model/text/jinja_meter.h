// What one render may spend, and where it stands for messages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "model/text/jinja_value.h"

namespace cohort::jinja {

// Steps of one render. An operation on n bytes counts 1 + n / 64; one on n items counts 1 + n.
constexpr int64_t kMaxOperations = 1'000'000;
// Bytes of any one string, the output among them.
constexpr size_t kMaxText = size_t{8} << 20;

class Meter {
 public:
  explicit Meter(std::string_view where) : where_(where) {}

  int line = 0;

  template <typename... Args>
  [[noreturn]] void error(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ExitCode::kInput, "{}:{}: {}", where_, line,
         fmt::format(format, std::forward<Args>(args)...));
  }
  void charge(size_t work = 0) {
    const int64_t steps = 1 + static_cast<int64_t>(work / 64);
    if (steps > left_) error("the template needs more than {} operations", kMaxOperations);
    left_ -= steps;
  }
  void check_size(size_t bytes) const {
    if (bytes > kMaxText) error("the template makes a text of more than {} bytes", kMaxText);
  }
  Value text(std::string text) {
    check_size(text.size());
    charge(text.size());
    return Value::text(std::move(text));
  }
  Value list(std::vector<Value> items, ListKind kind = ListKind::list) {
    charge(items.size() * 64);
    return guard([&] { return Value::list(std::move(items), kind); });
  }
  Value dict(std::vector<std::pair<std::string, Value>> items) {
    charge(items.size() * 64);
    return guard([&] { return Value::dict(std::move(items)); });
  }

 private:
  template <typename Make>
  Value guard(Make make) const {
    try {
      return make();
    } catch (const std::logic_error& refused) {  // Value's: too deep, or a namespace inside
      error("{}", refused.what());
    }
  }

  std::string_view where_;
  int64_t left_ = kMaxOperations;
};

}  // namespace cohort::jinja

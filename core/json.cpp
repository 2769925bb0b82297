#include "core/json.h"

#include <cmath>
#include <unordered_set>
#include <vector>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

// Builds the value while it is parsed, and throws at the first thing refused: before memory is spent on it.
class StrictReader final : public nlohmann::json_sax<Json> {
 public:
  StrictReader(std::string_view where, int max_depth) : where_(where), max_depth_(max_depth) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(int64_t value) override { return add(value); }
  bool number_unsigned(uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string& text) override {
    // Whole numbers that fit no 64-bit integer arrive here as well; silently rounding them would be a guess.
    if (!std::isfinite(value) || text.find_first_of(".eE") == std::string::npos)
      fail(ExitCode::kInput, "{}: the number {} is out of range", where_, text.substr(0, 40));
    return add(value);
  }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { fail(ExitCode::kInput, "{}: binary values are not JSON", where_); }

  bool start_object(size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    Level& level = levels_.back();
    if (!level.keys.insert(name).second) fail(ExitCode::kInput, "{}: duplicate key '{}'", where_, name.substr(0, 200));
    level.key = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string& token, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 7: MESSAGE": the last part is what helps.
    std::string_view what = error.what();
    if (const size_t colon = what.find(": "); colon != std::string_view::npos) what.remove_prefix(colon + 2);
    (void)token;
    fail(ExitCode::kInput, "{}: invalid JSON at byte {}: {}", where_, position, to_valid_utf8(what.substr(0, 300)));
  }

 private:
  struct Level {
    Json* value;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  template <typename Value>
  bool add(Value&& value) {
    place(Json(std::forward<Value>(value)));
    return true;
  }
  Json* place(Json value) {
    if (levels_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Level& level = levels_.back();
    if (level.value->is_array()) {
      level.value->push_back(std::move(value));
      return &level.value->back();
    }
    // push_back on the ordered map's vector: operator[] would search all earlier keys, quadratic in hostile objects.
    auto& members = level.value->get_ref<Json::object_t&>();
    static_cast<Json::object_t::Container&>(members).emplace_back(std::move(level.key), std::move(value));
    return &members.back().second;
  }
  bool open(Json container) {
    if (static_cast<int>(levels_.size()) >= max_depth_)
      fail(ExitCode::kInput, "{}: more than {} levels of nesting", where_, max_depth_);
    Json* value = place(std::move(container));
    levels_.push_back({value, {}, {}});
    return true;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::string_view where_;
  int max_depth_;
  Json root_;
  std::vector<Level> levels_;
};

const Json* find(const Json& object, std::string_view key, std::string_view where) {
  CHECK_INPUT(object.is_object(), "{}: expected an object with '{}', found {}", where, key, object.type_name());
  const auto found = object.find(std::string(key));
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const Json& need(const Json& object, std::string_view key, std::string_view where) {
  const Json* value = find(object, key, where);
  CHECK_INPUT(value != nullptr, "{}: '{}' is missing", where, key);
  return *value;
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= 60 ? text : to_valid_utf8(text.substr(0, 57)) + "...";
}

int64_t to_int(const Json& value, std::string_view key, std::string_view where, int64_t low, int64_t high) {
  CHECK_INPUT(value.is_number_integer(), "{}: '{}' must be a whole number, found {}", where, key, shown(value));
  const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX);
  const int64_t number = fits ? value.get<int64_t>() : INT64_MAX;
  CHECK_INPUT(fits && number >= low && number <= high, "{}: '{}' is {}, allowed: {} to {}", where, key, shown(value), low,
              high);
  return number;
}

double to_double(const Json& value, std::string_view key, std::string_view where) {
  CHECK_INPUT(value.is_number(), "{}: '{}' must be a number, found {}", where, key, shown(value));
  return value.get<double>();
}

std::string to_string(const Json& value, std::string_view key, std::string_view where) {
  CHECK_INPUT(value.is_string(), "{}: '{}' must be text, found {}", where, key, shown(value));
  return value.get<std::string>();
}

void check_finite(const Json& value, std::string_view name) {
  if (value.is_number_float() && !std::isfinite(value.get<double>()))
    fail(ExitCode::kNonFinite, "'{}' is {}: not a finite number", name, value.get<double>());
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) check_finite(member, key);
  } else if (value.is_array()) {
    for (const Json& item : value) check_finite(item, name);
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view where, int max_depth) {
  // Which the library takes for the end, whatever follows.
  if (const size_t zero = text.find('\0'); zero != text.npos) fail(ExitCode::kInput, "{}: invalid JSON at byte {}: a NUL character", where, zero + 1);
  StrictReader reader(where, max_depth);
  Json::sax_parse(text.begin(), text.end(), &reader, nlohmann::detail::input_format_t::json, /*strict=*/true);
  return reader.take();
}

int64_t get_int(const Json& object, std::string_view key, std::string_view where, int64_t low, int64_t high) {
  return to_int(need(object, key, where), key, where, low, high);
}
int64_t get_int_or(const Json& object, std::string_view key, std::string_view where, int64_t low, int64_t high,
                   int64_t fallback) {
  const Json* value = find(object, key, where);
  return value == nullptr ? fallback : to_int(*value, key, where, low, high);
}
double get_double(const Json& object, std::string_view key, std::string_view where) {
  return to_double(need(object, key, where), key, where);
}
double get_double_or(const Json& object, std::string_view key, std::string_view where, double fallback) {
  const Json* value = find(object, key, where);
  return value == nullptr ? fallback : to_double(*value, key, where);
}
bool get_bool_or(const Json& object, std::string_view key, std::string_view where, bool fallback) {
  const Json* value = find(object, key, where);
  if (value == nullptr) return fallback;
  CHECK_INPUT(value->is_boolean(), "{}: '{}' must be true or false, found {}", where, key, shown(*value));
  return value->get<bool>();
}
std::string get_string(const Json& object, std::string_view key, std::string_view where) {
  return to_string(need(object, key, where), key, where);
}
std::string get_string_or(const Json& object, std::string_view key, std::string_view where, std::string fallback) {
  const Json* value = find(object, key, where);
  return value == nullptr ? fallback : to_string(*value, key, where);
}

std::string dump_json(const Json& value, int indent) {
  check_finite(value, "value");
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cohort

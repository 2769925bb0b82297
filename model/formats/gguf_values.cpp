// Typed access to GGUF metadata.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/text.h"
#include "model/formats/gguf_file.h"

namespace cohort {

uint64_t gguf_number_bytes(GgufType type) {
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kInt8:
    case GgufType::kBool:
      return 1;
    case GgufType::kUint16:
    case GgufType::kInt16:
      return 2;
    case GgufType::kUint32:
    case GgufType::kInt32:
    case GgufType::kFloat32:
      return 4;
    case GgufType::kUint64:
    case GgufType::kInt64:
    case GgufType::kFloat64:
      return 8;
    default:
      return 0;
  }
}

namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

bool is_integer(GgufType type) {
  return gguf_number_bytes(type) > 0 && type != GgufType::kBool && type != GgufType::kFloat32 &&
         type != GgufType::kFloat64;
}

// An integer of the type; those above 2^63 - 1 become that.
int64_t integer_at(const GgufValue& value, size_t i) {
  const std::byte* at = value.numbers.data() + i * gguf_number_bytes(value.type);
  switch (value.type) {
    case GgufType::kUint8:
      return load<uint8_t>(at);
    case GgufType::kInt8:
      return load<int8_t>(at);
    case GgufType::kUint16:
      return load<uint16_t>(at);
    case GgufType::kInt16:
      return load<int16_t>(at);
    case GgufType::kUint32:
      return load<uint32_t>(at);
    case GgufType::kInt32:
      return load<int32_t>(at);
    case GgufType::kUint64:
      return static_cast<int64_t>(std::min<uint64_t>(load<uint64_t>(at), INT64_MAX));
    default:
      return load<int64_t>(at);
  }
}

}  // namespace

const GgufValue& GgufFile::need(std::string_view key, std::string_view what) const {
  const auto found = values.find(key);
  CHECK_INPUT(found != values.end(), "{}: key '{}' is missing; it must be {}", where, key, what);
  return found->second;
}

int64_t GgufFile::get_int(std::string_view key, int64_t low, int64_t high) const {
  const GgufValue& value = need(key, "a whole number");
  CHECK_INPUT(!value.is_list && is_integer(value.type),
              "{}: key '{}' must be one whole number; found {}type {}", where, key,
              value.is_list ? "a list of " : "", static_cast<uint32_t>(value.type));
  const int64_t number = integer_at(value, 0);
  CHECK_INPUT(number >= low && number <= high, "{}: key '{}' is {}; allowed are {} to {}", where,
              key, number, low, high);
  return number;
}

int64_t GgufFile::get_int_or(std::string_view key, int64_t low, int64_t high,
                             int64_t fallback) const {
  return has(key) ? get_int(key, low, high) : fallback;
}

double GgufFile::get_positive(std::string_view key) const {
  const GgufValue& value = need(key, "a number");
  const bool single = value.type == GgufType::kFloat32, wide = value.type == GgufType::kFloat64;
  CHECK_INPUT(!value.is_list && (single || wide), "{}: key '{}' must be one float; found type {}",
              where, key, static_cast<uint32_t>(value.type));
  // 1e-05 as float32 is 9.99999974737875e-06 as double; JSON should say 1e-05.
  const double number = single ? std::stod(fmt::format("{}", load<float>(value.numbers.data())))
                               : load<double>(value.numbers.data());
  CHECK_INPUT(std::isfinite(number) && number > 0,
              "{}: key '{}' is {}; it must be positive and finite", where, key, number);
  return number;
}

bool GgufFile::get_bool_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const GgufValue& value = need(key, "a bool");
  CHECK_INPUT(!value.is_list && value.type == GgufType::kBool,
              "{}: key '{}' must be a bool; found type {}", where, key,
              static_cast<uint32_t>(value.type));
  return value.numbers[0] == std::byte{1};
}

std::string_view GgufFile::get_string(std::string_view key) const {
  const GgufValue& value = need(key, "a text");
  CHECK_INPUT(!value.is_list && value.type == GgufType::kString,
              "{}: key '{}' must be a text; found type {}", where, key,
              static_cast<uint32_t>(value.type));
  CHECK_INPUT(is_utf8(value.strings[0]), "{}: key '{}' is not valid UTF-8", where, key);
  return value.strings[0];
}

const std::vector<std::string_view>& GgufFile::get_strings(std::string_view key) const {
  const GgufValue& value = need(key, "a list of texts");
  CHECK_INPUT(value.is_list && value.type == GgufType::kString,
              "{}: key '{}' must be a list of texts", where, key);
  for (size_t i = 0; i < value.strings.size(); ++i)
    CHECK_INPUT(is_utf8(value.strings[i]), "{}: key '{}': text {} is not valid UTF-8", where, key,
                i);
  return value.strings;
}

std::vector<int64_t> GgufFile::get_ints(std::string_view key, size_t count) const {
  const GgufValue& value = need(key, "a list of whole numbers");
  CHECK_INPUT(value.is_list && is_integer(value.type),
              "{}: key '{}' must be a list of whole numbers", where, key);
  CHECK_INPUT(value.numbers.size() / gguf_number_bytes(value.type) == count,
              "{}: key '{}' has {} numbers; expected {}", where, key,
              value.numbers.size() / gguf_number_bytes(value.type), count);
  std::vector<int64_t> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = integer_at(value, i);
  return numbers;
}

}  // namespace cohort

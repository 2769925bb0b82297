// Strict JSON: what nlohmann-json accepts silently (duplicate keys, deep nesting, wrapped integers) is refused.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cohort {

using Json = nlohmann::ordered_json;

// Parses `text`. `where` (a file, "data.jsonl:17") leads every message; errors have exit code 3.
// Refused: duplicate keys, more than `max_depth` levels, anything after the value, invalid UTF-8, numbers that overflow.
Json parse_json(std::string_view text, std::string_view where, int max_depth = 64);

// Typed members of an object. The first form throws (exit code 3) when the key is absent or of another type,
// out of range or not whole; the second returns `fallback` when the key is absent or null.
int64_t get_int(const Json& object, std::string_view key, std::string_view where, int64_t low, int64_t high);
int64_t get_int_or(const Json& object, std::string_view key, std::string_view where, int64_t low, int64_t high,
                   int64_t fallback);
double get_double(const Json& object, std::string_view key, std::string_view where);
double get_double_or(const Json& object, std::string_view key, std::string_view where, double fallback);
bool get_bool_or(const Json& object, std::string_view key, std::string_view where, bool fallback);
std::string get_string(const Json& object, std::string_view key, std::string_view where);
std::string get_string_or(const Json& object, std::string_view key, std::string_view where, std::string fallback);

// One line of JSON, safe for any text: invalid UTF-8 becomes U+FFFD. A non-finite number throws (exit code 5): a
// metric that is NaN is a failure, never a null. indent < 0: no line breaks.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace cohort

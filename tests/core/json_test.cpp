// Strict JSON: what is refused, with which message, and what comes back unchanged.
#include "core/json.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/check.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(Json, KeepsOrderAndTypes) {
  const Json value = parse_json(R"({"b": 1, "a": [true, null, "x", -2, 1.5e3], "c": {}})", "here");
  EXPECT_EQ(dump_json(value), R"({"b":1,"a":[true,null,"x",-2,1500.0],"c":{}})");
  EXPECT_TRUE(value["b"].is_number_integer());
  EXPECT_TRUE(value["a"][4].is_number_float());
}

TEST(Json, RefusesWhatOthersAcceptSilently) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1} x", "{'a':1}", "NaN", "[1] [2]", "\"\x80\"", "tru", "{\"a\"}",
                           "[1e999]", "123456789012345678901234567890", "-123456789012345678901"}) {
    EXPECT_ERROR(parse_json(text, "data.jsonl:17"), kInput, "data.jsonl:17");
  }
  EXPECT_ERROR(parse_json(R"({"a": 1, "b": {"c": 1, "c": 2}})", "here"), kInput, "duplicate key 'c'");
}

TEST(Json, BoundsNesting) {
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "here"));
  EXPECT_ERROR(parse_json(std::string(65, '[') + std::string(65, ']'), "here"), kInput, "64 levels");
  EXPECT_ERROR(parse_json(std::string(1000000, '['), "here"), kInput, "64 levels");
}

TEST(Json, AnObjectOfManyKeysIsReadInLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":" + std::to_string(i);
  const Json value = parse_json(text + "}", "here");  // quadratic look-ups would take minutes
  EXPECT_EQ(value.size(), 100000u);
}

TEST(Json, TypedMembersNameWhatIsWrong) {
  const Json object = parse_json(R"({"n": 3, "f": 0.5, "s": "x", "b": true, "none": null, "big": 18446744073709551615})", "h");
  EXPECT_EQ(get_int(object, "n", "h", 0, 10), 3);
  EXPECT_EQ(get_int_or(object, "none", "h", 0, 10, 7), 7);
  EXPECT_EQ(get_double(object, "n", "h"), 3.0);
  EXPECT_EQ(get_string_or(object, "absent", "h", "y"), "y");
  EXPECT_TRUE(get_bool_or(object, "b", "h", false));
  EXPECT_ERROR(get_int(object, "absent", "file:3", 0, 1), kInput, "file:3: 'absent' is missing");
  EXPECT_ERROR(get_int(object, "n", "h", 4, 10), kInput, "allowed: 4 to 10");
  EXPECT_ERROR(get_int(object, "f", "h", 0, 10), kInput, "whole number");
  EXPECT_ERROR(get_int(object, "big", "h", 0, INT64_MAX), kInput, "18446744073709551615");
  EXPECT_ERROR(get_double(object, "s", "h"), kInput, "'s' must be a number");
  EXPECT_ERROR(get_string(object, "n", "h"), kInput, "'n' must be text");
  EXPECT_ERROR(get_bool_or(object, "n", "h", false), kInput, "true or false");
  EXPECT_ERROR(get_int(Json::array(), "n", "h", 0, 1), kInput, "expected an object");
}

TEST(Json, DumpIsSafeForAnyTextAndRefusesNonFiniteNumbers) {
  EXPECT_EQ(dump_json(Json{{"t", "a\xFF"}}), "{\"t\":\"a\xEF\xBF\xBD\"}");
  EXPECT_ERROR(dump_json(Json{{"loss", std::numeric_limits<double>::quiet_NaN()}}), kNonFinite, "'loss'");
  EXPECT_ERROR(dump_json(Json{{"x", {1.0, -std::numeric_limits<double>::infinity()}}}), kNonFinite, "'x'");
}

TEST(Json, NumbersReadBackExactly) {
  for (const double value : {0.1, 1.0 / 3, 1e-300, 123456789.123456789, static_cast<double>(0.1f)}) {
    EXPECT_EQ(parse_json(dump_json(Json(value)), "h").get<double>(), value);
  }
}

}  // namespace
}  // namespace cohort

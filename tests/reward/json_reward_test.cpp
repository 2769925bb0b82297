// The reward `json`: values, and the keywords of its schemas.
#include <ctime>
#include <fstream>
#include <limits>

#include "tests/reward/shape_fixture.h"

namespace cohort {
namespace {

TEST(JsonReward, ValueAndSchema) {
  EXPECT_EQ(score("json", Json::object(), "{\"a\": [1, 2.5, null]}"), 1.0);
  EXPECT_EQ(score("json", Json::object(), " ```json\n{\"a\": 1}\n``` "), 1.0);
  EXPECT_EQ(score("json", Json::object(), "<think>{</think>\n[]"), 1.0);
  for (const char* text :
       {"", "{", "{\"a\": 1} and more", "{a: 1}", "{\"a\": 1, \"a\": 2}", "```python\n{}\n```", "\xFF"})
    EXPECT_EQ(score("json", Json::object(), text), 0.0) << text;
  const Json schema = parse_json(R"({"type": "object", "required": ["name", "age"], "additionalProperties": false,
      "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 3},
                     "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
                     "tags": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1, "maxItems": 2},
                     "more": {"anyOf": [{"type": "null"}, {"const": 7}]}, "size": {"type": ["number", "null"]}}})",
                                 "schema");
  const std::vector<std::pair<std::string, double>> rows = {{R"({"name": "Ann", "age": 5})", 1},
                                                            {R"({"name": "Ann", "age": 5.0})", 1},
                                                            {R"({"name": "Ann", "age": 5.5})", 0},
                                                            {R"({"name": "Ann"})", 0},
                                                            {R"({"name": "", "age": 5})", 0},
                                                            {R"({"name": "\u00e9\u00e9\u00e9", "age": 5})", 1},
                                                            {R"({"name": "Anna", "age": 5})", 0},
                                                            {R"({"name": "Ann", "age": -1})", 0},
                                                            {R"({"name": "Ann", "age": 150})", 0},
                                                            {R"({"name": "Ann", "age": 5, "x": 1})", 0},
                                                            {R"({"name": "Ann", "age": 5, "tags": ["x"]})", 1},
                                                            {R"({"name": "Ann", "age": 5, "tags": []})", 0},
                                                            {R"({"name": "Ann", "age": 5, "tags": ["z"]})", 0},
                                                            {R"({"name": "Ann", "age": 5, "tags": ["x","y","x"]})", 0},
                                                            {R"({"name": "Ann", "age": 5, "more": 7})", 1},
                                                            {R"({"name": "Ann", "age": 5, "more": 8})", 0},
                                                            {R"({"name": "Ann", "age": 5, "size": null})", 1},
                                                            {R"([])", 0}};
  for (const auto& [text, expected] : rows) EXPECT_EQ(score("json", {{"schema", schema}}, text), expected) << text;
  EXPECT_SAYS(refusal("json", {{"schema", {{"requird", {"a"}}}}}),
              "unknown keyword 'requird'; did you mean 'required'?");
  EXPECT_SAYS(refusal("json", {{"schema", {{"type", "text"}}}}), "schema.type: type \"text\" is unknown");
  EXPECT_SAYS(refusal("json", {{"schema", {{"properties", {{"a", {{"minItems", -1}}}}}}}}),
              "schema.properties.a.minItems: found -1");
  EXPECT_SAYS(refusal("json", {{"schema", 5}}), "a schema is an object or a boolean, found 5");
  EXPECT_SAYS(refusal("json", {{"schema", {{"minimum", std::numeric_limits<double>::infinity()}}}}), "allowed is a number");
}

// Numbers that the JSON library takes for one another, objects in another order, and more work than anybody waits for.
TEST(JsonReward, ValuesAreComparedAsWhatTheyAre) {
  const auto fits = [](const char* schema, const std::string& text) { return score("json", {{"schema", parse_json(schema, "test")}}, text); };
  EXPECT_EQ(fits(R"({"const": -1})", "18446744073709551615"), 0.0);
  EXPECT_EQ(fits(R"({"maximum": -1})", "18446744073709551615"), 0.0);
  EXPECT_EQ(fits(R"({"enum": [[9007199254740993]]})", "[9007199254740992.0]"), 0.0);
  EXPECT_EQ(fits(R"({"minimum": 9007199254740993})", "9007199254740992.0"), 0.0);
  EXPECT_EQ(fits(R"({"const": 5})", "5.0"), 1.0);
  EXPECT_EQ(fits(R"({"const": true})", "1"), 0.0);
  EXPECT_EQ(fits(R"({"const": {"a": 1, "b": [2]}})", R"({"b": [2], "a": 1})"), 1.0);
  EXPECT_EQ(fits(R"({"const": {"a": 1, "b": 2}})", R"({"a": 1, "c": 2})"), 0.0);
  EXPECT_EQ(fits("true", std::string("5\0 and more", 11)), 0.0) << "a NUL character ends nothing";
  std::string many = "[0";
  for (int i = 0; i < 300'000; ++i) many += ",0";
  EXPECT_EQ(fits(R"({"items": {"anyOf": [{"const": 1}, {"const": 2}, {"type": "integer"}]}})", many + "]"), 0.0);
  EXPECT_EQ(fits(R"({"items": {"type": "integer"}})", many + "]"), 1.0);
}

// tests/golden/schema: what Python's jsonschema says of the same schemas and values.
TEST(JsonReward, JudgesAsJsonschemaDoes) {
  std::ifstream file(GOLDEN_DIR "/schema/cases.jsonl");
  std::string line;
  std::getline(file, line);
  const Json values = parse_json(line, "cases.jsonl");
  int cases = 0;
  for (; std::getline(file, line); ++cases) {
    const Json row = parse_json(line, "cases.jsonl");
    const std::string& fits = row["fits"].get_ref<const std::string&>();
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(score("json", {{"schema", row["schema"]}}, values[i].dump()), fits.at(i) == 'y' ? 1.0 : 0.0) << row["schema"] << " " << values[i];
  }
  EXPECT_EQ(cases, 128);
}

TEST(JsonReward, ReferencesPatternsAndTheirRefusals) {
  const auto refused = [](const char* schema) { return refusal("json", {{"schema", parse_json(schema, "test")}}); };
  EXPECT_SAYS(refused(R"({"$ref": "other.json"})"), R"(schema.$ref: found "other.json"; allowed are "#" and "#/$defs/NAME" of a NAME that is there)");
  EXPECT_SAYS(refused(R"({"$ref": "#/$defs/b", "$defs": {"a": true}})"), "schema.$ref: found \"#/$defs/b\"");
  EXPECT_SAYS(refused(R"({"$ref": "#"})"), "the schema refers to itself at the same value");
  EXPECT_SAYS(refused(R"({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"anyOf": [true, {"not": {"$ref": "#/$defs/a"}}]}}})"), "refers to itself");
  EXPECT_SAYS(refused(R"({"oneOf": []})"), "schema.oneOf: found []; allowed is a list of schemas");
  EXPECT_SAYS(refused(R"({"not": 1})"), "schema.not: a schema is an object or a boolean, found 1");
  EXPECT_SAYS(refused(R"({"pattern": "("})"), "schema.pattern: the pattern ( does not compile");
  EXPECT_SAYS(refused(R"({"pattern": 1})"), "schema.pattern: found 1; allowed is a text");
  EXPECT_SAYS(refused(R"({"properties": {"a": {"if": {}}}})"), "schema.properties.a: unknown keyword 'if'");
  EXPECT_SAYS(refused(R"({"type": "strng"})"), "type \"strng\" is unknown; did you mean 'string'?");
  EXPECT_SAYS(refused(R"({"$ref": "#/$defs/nod", "$defs": {"node": true}})"), "did you mean '#/$defs/node'?");
  std::string chain = R"({"$ref": "#/$defs/0", "$defs": {"400": true)";
  for (int i = 0; i < 400; ++i) chain += ", \"" + std::to_string(i) + R"(": {"$ref": "#/$defs/)" + std::to_string(i + 1) + "\"}";
  EXPECT_SAYS(refused((chain + "}}").c_str()), "references to references, more than 300 of them");
  const auto fits = [](const char* schema, const std::string& text) { return score("json", {{"schema", parse_json(schema, "test")}}, text); };
  EXPECT_EQ(fits(R"({"pattern": "^a$"})", "\"a\\n\""), 0.0) << "as ECMA 262 has it: $ is the end";
  // What takes more than the budget fits nothing, neither a schema nor its contrary.
  const std::string slow = "\"" + std::string(5000, 'a') + "\"";
  EXPECT_EQ(fits(R"({"pattern": "^(a|aa)+$b"})", slow), 0.0);
  EXPECT_EQ(fits(R"({"not": {"pattern": "^(a|aa)+$b"}})", slow), 0.0);
  EXPECT_EQ(fits(R"({"oneOf": [true, {"pattern": "^(a|aa)+$b"}]})", slow), 0.0);
  EXPECT_EQ(fits(R"({"not": {"pattern": "^(a|aa)+$b"}})", "\"aaa\""), 1.0);
}

// PCRE2 looks through all of a text for a letter that a match needs, before it takes a step.
TEST(JsonReward, PatternsOfManyReferencesTakeBoundedTime) {
  std::string schema = R"({"$ref": "#/$defs/0", "$defs": {"24": {"pattern": "zq$"})";
  for (int i = 0; i < 24; ++i) {
    const std::string next = R"({"$ref": "#/$defs/)" + std::to_string(i + 1) + "\"}";
    schema += ", \"" + std::to_string(i) + R"(": {"anyOf": [)" + next + ", " + next + "]}";
  }
  const std::string text = "\"" + std::string(size_t{1} << 23, 'a') + "\"";
  const std::clock_t start = std::clock();
  EXPECT_EQ(score("json", {{"schema", parse_json(schema + "}}", "test")}}, text), 0.0);
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, 5) << "it is a tenth of a second; without the limit half a minute";
}

}  // namespace
}  // namespace cohort

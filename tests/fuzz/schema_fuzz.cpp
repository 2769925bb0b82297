// Any two texts, parted by the first line break, as a schema of the reward `json` and as a completion: the schema is refused with exit
// code 2, or each value fits it or not, within 50 ms and 64 MB; and the laws that hold for every schema and value hold.
#include <cstdlib>
#include <optional>
#include <string_view>

#include "core/check.h"
#include "reward/json_schema.h"
#include "reward/rewards.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"{\"type\": \"object\", \"required\": [\"a\"], \"additionalProperties\": false, \"properties\": {\"a\": {\"type\": [\"integer\", "
               "\"null\"], \"minimum\": 0, \"exclusiveMaximum\": 10.5}}}\n{\"a\": 3}",
               "{\"type\": \"array\", \"items\": {\"anyOf\": [{\"const\": {\"b\": 1, \"c\": [2]}}, {\"enum\": [\"x\", null, true]}]}, \"minItems\": "
               "1, \"maxItems\": 3}\n[{\"c\": [2.0], \"b\": 1}, \"x\"]",
               "{\"minLength\": 1, \"maxLength\": 4, \"title\": \"t\", \"default\": {}, \"examples\": []}\n```json\n\"\\u00e9\\ud83d\\ude00\"\n```",
               "{\"const\": -1}\n18446744073709551615", "{\"maximum\": 9007199254740993}\n9007199254740992.0", "true\n<think>{</think>[]",
               "{\"exclusiveMinimum\": -1e308, \"additionalProperties\": {\"type\": \"number\"}}\n{\"x\": 1e308, \"y\": -0.0}",
               "{\"requird\": []}\n1", "{\"items\": {\"items\": {\"items\": {}}}}\n[[[[]]]]",
               "{\"$defs\": {\"a\": {\"pattern\": \"^[a-z]+(b|c)*$\"}, \"b\": {\"items\": {\"$ref\": \"#\"}}}, \"oneOf\": [{\"$ref\": \"#/$defs/a\"}, "
               "{\"allOf\": [{\"type\": \"array\"}, {\"$ref\": \"#/$defs/b\"}]}]}\n[\"abc\", [\"x\"]]",
               "{\"not\": {\"not\": {\"$ref\": \"#/$defs/a\"}}, \"$defs\": {\"a\": {\"not\": {\"$ref\": \"#\"}}}}\n1"});
  return 0;
}

namespace {

std::optional<Json> read(std::string_view text) {
  try {
    return parse_json(text, "fuzz");
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
    return std::nullopt;
  }
}

bool is_known(const Json& schema) {
  try {
    const JsonSchema read(schema, "fuzz");
    return true;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) std::abort();
    return false;
  }
}

bool fits_schema(const Json& value, const Json& schema) { return JsonSchema(schema, "fuzz").fits(value); }

void check_laws(const Json& value, const Json& schema, bool fits) {
  // So small that no budget ends; the places of references change, and patterns and references can spend it quickly.
  const std::string text = schema.dump();
  if (text.size() * value.dump().size() > 100'000 || text.find("$ref") != text.npos || text.find("pattern") != text.npos) return;
  // Braces would take an array of one for its element, and one of pairs for an object.
  const auto list = [](std::initializer_list<Json> items) {
    Json array = Json::array();
    for (const Json& item : items) array.push_back(item);
    return array;
  };
  const auto with = [](const char* key, const Json& member) {
    Json object = Json::object();
    object[key] = member;
    return object;
  };
  const auto must = [](bool law) {
    if (!law) std::abort();
  };
  must(fits_schema(value, schema) == fits);
  must(fits_schema(value, with("anyOf", list({schema}))) == fits);
  must(fits_schema(value, with("anyOf", list({schema, true}))));
  must(!fits_schema(value, false));
  must(fits_schema(value, with("not", schema)) != fits);
  must(fits_schema(value, with("oneOf", list({schema, false}))) == fits);
  must(!fits_schema(value, with("oneOf", list({schema, schema}))));
  must(fits_schema(value, with("allOf", list({schema, true, schema}))) == fits);
  must(fits_schema(value, with("const", value)));
  must(fits_schema(value, with("enum", list({schema, value}))));
  must(fits_schema(list({value}), with("items", schema)) == fits);
  must(fits_schema(with("x", value), with("properties", with("x", schema))) == fits);
  Json others = with("properties", with("y", false));
  others["additionalProperties"] = schema;
  must(fits_schema(with("x", value), others) == fits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t split = std::min(text.find('\n'), text.size());
  const std::string_view completion = text.substr(std::min(split + 1, text.size()));
  std::optional<double> score;
  std::optional<Json> schema;
  {
    const FuzzLimits limits;
    schema = read(text.substr(0, split));
    if (!schema || !is_known(*schema)) return 0;
    score = make_json({.name = "json", .options = {{"schema", *schema}}})->score({.completion = completion, .columns = nullptr});
  }
  if (score != 0.0 && score != 1.0) std::abort();
  if (const std::optional<Json> value = read(completion)) {
    const bool fits = fits_schema(*value, *schema), whole = completion.find("</think>") == completion.npos;
    if (whole && fits != (score == 1.0)) std::abort();
    check_laws(*value, *schema, fits);
  }
  return 0;
}

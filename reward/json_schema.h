// A part of JSON Schema (draft 2020-12): what says the shape of an answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/json.h"

namespace cohort {

// Known: type (a name or a list of names), enum, const, properties, required, additionalProperties (a boolean or a schema), items,
// minItems, maxItems, minLength, maxLength (code points), minimum, maximum, exclusiveMinimum, exclusiveMaximum, pattern (PCRE2, found
// anywhere), allOf, anyOf, oneOf, not, $ref to "#" or "#/$defs/NAME" (also definitions), and the notes title, description, $schema, examples,
// default, which say nothing.
class JsonSchema {
 public:
  // Throws (exit code 2) for a schema that is not understood to its last keyword; `where` leads the message.
  JsonSchema(Json schema, const std::string& where);
  JsonSchema(JsonSchema&&) noexcept;
  ~JsonSchema();

  // 5.0 is an integer. Integers of up to 64 bits are compared exactly, all other numbers as the doubles that they were read as. No also when
  // that takes more than kMaxSchemaSteps looks at a keyword, a member, an item or a character for a pattern.
  bool fits(const Json& value) const;

 private:
  struct Read;
  std::unique_ptr<Read> read_;
};

constexpr int64_t kMaxSchemaSteps = 1'000'000;

}  // namespace cohort

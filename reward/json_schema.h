// A part of JSON Schema (draft 2020-12): what says the shape of an answer, without references and patterns.
#pragma once

#include <string>
#include <string_view>

#include "core/json.h"

namespace cohort {

// Throws (exit code 2) for a schema that is not understood to its last keyword; `where` leads the message. Known: type
// (a name or a list of names), enum, const, properties, required, additionalProperties (a boolean or a schema), items,
// minItems, maxItems, minLength, maxLength (code points), minimum, maximum, exclusiveMinimum, exclusiveMaximum, anyOf,
// and the notes title, description, $schema, examples, default, which say nothing.
void check_schema(const Json& schema, const std::string& where);

// Does `value` fit a schema that check_schema accepts? 5.0 is an integer. Integers of up to 64 bits are compared exactly, all
// other numbers as the doubles that they were read as. No also when that takes more than kMaxSchemaSteps looks at a keyword, a member or an item.
constexpr size_t kMaxSchemaSteps = 1'000'000;
bool fits_schema(const Json& value, const Json& schema);

}  // namespace cohort

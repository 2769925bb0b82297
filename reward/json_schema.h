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

// Does `value` fit a schema that check_schema accepts? 5.0 is an integer, as the standard says.
bool fits_schema(const Json& value, const Json& schema);

}  // namespace cohort

// Values as text: str() and json.dumps() of Python.
#pragma once

#include <optional>
#include <string>

#include "model/text/jinja_meter.h"
#include "model/text/jinja_value.h"

namespace cohort::jinja {

// str(value); undefined is "". What Python prints as an address or not as data (a function, an
// iterator, a view of a dict) is refused.
std::string to_text(const Value& value, Meter& meter);

// json.dumps's arguments, as the filter tojson of transformers takes them.
struct JsonStyle {
  std::optional<int> indent;
  std::string item_separator = ", ", key_separator = ": ";
  bool ensure_ascii = false, sort_keys = false;
};
std::string to_json(const Value& value, const JsonStyle& style, Meter& meter);

}  // namespace cohort::jinja

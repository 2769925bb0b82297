// Python's operators on values: texts, equality, order, membership, arithmetic, subscripts, JSON.
#pragma once

#include <string>
#include <string_view>

#include "model/text/jinja_meter.h"
#include "model/text/jinja_value.h"

namespace cohort::jinja {

// str(value); undefined is "". A list or dict is refused: templates that mean JSON say tojson.
std::string to_text(const Value& value, const Meter& meter);
// json.dumps(value, ensure_ascii=False, indent=indent), as transformers defines the filter; indent
// < 0: one line.
std::string to_json(const Value& value, int indent, Meter& meter);

bool equal(const Value& a, const Value& b, Meter& meter);
// op: == != < <= > >= in "not in"
bool compare(const Value& a, std::string_view op, const Value& b, Meter& meter);
// op: + - * // % ~
Value arithmetic(const Value& a, std::string_view op, const Value& b, Meter& meter);

// value.name; undefined when there is none.
Value attribute(const Value& value, const std::string& name, const Meter& meter);
Value subscript(const Value& value, const Value& index, Meter& meter);
// value[start:stop:step]; bounds are integers or none.
Value slice(const Value& value, const Value& start, const Value& stop, const Value& step,
            Meter& meter);

// What `for` runs over: items of a list, characters of a text, keys of a dict, nothing for
// undefined.
std::vector<Value> iterate(const Value& value, Meter& meter);

}  // namespace cohort::jinja

// Python's operators on values: equality, order, membership, arithmetic, subscripts.
#pragma once

#include <string>
#include <string_view>

#include "model/text/jinja_meter.h"
#include "model/text/jinja_value.h"

namespace cohort::jinja {

bool equal(const Value& a, const Value& b, Meter& meter);
// op: == != < <= > >= in "not in"
bool compare(const Value& a, std::string_view op, const Value& b, Meter& meter);
// op: + - * / // % ~
Value arithmetic(const Value& a, std::string_view op, const Value& b, Meter& meter);
Value negate(const Value& value, Meter& meter);

// value.name; undefined when there is none. A method that is not called is refused.
Value attribute(const Value& value, const std::string& name, Meter& meter);
Value subscript(const Value& value, const Value& index, Meter& meter);
// value[start:stop:step]; bounds are integers or none.
Value slice(const Value& value, const Value& start, const Value& stop, const Value& step,
            Meter& meter);

// What `for` runs over: items of a list, characters of a text, keys of a dict, nothing for
// undefined.
std::vector<Value> iterate(const Value& value, Meter& meter);

}  // namespace cohort::jinja

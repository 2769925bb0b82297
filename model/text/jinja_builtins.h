// The filters, tests, methods and functions that templates may call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/text/jinja_meter.h"
#include "model/text/jinja_value.h"

namespace cohort::jinja {

struct Call {
  std::string_view name;
  Value self;  // what stands before | or . or `is`; unused by functions
  std::vector<Value> arguments;
  const std::vector<std::string>& names;  // of the arguments, "" for positional
  Meter& meter;

  // The argument at `position` or named `key`, or nullptr.
  const Value* find(size_t position, std::string_view key = "") const;
  void take_at_most(size_t count) const;
};

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
bool is_method(std::string_view name);
std::string filter_names();
std::string test_names();
std::string method_names();

Value call_filter(const Call& call);
bool call_test(const Call& call);
Value call_method(const Call& call);
// range, namespace, raise_exception; any other name is refused.
Value call_function(const Call& call);

}  // namespace cohort::jinja

// The filters, tests, methods and functions that templates may call.
#pragma once

#include <ctime>
#include <initializer_list>
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
  const std::tm* now = nullptr;  // what strftime_now prints; null: the caller has no clock

  // The arguments by the names of Python's signature, null where absent. Refuses all others.
  std::vector<const Value*> bind(std::initializer_list<std::string_view> parameters) const;
  void take_none() const { bind({}); }
  // `value` as a text, a whole number or a condition; `what` is the parameter's name.
  const std::string& text(const Value* value, std::string_view what) const;
  int64_t integer(const Value* value, std::string_view what, int64_t fallback) const;
  static bool flag(const Value* value) { return value && value->truthy(); }
};

template <typename Function>
struct Entry {
  std::string_view name;
  Function function;
};
using Function = Value (*)(const Call&);
using Test = bool (*)(const Call&);

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
bool is_method(std::string_view name);
// The attributes of Python's dict, which `.name` finds before a key.
bool is_dict_attribute(std::string_view name);
bool is_function(std::string_view name);
std::string filter_names();
std::string test_names();
std::string method_names();
std::string function_names();

// The name is one for which is_...(name) holds.
Value call_filter(const Call& call);
bool call_test(const Call& call);
Value call_method(const Call& call);
Value call_function(const Call& call);

// Filters of lists (jinja_list_filters.cpp), rows of the table in jinja_filters.cpp.
Value join(const Call& call);
Value items_of(const Call& call);
Value first_or_last(const Call& call);
Value select(const Call& call);  // select, reject, selectattr, rejectattr
Value map(const Call& call);
Value sort(const Call& call);
Value dictsort(const Call& call);
Value unique(const Call& call);
Value reverse(const Call& call);

// What filters and methods of one name share.
Value stripped(const Call& call);  // strip, lstrip, rstrip; the filter trim
Value replaced(const Call& call);

template <typename Table>
const auto* find_entry(const Table& table, std::string_view name) {
  for (const auto& entry : table)
    if (entry.name == name) return &entry;
  return static_cast<decltype(std::begin(table))>(nullptr);
}
template <typename Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& entry : table) names.append(names.empty() ? "" : ", ").append(entry.name);
  return names;
}

}  // namespace cohort::jinja

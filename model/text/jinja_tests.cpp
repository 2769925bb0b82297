// The tests: what may stand behind `is`.
#include "model/text/jinja_builtins.h"
#include "model/text/jinja_operators.h"

namespace cohort::jinja {
namespace {

bool is_iterable(const Call& call) {
  return call.self.as_text() || call.self.as_list() || call.self.as_dict() ||
         call.self.is_undefined();
}

bool is_sequence(const Call& call) {
  const List* list = call.self.as_list();
  if (list) return list->kind != ListKind::view && list->kind != ListKind::iterator;
  return is_iterable(call);
}

const Value& argument(const Call& call) {
  const Value* value = call.bind({"other"})[0];
  if (!value) call.meter.error("'{}' needs one argument", call.name);
  return *value;
}

bool is_divisible(const Call& call) {
  const Value rest = arithmetic(call.self, "%", argument(call), call.meter);
  return equal(rest, Value::integer(0), call.meter);
}
template <int Remainder>
bool is_parity(const Call& call) {
  const Value rest = arithmetic(call.self, "%", Value::integer(2), call.meter);
  return equal(rest, Value::integer(Remainder), call.meter);
}

bool is_equal_to(const Call& call) { return equal(call.self, argument(call), call.meter); }
bool is_unequal(const Call& call) { return !is_equal_to(call); }
bool is_in(const Call& call) { return compare(call.self, "in", argument(call), call.meter); }
bool is_less(const Call& call) { return compare(call.self, "<", argument(call), call.meter); }
bool is_most(const Call& call) { return compare(call.self, "<=", argument(call), call.meter); }
bool is_greater(const Call& call) { return compare(call.self, ">", argument(call), call.meter); }
bool is_least(const Call& call) { return compare(call.self, ">=", argument(call), call.meter); }

constexpr Entry<Test> kTests[] = {
    {"defined", [](const Call& call) { return !call.self.is_undefined(); }},
    {"undefined", [](const Call& call) { return call.self.is_undefined(); }},
    {"none", [](const Call& call) { return call.self.is_none(); }},
    {"string", [](const Call& call) { return call.self.as_text() != nullptr; }},
    {"number",
     [](const Call& call) {
       return call.self.as_integer() || call.self.as_bool() || call.self.as_real();
     }},
    {"integer", [](const Call& call) { return call.self.as_integer() != nullptr; }},
    {"float", [](const Call& call) { return call.self.as_real() != nullptr; }},
    {"boolean", [](const Call& call) { return call.self.as_bool() != nullptr; }},
    {"true", [](const Call& call) { return call.self.as_bool() && *call.self.as_bool(); }},
    {"false", [](const Call& call) { return call.self.as_bool() && !*call.self.as_bool(); }},
    {"mapping", [](const Call& call) { return call.self.as_dict() != nullptr; }},
    {"callable", [](const Call& call) { return call.self.as_callable() != nullptr; }},
    {"iterable", is_iterable},
    {"sequence", is_sequence},
    {"odd", is_parity<1>},
    {"even", is_parity<0>},
    {"divisibleby", is_divisible},
    {"in", is_in},
    {"equalto", is_equal_to},
    {"eq", is_equal_to},
    {"==", is_equal_to},
    {"ne", is_unequal},
    {"!=", is_unequal},
    {"lt", is_less},
    {"<", is_less},
    {"lessthan", is_less},
    {"le", is_most},
    {"<=", is_most},
    {"gt", is_greater},
    {">", is_greater},
    {"greaterthan", is_greater},
    {"ge", is_least},
    {">=", is_least},
};

}  // namespace

bool is_test(std::string_view name) { return find_entry(kTests, name) != nullptr; }
std::string test_names() { return names_of(kTests); }
bool call_test(const Call& call) { return find_entry(kTests, call.name)->function(call); }

}  // namespace cohort::jinja

// Equality, order, membership and arithmetic. Whatever Python would raise, and whatever no chat
// template has a use for, is refused with the line.
#include "model/text/jinja_operators.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "model/text/jinja_guards.h"
#include "model/text/jinja_print.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

// True and False are 1 and 0, as in Python.
std::optional<int64_t> integer_of(const Value& value) {
  if (const int64_t* n = value.as_integer()) return *n;
  if (const bool* b = value.as_bool()) return *b;
  return std::nullopt;
}

// Its 64 bits of mantissa hold every integer and every double, so that comparisons are exact.
static_assert(__LDBL_MANT_DIG__ >= 64 || sizeof(long double) > 8);
std::optional<long double> number_of(const Value& value) {
  if (const auto n = integer_of(value)) return static_cast<long double>(*n);
  if (const double* x = value.as_real()) return static_cast<long double>(*x);
  return std::nullopt;
}

bool contains(const Value& container, const Value& item, Meter& meter) {
  if (container.is_undefined()) return false;
  if (const std::string* text = container.as_text()) {
    const std::string* part = item.as_text();
    if (!part) meter.error("'in' a text needs a text, not {}", item.type_name());
    meter.charge((text->size() + part->size()) * 2);
    return find_text(Unguarded(*text).text(), Unguarded(*part).text()) != text->npos;
  }
  if (container.as_list()) {
    const std::vector<Value> items = iterate(container, meter);
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& v) { return equal(v, item, meter); });
  }
  if (const Dict* dict = container.as_dict()) {
    meter.charge(dict->items.size() * 8 + (item.as_text() ? item.as_text()->size() : 0));
    return item.as_text() && dict->find(*item.as_text());
  }
  meter.error("'in' needs a text, list or dict, not {}", container.type_name());
}

int64_t floor_divide(int64_t a, int64_t b) {
  return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

Value integer_arithmetic(int64_t a, std::string_view op, int64_t b, const Meter& meter) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") overflow = __builtin_add_overflow(a, b, &result);
  if (op == "-") overflow = __builtin_sub_overflow(a, b, &result);
  if (op == "*") overflow = __builtin_mul_overflow(a, b, &result);
  if (op == "//" || op == "%" || op == "/") {
    if (b == 0) meter.error("division by zero");
    // Python rounds a quotient of integers once; long double would round twice where it is inexact.
    constexpr int64_t kExact = int64_t{1} << 53;
    if (op == "/") {
      if (std::max(a, b) > kExact || std::min(a, b) < -kExact)
        meter.error("{} / {} is not supported; supported are numbers up to 2^53", a, b);
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    }
    overflow = a == INT64_MIN && b == -1;
    if (!overflow) result = op == "//" ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  }
  if (overflow) meter.error("{} {} {} does not fit 64 bits", a, op, b);
  return Value::integer(result);
}

// CPython's float_divmod: the remainder has the sign of the divisor.
Value real_arithmetic(double a, std::string_view op, double b, const Meter& meter) {
  if (op == "+") return Value::real(a + b);
  if (op == "-") return Value::real(a - b);
  if (op == "*") return Value::real(a * b);
  if (b == 0) meter.error("division by zero");
  if (op == "/") return Value::real(a / b);
  double rest = std::fmod(a, b), quotient = (a - rest) / b;
  if (rest == 0) {
    rest = std::copysign(0.0, b);
  } else if ((b < 0) != (rest < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (op == "%") return Value::real(rest);
  double whole = std::floor(quotient);
  if (quotient - whole > 0.5) whole += 1;
  return Value::real(quotient == 0 ? std::copysign(0.0, a / b) : whole);
}

Value repeat(const std::string& text, int64_t times, Meter& meter) {
  if (times <= 0 || text.empty()) return Value::text("");
  const auto count = static_cast<size_t>(times);
  meter.check_size(count > kMaxText ? kMaxText + 1 : text.size() * count);
  const size_t size = text.size() * count;
  meter.charge(size);
  std::string out = text;
  out.reserve(size);
  while (out.size() < size) out.append(out, 0, size - out.size());  // doubles
  return Value::text(std::move(out));
}

bool same_kind(const List& a, const List& b, ListKind kind) {
  return a.kind == kind && b.kind == kind;
}

}  // namespace

bool equal(const Value& a, const Value& b, Meter& meter) {
  meter.charge();
  if (number_of(a) && number_of(b)) return *number_of(a) == *number_of(b);
  if (a.as_text() && b.as_text()) {
    meter.charge(std::min(a.as_text()->size(), b.as_text()->size()));
    return same_text(*a.as_text(), *b.as_text());
  }
  if (a.as_list() && b.as_list()) {
    const List &x = *a.as_list(), &y = *b.as_list();
    for (const List* list : {&x, &y})
      if (list->kind == ListKind::view || list->kind == ListKind::iterator)
        meter.error("{} == {} is not supported; make them lists first", a.type_name(),
                    b.type_name());
    return x.kind == y.kind &&
           std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(),
                      [&](const Value& v, const Value& w) { return equal(v, w, meter); });
  }
  if (a.as_dict() && b.as_dict()) {
    const Dict &x = *a.as_dict(), &y = *b.as_dict();
    return x.items.size() == y.items.size() &&
           std::all_of(x.items.begin(), x.items.end(), [&](const auto& item) {
             meter.charge(y.items.size() * 8);
             const Value* other = y.find(item.first);
             return other && equal(item.second, *other, meter);
           });
  }
  if (a.as_namespace() && b.as_namespace()) return a.as_namespace() == b.as_namespace();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool compare(const Value& a, std::string_view op, const Value& b, Meter& meter) {
  if (op == "==") return equal(a, b, meter);
  if (op == "!=") return !equal(a, b, meter);
  if (op == "in") return contains(b, a, meter);
  if (op == "not in") return !contains(b, a, meter);
  meter.charge();
  if (number_of(a) && number_of(b)) {
    const long double x = *number_of(a), y = *number_of(b);  // each is false for NaN
    return op == "<" ? x < y : op == "<=" ? x <= y : op == ">" ? x > y : x >= y;
  }
  if (!a.as_text() || !b.as_text()) {
    for (const Value* value : {&a, &b})
      if (value->is_undefined()) meter.error("'{}' is undefined", value->undefined_name());
    meter.error("{} {} {} is not supported", a.type_name(), op, b.type_name());
  }
  meter.charge(std::min(a.as_text()->size(), b.as_text()->size()));
  const int order = compare_texts(*a.as_text(), *b.as_text());
  return op == "<" ? order < 0 : op == "<=" ? order <= 0 : op == ">" ? order > 0 : order >= 0;
}

Value arithmetic(const Value& a, std::string_view op, const Value& b, Meter& meter) {
  meter.charge();
  if (op == "~") {
    std::string text = to_text(a, meter);
    return meter.text(text += to_text(b, meter));
  }
  if (integer_of(a) && integer_of(b))
    return integer_arithmetic(*integer_of(a), op, *integer_of(b), meter);
  if (number_of(a) && number_of(b))
    return real_arithmetic(static_cast<double>(*number_of(a)), op,
                           static_cast<double>(*number_of(b)), meter);
  if (op == "+" && a.as_text() && b.as_text()) return meter.text(*a.as_text() + *b.as_text());
  if (op == "*" && a.as_text() && integer_of(b)) return repeat(*a.as_text(), *integer_of(b), meter);
  if (op == "*" && b.as_text() && integer_of(a)) return repeat(*b.as_text(), *integer_of(a), meter);
  if (op == "+" && a.as_list() && b.as_list()) {
    const List &x = *a.as_list(), &y = *b.as_list();
    for (const ListKind kind : {ListKind::list, ListKind::tuple}) {
      if (!same_kind(x, y, kind)) continue;
      meter.charge((x.items.size() + y.items.size()) * 64);
      std::vector<Value> items = x.items;
      items.insert(items.end(), y.items.begin(), y.items.end());
      return meter.list(std::move(items), kind);
    }
  }
  for (const Value* value : {&a, &b})
    if (value->is_undefined()) meter.error("'{}' is undefined", value->undefined_name());
  meter.error("{} {} {} is not supported", a.type_name(), op, b.type_name());
}

Value negate(const Value& value, Meter& meter) {
  if (const double* x = value.as_real()) return Value::real(-*x);
  if (value.is_undefined()) meter.error("'{}' is undefined", value.undefined_name());
  if (!integer_of(value)) meter.error("-{} is not supported", value.type_name());
  return integer_arithmetic(0, "-", *integer_of(value), meter);
}

}  // namespace cohort::jinja

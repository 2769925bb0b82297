// The filters, in a table by name; those of lists are in jinja_list_filters.cpp.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "model/text/jinja_builtins.h"
#include "model/text/jinja_guards.h"
#include "model/text/jinja_operators.h"
#include "model/text/jinja_print.h"
#include "model/text/jinja_strings.h"

namespace cohort::jinja {
namespace {

constexpr int kMaxIndent = 256;

Value length(const Call& call) {
  call.take_none();
  if (const std::string* text = call.self.as_text()) {
    call.meter.charge(text->size());
    return Value::integer(count_characters(*text));
  }
  if (const List* list = call.self.as_list(); list && list->kind != ListKind::iterator)
    return Value::integer(static_cast<int64_t>(list->items.size()));
  if (const Dict* dict = call.self.as_dict())
    return Value::integer(static_cast<int64_t>(dict->items.size()));
  if (call.self.is_undefined()) return Value::integer(0);
  call.meter.error("{} has no length", call.self.type_name());
}

Value default_to(const Call& call) {
  const auto arguments = call.bind({"default_value", "boolean"});
  const bool missing =
      call.self.is_undefined() || (Call::flag(arguments[1]) && !call.self.truthy());
  if (!missing) return call.self;
  return arguments[0] ? *arguments[0] : Value::text("");
}

Value json(const Call& call) {
  const auto arguments = call.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{.ensure_ascii = Call::flag(arguments[0]), .sort_keys = Call::flag(arguments[3])};
  if (arguments[1] && !arguments[1]->is_none()) {
    const int64_t indent = call.integer(arguments[1], "indent", 0);
    if (indent < 0 || indent > 16) call.meter.error("tojson: indent must be a whole number in 0..16");
    style.indent = static_cast<int>(indent);
    style.item_separator = std::string(1, ',');
  }
  if (arguments[2] && !arguments[2]->is_none()) {
    const List* pair = arguments[2]->as_list();
    if (!pair || pair->items.size() != 2)
      call.meter.error("tojson: separators must be two texts");
    style.item_separator = call.text(&pair->items[0], "separators");
    style.key_separator = call.text(&pair->items[1], "separators");
    if (style.item_separator.size() + style.key_separator.size() > kMaxIndent)
      call.meter.error("tojson: separators of more than {} bytes", kMaxIndent);
  }
  return call.meter.text(to_json(call.self, style, call.meter));
}

Value as_string(const Call& call) {
  call.take_none();
  return call.meter.text(to_text(call.self, call.meter));
}

Value as_list(const Call& call) {
  call.take_none();
  return call.meter.list(iterate(call.self, call.meter));
}

template <std::string (*Map)(std::string_view)>
Value mapped(const Call& call) {
  call.take_none();
  const std::string text = to_text(call.self, call.meter);
  call.meter.charge(text.size() * 8);
  return call.meter.text(Map(text));
}

// The number that a text spells, between white space; nothing when it spells none.
template <typename Number>
std::optional<Number> spelled(std::string_view marked, Meter& meter) {
  meter.charge(marked.size() * 8);
  const Unguarded plain(marked);
  std::string_view text = strip(plain.text());
  if (text.starts_with('+') && !text.substr(1).starts_with('-')) text.remove_prefix(1);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

Value to_integer(const Call& call) {
  const auto arguments = call.bind({"default", "base"});
  if (call.integer(arguments[1], "base", 10) != 10) call.meter.error("'int' has base 10 only");
  const Value fallback = arguments[0] ? *arguments[0] : Value::integer(0);
  std::optional<double> real;
  if (const bool* b = call.self.as_bool()) return Value::integer(*b);
  if (call.self.as_integer()) return call.self;
  if (const double* x = call.self.as_real()) real = *x;
  if (const std::string* text = call.self.as_text()) {
    if (const auto number = spelled<int64_t>(*text, call.meter)) return Value::integer(*number);
    real = spelled<double>(*text, call.meter);
  }
  if (!real || !std::isfinite(*real)) return fallback;
  if (std::abs(*real) >= 0x1p63) call.meter.error("'int' of {} does not fit 64 bits", *real);
  return Value::integer(static_cast<int64_t>(*real));
}

Value to_real(const Call& call) {
  const auto arguments = call.bind({"default"});
  if (const bool* b = call.self.as_bool()) return Value::real(*b);
  if (const int64_t* n = call.self.as_integer()) return Value::real(static_cast<double>(*n));
  if (call.self.as_real()) return call.self;
  if (const std::string* text = call.self.as_text())
    if (const auto number = spelled<double>(*text, call.meter)) return Value::real(*number);
  return arguments[0] ? *arguments[0] : Value::real(0);
}

Value absolute(const Call& call) {
  call.take_none();
  if (const double* x = call.self.as_real()) return Value::real(std::abs(*x));
  const int64_t number = call.integer(&call.self, "the value", 0);
  if (number == INT64_MIN) call.meter.error("'abs' of {} does not fit 64 bits", number);
  return Value::integer(number < 0 ? -number : number);
}

// Jinja's do_indent: every line but the first, and no empty one, unless asked.
Value indent(const Call& call) {
  const auto arguments = call.bind({"width", "first", "blank"});
  std::string margin;
  if (arguments[0] && arguments[0]->as_text()) {
    margin = *arguments[0]->as_text();
  } else {
    const int64_t width = call.integer(arguments[0], "width", 4);
    if (width > kMaxIndent) call.meter.error("'indent' by more than {}", kMaxIndent);
    margin.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  if (margin.size() > kMaxIndent) call.meter.error("'indent' by more than {}", kMaxIndent);
  std::string text = to_text(call.self, call.meter);
  text.push_back('\n');
  call.meter.charge(text.size() * 32);  // as many lines as there may be
  const std::vector<std::string> lines = split_lines(text);
  std::string out;
  if (Call::flag(arguments[1])) out = margin;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    if (i > 0 && (Call::flag(arguments[2]) || !lines[i].empty())) out += margin;
    out += lines[i];
    call.meter.charge(lines[i].size() + margin.size());
    call.meter.check_size(out.size());
  }
  return call.meter.text(std::move(out));
}

constexpr Entry<Function> kFilters[] = {
    {"trim", stripped},
    {"upper", mapped<to_upper>},
    {"lower", mapped<to_lower>},
    {"title", mapped<title_words>},
    {"capitalize", mapped<capitalize>},
    {"replace", replaced},
    {"indent", indent},
    {"tojson", json},
    {"string", as_string},
    {"safe", as_string},  // nothing is escaped, so that a safe text is a text
    {"int", to_integer},
    {"float", to_real},
    {"abs", absolute},
    {"length", length},
    {"count", length},
    {"default", default_to},
    {"d", default_to},
    {"list", as_list},
    {"join", join},
    {"items", items_of},
    {"first", first_or_last},
    {"last", first_or_last},
    {"select", select},
    {"reject", select},
    {"selectattr", select},
    {"rejectattr", select},
    {"map", map},
    {"sort", sort},
    {"dictsort", dictsort},
    {"unique", unique},
    {"reverse", reverse},
};

}  // namespace

bool is_filter(std::string_view name) { return find_entry(kFilters, name) != nullptr; }
std::string filter_names() { return names_of(kFilters); }
Value call_filter(const Call& call) { return find_entry(kFilters, call.name)->function(call); }

}  // namespace cohort::jinja

// How arguments meet parameters, and the functions: range, namespace, raise_exception, strftime_now.
#include "model/text/jinja_builtins.h"

#include <algorithm>
#include <array>

#include "model/text/jinja_print.h"

namespace cohort::jinja {
namespace {

Value range(const Call& call) {
  const auto arguments = call.bind({"start", "stop", "step"});
  if (!arguments[0]) call.meter.error("'range' takes 1 to 3 arguments");
  const int64_t only = call.integer(arguments[0], "start", 0);
  const int64_t start = arguments[1] ? only : 0, stop = call.integer(arguments[1], "stop", only),
                step = call.integer(arguments[2], "step", 1);
  if (step == 0) call.meter.error("'range' must not have step 0");
  const double count =
      (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
  if (count > static_cast<double>(kMaxOperations))
    call.meter.error("'range' of more than {} items", kMaxOperations);
  std::vector<Value> items;
  if (count > 0) call.meter.charge(static_cast<size_t>(count) * 64);
  for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return call.meter.list(std::move(items), ListKind::range);
}

Value make_namespace(const Call& call) {
  auto space = std::make_shared<Namespace>();
  std::vector<std::pair<std::string, Value>> items;
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    if (call.names[i].empty()) call.meter.error("'namespace' takes named arguments only");
    if (call.names[i].starts_with('_'))
      call.meter.error("the attribute '{}' of a namespace is not supported", call.names[i]);
    items.emplace_back(call.names[i], call.arguments[i]);
  }
  call.meter.dict(items);  // refuses namespaces and 'loop' inside
  space->items = std::move(items);
  return Value(Value::Data(std::move(space)));
}

Value raise_exception(const Call& call) {
  const Value* message = call.bind({"message"})[0];
  call.meter.error("the template refuses the conversation: {}",
                   message ? to_text(*message, call.meter) : "(no message)");
}

// datetime.now().strftime(format) in the locale C. A directive with a width could ask for gigabytes.
Value strftime_now(const Call& call) {
  const std::string& format = call.text(call.bind({"format"})[0], "format");
  if (!call.now)
    call.meter.error(
        "the template asks for the time (strftime_now), but a run must not change with the day: "
        "set data.now: 2026-01-31T00:00:00");
  std::string out;
  for (size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out.push_back(format[at]);
      continue;
    }
    std::string directive = "%";
    if (format.compare(at + 1, 1, "-") == 0) directive.push_back(format[++at]);
    const char letter = ++at < format.size() ? format[at] : '\0';
    constexpr std::string_view kPadded = "deHIjmMSUWwyYVGu", kOthers = "aAbBpcxXFTDR%";
    directive.push_back(letter);
    const bool plain = directive.size() == 2 && kOthers.find(letter) != kOthers.npos;
    if (letter == '\0' || (kPadded.find(letter) == kPadded.npos && !plain))
      call.meter.error("strftime_now: the directive '{}' is not supported; supported are %{} and %{}",
                       directive.substr(0, directive.size() - (letter == '\0')),
                       fmt::join(kPadded, " %"), fmt::join(kOthers, " %"));
    std::array<char, 64> buffer;
    out.append(buffer.data(),
               std::strftime(buffer.data(), buffer.size(), directive.c_str(), call.now));
    call.meter.charge(64 * 8);
  }
  return call.meter.text(std::move(out));
}

constexpr Entry<Function> kFunctions[] = {
    {"range", range},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

std::vector<const Value*> Call::bind(std::initializer_list<std::string_view> parameters) const {
  std::vector<const Value*> bound(parameters.size(), nullptr);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const auto* named = std::find(parameters.begin(), parameters.end(), names[i]);
    const size_t place =
        names[i].empty() ? i : static_cast<size_t>(named - parameters.begin());
    if (place >= parameters.size())
      meter.error("'{}' does not take {}", name,
                  names[i].empty() ? fmt::format("{} arguments", arguments.size())
                                   : fmt::format("an argument named '{}'", names[i]));
    if (bound[place]) meter.error("'{}' has the argument '{}' twice", name, names[i]);
    bound[place] = &arguments[i];
  }
  return bound;
}

const std::string& Call::text(const Value* value, std::string_view what) const {
  if (!value || !value->as_text())
    meter.error("'{}' needs a text as {}, not {}", name, what,
                value ? value->type_name() : "nothing");
  return *value->as_text();
}

int64_t Call::integer(const Value* value, std::string_view what, int64_t fallback) const {
  if (!value) return fallback;
  if (value->as_bool()) return *value->as_bool();
  if (!value->as_integer())
    meter.error("'{}' needs a whole number as {}, not {}", name, what, value->type_name());
  return *value->as_integer();
}

bool is_function(std::string_view name) { return find_entry(kFunctions, name) != nullptr; }
std::string function_names() { return names_of(kFunctions); }
Value call_function(const Call& call) { return find_entry(kFunctions, call.name)->function(call); }

}  // namespace cohort::jinja

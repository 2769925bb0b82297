#include "trainer/config_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <type_traits>

#include "core/check.h"
#include "core/yaml.h"

namespace cohort {
namespace {

constexpr size_t kLongestKey = 128;  // YAML reads no key beyond 1024 bytes without a '?'

bool is_digit(char c) { return c >= '0' && c <= '9'; }
size_t digits_at(std::string_view text, size_t at) {
  size_t count = 0;
  while (at + count < text.size() && is_digit(text[at + count])) ++count;
  return count;
}
bool has_leading_zero(std::string_view digits) { return digits.size() > 1 && digits[0] == '0'; }

// A decimal number without sign: the core schema of YAML 1.2, tag:yaml.org,2002:int and :float.
PlainKind number_kind(std::string_view text) {
  const size_t whole = digits_at(text, 0);
  size_t at = whole, fraction = 0;
  const bool point = at < text.size() && text[at] == '.';
  if (point) at += 1 + (fraction = digits_at(text, at + 1));
  if (whole + fraction == 0) return PlainKind::text;
  const bool exponent = at < text.size() && (text[at] == 'e' || text[at] == 'E');
  if (exponent) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const size_t digits = digits_at(text, at);
    if (digits == 0) return PlainKind::text;
    at += digits;
  }
  if (at != text.size()) return PlainKind::text;
  if (has_leading_zero(text.substr(0, whole))) return PlainKind::ambiguous;
  return point || exponent ? PlainKind::real : PlainKind::integer;
}

// Numbers in spellings that some readers take for text and others for another number.
bool is_odd_number(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'o' || text[1] == 'b')) {
    constexpr std::string_view kHex = "0123456789abcdefABCDEF_";
    return text.find_first_not_of(kHex, 2) == std::string_view::npos;
  }
  if (text.empty() || (!is_digit(text[0]) && text[0] != '.')) return false;
  std::string plain(text);
  std::erase(plain, '_');
  return number_kind(plain) != PlainKind::text;
}

bool is_odd_word(std::string_view text) {
  if (text.size() > 5) return false;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  constexpr std::array kWords = {"yes",  "no",    "on",   "off",   "y",     "n",
                                 "true", "false", ".inf", "-.inf", "+.inf", ".nan"};
  return std::ranges::find(kWords, lower) != kWords.end();
}

bool is_quoted(const YAML::Node& node) { return node.Tag() == "!"; }

PlainKind kind_of(const YAML::Node& node) {
  return is_quoted(node) ? PlainKind::text : plain_kind(node.Scalar());
}

// Reads the whole text; nothing when it does not fit.
template <typename T>
std::optional<T> number_of(const std::string& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    const std::string_view mantissa = std::string_view(text).substr(0, text.find_first_of("eE"));
    const bool vanished =
        value == 0 && mantissa.find_first_of("123456789") != std::string_view::npos;
    if (vanished || !std::isfinite(value)) return std::nullopt;
  }
  return value;
}

struct ReadValue {
  const KeyRow& key;
  const YAML::Node& node;
  const std::string& where;

  [[noreturn]] void refuse(const std::string& hint = "") const {
    fail(ExitCode::kUsage, "{}: {}: found {};{} allowed: {}", where, key.path(), describe(node),
         hint, key.allowed());
  }
  PlainKind kind() const { return node.IsScalar() ? kind_of(node) : PlainKind::null; }

  template <typename T>
  void number(T& value) const {
    const std::optional<T> number = number_of<T>(node.Scalar());
    if (!number || !key.bounds.contain(static_cast<double>(*number))) refuse();
    value = *number;
  }
  void operator()(bool* value) const {
    if (kind() != PlainKind::boolean) refuse();
    *value = node.Scalar() == "true";
  }
  void operator()(int64_t* value) const {
    if (kind() != PlainKind::integer) refuse();
    number(*value);
  }
  void operator()(uint64_t* value) const {
    if (kind() != PlainKind::integer) refuse();
    number(*value);
  }
  void operator()(float* value) const { real(*value); }
  void operator()(double* value) const { real(*value); }
  template <typename T>
  void real(T& value) const {
    if (kind() != PlainKind::integer && kind() != PlainKind::real) refuse();
    number(value);
  }
  // Calls read(item) for each entry; `item` is this with the entry as its node.
  template <typename Read>
  void list(Read read) const {
    if (!node.IsSequence()) refuse();
    if (node.size() > kLongestList) refuse(fmt::format(" it has {} entries;", node.size()));
    for (const YAML::Node& entry : node) read(ReadValue{key, entry, where});
  }
  // Texts of any characters: line breaks are what they are often for.
  void operator()(std::vector<std::string>* values) const {
    std::vector<std::string> read;
    list([&](const ReadValue& item) {
      if (!item.node.IsScalar()) item.refuse();
      const std::string& text = item.node.Scalar();
      if (item.kind() != PlainKind::text) item.refuse(fmt::format(" for the text write \"{}\";", excerpt(text)));
      if (text.empty() || text.size() > kLongestEntry) item.refuse();
      read.push_back(text);
    });
    *values = std::move(read);
  }
  void operator()(std::vector<int64_t>* values) const {
    std::vector<int64_t> read;
    list([&](const ReadValue& item) { item(&read.emplace_back()); });
    *values = std::move(read);
  }
  // A path, or a list of maps.
  void operator()(DataFiles* value) const {
    if (!node.IsSequence()) {
      value->clear();
      return (*this)(&value->path);
    }
    if (node.size() == 0 || node.size() > kLongestList) refuse(fmt::format(" it has {} entries;", node.size()));
    std::vector<DataSource> sources = read_sources(yaml_to_json(node, {where, false}), key, where);
    *value = {};
    value->sources = std::move(sources);
  }
  // Its keys in the order of the alphabet: how a file orders them does not matter.
  void operator()(Json* value) const {
    if (!node.IsMap()) refuse();
    const Json map = yaml_to_json(node, {where, false});
    std::map<std::string, Json> sorted;
    for (const auto& [name, item] : map.items()) sorted.emplace(name, item);
    *value = Json::object();
    for (auto& [name, item] : sorted) (*value)[name] = std::move(item);
  }
  void operator()(std::string* value) const {
    if (node.IsNull() && key.may_be_null) return value->clear();
    if (!node.IsScalar()) refuse();
    const std::string& text = node.Scalar();
    if (!key.words.empty()) {
      if (std::ranges::find(key.words, text) == key.words.end()) refuse();
    } else if (kind() != PlainKind::text) {
      refuse(fmt::format(" for the text write \"{}\";", excerpt(text)));
    }
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (std::ranges::any_of(text, control)) refuse(" it has control characters;");
    *value = text;
  }
};

std::string yaml_text(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./";
  const bool plain = !text.empty() &&
                     text.find_first_not_of(std::string(kPlain) + "-") == std::string::npos &&
                     text[0] != '-' && text.find_first_not_of('.') != std::string::npos &&
                     plain_kind(text) == PlainKind::text;
  if (plain) return text;
  std::string quoted = dump_json(text);  // every escape of JSON is one of YAML
  for (size_t at = 0; (at = quoted.find('\x7F', at)) != std::string::npos;)
    quoted.replace(at, 1, "\\x7f");
  return quoted;
}

template <typename T>
std::string yaml_real(T value) {
  std::string text = fmt::format("{}", value);
  if (text.find('.') == std::string::npos) {
    const size_t exponent = std::min(text.find('e'), text.size());
    text.insert(exponent, ".0");
  }
  return text;
}

struct PrintValue {
  const KeyRow& key;
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const int64_t* value) const { return std::to_string(*value); }
  std::string operator()(const uint64_t* value) const { return std::to_string(*value); }
  std::string operator()(const float* value) const { return yaml_real(*value); }
  std::string operator()(const double* value) const { return yaml_real(*value); }
  std::string operator()(const Json* value) const { return yaml_of(*value); }
  std::string operator()(const std::vector<std::string>* values) const { return yaml_of(Json(*values)); }
  std::string operator()(const std::vector<int64_t>* values) const { return yaml_of(Json(*values)); }
  std::string operator()(const DataFiles* value) const {
    if (value->sources.empty()) return (*this)(&value->path);
    Json list = Json::array();
    for (const DataSource& source : value->sources) list.push_back(source_entry(source, key.has_weights));
    return yaml_of(list);
  }
  std::string operator()(const std::string* value) const {
    return value->empty() && key.may_be_null ? "null" : yaml_text(*value);
  }
};

}  // namespace

std::string ConfigSource::at(const YAML::Node& node) const {
  return has_lines ? fmt::format("{}:{}", name, std::max(1, yaml_line(node))) : name;
}

PlainKind plain_kind(std::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return PlainKind::null;
  if (text == "true" || text == "false") return PlainKind::boolean;
  const PlainKind number = number_kind(text.starts_with('-') ? text.substr(1) : text);
  if (number != PlainKind::text) return number;
  return is_odd_word(text) || is_odd_number(text) ? PlainKind::ambiguous : PlainKind::text;
}

std::string describe(const YAML::Node& node) {
  if (node.IsSequence()) return "a list";
  if (node.IsMap()) return "a map";
  if (!node.IsScalar()) return "nothing (null)";
  const std::string text = excerpt(node.Scalar());
  if (is_quoted(node)) return fmt::format("the text \"{}\"", text);
  switch (kind_of(node)) {
    case PlainKind::boolean:
      return text;
    case PlainKind::integer:
      return fmt::format("the integer {}", text);
    case PlainKind::real:
      return fmt::format("the number {}", text);
    case PlainKind::ambiguous:
      return fmt::format("{}, which readers of YAML take for different things", text);
    default:
      return fmt::format("'{}'", text);
  }
}

void read_value(const KeyRow& key, const YAML::Node& node, Config& config,
                const std::string& where) {
  std::visit(ReadValue{key, node, where}, key.value(config));
}

Json yaml_to_json(const YAML::Node& node, const ConfigSource& source) {
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const YAML::Node& item : node) list.push_back(yaml_to_json(item, source));
    return list;
  }
  if (node.IsMap()) {
    Json map = Json::object();
    for (const auto& entry : node) {
      const YAML::Node &key = entry.first, &value = entry.second;
      CHECK_USAGE(key.Scalar().size() <= kLongestKey, "{}: a key of {} bytes; allowed: at most {}",
                  source.at(key), key.Scalar().size(), kLongestKey);
      map[key.Scalar()] = yaml_to_json(value, source);
    }
    return map;
  }
  const auto refuse = [&](const char* allowed) {
    fail(ExitCode::kUsage, "{}: found {}; {}", source.at(node), describe(node), allowed);
  };
  if (!node.IsScalar()) refuse("leave the key out, or write \"\" for an empty text");
  const std::string& text = node.Scalar();
  switch (kind_of(node)) {
    case PlainKind::boolean:
      return text == "true";
    case PlainKind::integer:
      if (const auto value = number_of<int64_t>(text)) return *value;
      refuse("it does not fit into 64 bits");
      break;
    case PlainKind::real:
      if (const auto value = number_of<double>(text)) return *value;
      refuse("it does not fit into a double");
      break;
    case PlainKind::text:
      return text;
    default:
      refuse("write true, false, a decimal number, or a text in quotes");
  }
  return nullptr;
}

std::string yaml_of(const KeyRow& key, const Config& config) {
  Config copy = config;
  return std::visit(PrintValue{key}, key.value(copy));
}

std::string yaml_of(const Json& value) {
  if (value.is_string()) return yaml_text(value.get_ref<const std::string&>());
  if (value.is_number_float()) return yaml_real(value.get<double>());
  if (!value.is_structured()) return value.dump();
  std::vector<std::string> items;
  for (const auto& [key, item] : value.items()) {
    items.push_back((value.is_object() ? yaml_text(key) + ": " : "") + yaml_of(item));
  }
  const std::string joined = fmt::format("{}", fmt::join(items, ", "));
  return value.is_object() ? "{" + joined + "}" : "[" + joined + "]";
}

Json reward_entry(const RewardSpec& spec) {
  Json entry = {{"name", spec.reward()}, {"weight", spec.weight}};
  if (!spec.kind.empty()) entry["label"] = spec.name;
  if (spec.options.is_object()) entry.update(spec.options);
  return entry;
}

}  // namespace cohort

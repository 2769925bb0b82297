#include "model/text/chat_template_input.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "core/text.h"
#include "model/text/jinja_strings.h"

namespace cohort {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
constexpr std::array<std::string_view, 8> kKeys = {
    "role",     "content",   "name", "tool_calls", "tool_call_id", "reasoning_content",
    "thinking", "reasoning"};
constexpr std::array<std::string_view, 3> kReasoning = {"reasoning_content", "thinking",
                                                        "reasoning"};

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Text of the input in a message: in quotes, on one line, at most so long.
std::string shown(std::string_view text) { return dump_json(Json(text.substr(0, 60))); }

bool has(const Json& message, std::string_view key) {
  const auto it = message.find(key);
  return it != message.end() && !it->is_null();
}

void check_content(const Json& content, const std::string& place) {
  if (content.is_string()) return;
  CHECK_INPUT(content.is_array(), "{}: 'content' is a text or a list of parts, found {}", place,
              content.type_name());
  for (const Json& part : content) {
    CHECK_INPUT(part.is_object() && get_string(part, "type", place) == "text",
                "{}: a part of 'content' is {{\"type\": \"text\", \"text\": ...}}, found {}; models "
                "here read text only",
                place, shown(part.is_object() ? get_string(part, "type", place) : part.type_name()));
    get_string(part, "text", place);
  }
}

void check_message(const Json& message, const std::string& place) {
  CHECK_INPUT(message.is_object(), "{} is no object with 'role' and 'content', but {}", place,
              message.type_name());
  for (const auto& [key, value] : message.items())
    CHECK_INPUT(is_one_of(kKeys, key), "{}: unknown key {}; a message has {}", place, shown(key),
                fmt::join(kKeys, ", "));
  const std::string role = get_string(message, "role", place);
  CHECK_INPUT(is_one_of(kRoles, role), "{}: unknown role {}; allowed are {}", place, shown(role),
              fmt::join(kRoles, ", "));
  const bool may_lack = has(message, "tool_calls") ||
                        std::any_of(kReasoning.begin(), kReasoning.end(),
                                    [&](auto key) { return has(message, key); });
  CHECK_INPUT(has(message, "content") || may_lack, "{}: 'content' is missing", place);
  if (has(message, "content")) check_content(message["content"], place);
  if (has(message, "tool_calls")) check_objects(message["tool_calls"], "tool_calls", place);
  for (const std::string_view key : {kKeys[2], kKeys[4], kKeys[5], kKeys[6], kKeys[7]})
    if (has(message, key)) get_string(message, key, place);
}

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

// JSON to the template's values. Throws what Value::list throws for too deep ones.
class Values {
 public:
  // `tokens` may not be spelled by the values.
  explicit Values(const std::vector<std::string>& tokens) {
    for (const std::string& token : tokens) {
      if (token.empty()) continue;
      const std::string lower = ascii_lower(token);
      by_first_[static_cast<unsigned char>(lower[0])].push_back(lower);
      forward_.push_back(lower);
      backward_.emplace_back(lower.rbegin(), lower.rend());
      longest_ = std::max(longest_, lower.size());
    }
    std::sort(forward_.begin(), forward_.end());
    std::sort(backward_.begin(), backward_.end());
  }

  jinja::Value of(const Json& json) const {
    using jinja::Value;
    if (json.is_null()) return Value();
    if (json.is_boolean()) return Value::boolean(json.get<bool>());
    if (json.is_number_float()) return Value::real(json.get<double>());
    if (json.is_number()) {
      CHECK_INPUT(!json.is_number_unsigned() || json.get<uint64_t>() <= INT64_MAX,
                  "the number {} is not supported in a chat; supported are those below 2^63",
                  json.dump());
      return Value::integer(json.get<int64_t>());
    }
    if (json.is_string()) return Value::text(guarded(json.get_ref<const std::string&>()));
    if (json.is_array()) {
      std::vector<Value> items;
      for (const Json& item : json) items.push_back(of(item));
      return Value::list(std::move(items));
    }
    std::vector<std::pair<std::string, Value>> items;
    for (const auto& [key, item] : json.items()) items.emplace_back(guarded(key), of(item));
    return Value::dict(std::move(items));
  }

 private:
  // A guard behind the first character of each token, also where two overlap; and at an end of the
  // text (without its white space, which a template may strip) that is a part of a token, so that
  // two texts that a template joins make none. Letters match in either case: a template may change it.
  std::string guarded(const std::string& raw) const {
    const std::string text = to_valid_utf8(raw);
    if (forward_.empty()) return text;
    const std::string lower = ascii_lower(text);
    const size_t last = jinja::rstrip(text).size();
    const size_t first = text.size() - jinja::lstrip(text).size();
    std::vector<size_t> places;
    for (const size_t begin : {size_t{0}, first})
      if (begins_inside_token(lower, begin)) places.push_back(begin);
    for (size_t at = 0; at < text.size();) {
      const size_t start = at;
      next_code_point(text, at);
      const auto& tokens = by_first_[static_cast<unsigned char>(lower[start])];
      if (std::any_of(tokens.begin(), tokens.end(), [&](const std::string& token) {
            return start + token.size() > at && lower.compare(start, token.size(), token) == 0;
          }))
        places.push_back(at);
    }
    for (const size_t end : {last, text.size()})
      if (ends_inside_token(lower, end)) places.push_back(end);
    std::sort(places.begin(), places.end());
    places.erase(std::unique(places.begin(), places.end()), places.end());
    std::string out;
    size_t done = 0;
    for (const size_t place : places) {
      out.append(text, done, place - done).push_back(jinja::kGuard);
      done = place;
    }
    return out.append(text, done);
  }

  // Whether one of the sorted tokens starts with `part` and is longer.
  static bool starts_one(const std::vector<std::string>& tokens, std::string_view part) {
    auto it = std::lower_bound(tokens.begin(), tokens.end(), part);
    while (it != tokens.end() && *it == part) ++it;
    return it != tokens.end() && it->starts_with(part);
  }
  bool ends_inside_token(std::string_view lower, size_t end) const {
    for (size_t n = 1; n < longest_ && n <= end; ++n)
      if (starts_one(forward_, lower.substr(end - n, n))) return true;
    return false;
  }
  bool begins_inside_token(std::string_view lower, size_t begin) const {
    std::string part;
    for (size_t n = 1; n < longest_ && begin + n <= lower.size(); ++n) {
      part.assign(lower.substr(begin, n));
      std::reverse(part.begin(), part.end());
      if (starts_one(backward_, part)) return true;
    }
    return false;
  }

  std::vector<std::string> forward_, backward_;  // sorted, in lower case; read from the end
  size_t longest_ = 0;
  std::array<std::vector<std::string>, 256> by_first_;
};

// As transformers: no key whose value is null, and the reasoning under each name that templates read.
Json normalized(const Json& message) {
  if (!message.is_object()) return message;
  Json given = Json::object();
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) given[key] = value;
  const auto key = std::find_if(kReasoning.begin(), kReasoning.end(),
                                [&](auto name) { return given.contains(name); });
  if (key == kReasoning.end()) return given;
  const Json reasoning = given[std::string(*key)];
  Json aliased = Json::object();
  aliased["thinking"] = given.contains("thinking") ? given["thinking"] : reasoning;
  for (const auto& [name, value] : given.items()) aliased[name] = value;
  aliased["reasoning_content"] = reasoning;
  return aliased;
}

}  // namespace

void check_messages(const Json& messages, std::string_view where) {
  CHECK_INPUT(messages.is_array() && !messages.empty(),
              "{}: a chat is a list of at least one message, found {}", where,
              messages.is_array() ? "an empty list" : messages.type_name());
  for (size_t i = 0; i < messages.size(); ++i)
    check_message(messages[i], fmt::format("{}: message {}", where, i + 1));
}

void check_objects(const Json& list, std::string_view name, std::string_view where) {
  const bool objects = list.is_array() && std::all_of(list.begin(), list.end(),
                                                      [](const Json& o) { return o.is_object(); });
  CHECK_INPUT(list.is_null() || objects, "{}: '{}' is a list of objects, found {}", where, name,
              list.is_array() ? "a list with something else" : list.type_name());
}

void check_template_kwargs(const Json& kwargs, std::string_view name, std::string_view where) {
  CHECK_INPUT(kwargs.is_object(), "{}: '{}' is an object, found {}", where, name,
              kwargs.type_name());
  for (const char* taken : {"messages", "tools", "documents", "add_generation_prompt",
                            "continue_final_message", "chat_template"})
    CHECK_INPUT(!kwargs.contains(taken), "{}: '{}' must not have '{}', which has a place of its own",
                where, name, taken);
}

jinja::Variables template_variables(const ChatInput& input, const ChatSetting& setting,
                                    std::string_view source) {
  using jinja::Value;
  std::vector<std::string> guarded = setting.special_tokens;
  for (const std::string& marker : setting.markers)
    if (source.find(marker) != source.npos) guarded.push_back(marker);
  const Values values(guarded);
  Json messages = Json::array();
  for (const Json& message : input.messages) messages.push_back(normalized(message));
  jinja::Variables variables;
  try {
    if (!setting.bos_token.empty())
      variables.emplace_back("bos_token", Value::text(setting.bos_token));
    if (!setting.eos_token.empty())
      variables.emplace_back("eos_token", Value::text(setting.eos_token));
    for (const auto& [name, token] : setting.named_tokens)
      variables.emplace_back(name, Value::text(token));
    for (const auto& item : input.kwargs.items()) {
      std::erase_if(variables, [&](const auto& known) { return known.first == item.key(); });
      variables.emplace_back(item.key(), values.of(item.value()));
    }
    variables.emplace_back("messages", values.of(messages));
    variables.emplace_back("tools", values.of(input.tools));
    variables.emplace_back("documents", values.of(input.documents));
    variables.emplace_back("add_generation_prompt", Value::boolean(input.add_generation_prompt));
  } catch (const std::length_error& too_deep) {
    fail(ExitCode::kInput, "a chat has {}", too_deep.what());
  }
  return variables;
}

}  // namespace cohort

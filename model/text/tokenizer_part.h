// One object of tokenizer.json and its path in messages, with the checks that its readers share.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/json.h"

namespace cohort {

// path: "tokenizer.json: pre_tokenizer.pretokenizers[0]".
struct TokenizerPart {
  const Json& json;
  std::string path;

  std::string type() const { return get_string(json, "type", path); }
  std::string text(std::string_view key) const { return get_string(json, key, path); }
  bool flag(std::string_view key, bool fallback) const {
    return get_bool_or(json, key, path, fallback);
  }
  TokenizerPart at(std::string_view key) const {
    return {json.at(std::string(key)), fmt::format("{}.{}", path, key)};
  }

  void allow(std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, value] : json.items())
      CHECK_INPUT(std::find(keys.begin(), keys.end(), key) != keys.end(),
                  "{}: unknown key '{}'; allowed are {}", path, key, fmt::join(keys, ", "));
  }
  // Null, absent, or equal to `harmless`; everything else asks for something cohort does not do.
  void refuse_unless(std::string_view key, const Json& harmless) const {
    const auto it = json.find(std::string(key));
    CHECK_INPUT(it == json.end() || it->is_null() || *it == harmless,
                "{}: '{}' is {}, which is not supported; supported is null or {}", path, key,
                it->dump(), harmless.dump());
  }
  std::vector<TokenizerPart> list(std::string_view key) const {
    const auto it = json.find(std::string(key));
    CHECK_INPUT(it != json.end() && it->is_array(), "{}: '{}' must be a list", path, key);
    std::vector<TokenizerPart> parts;
    for (size_t i = 0; i < it->size(); ++i) {
      CHECK_INPUT((*it)[i].is_object(), "{}.{}[{}] must be an object", path, key, i);
      parts.push_back({(*it)[i], fmt::format("{}.{}[{}]", path, key, i)});
    }
    return parts;
  }
  [[noreturn]] void refuse_type(std::string_view allowed) const {
    fail(ExitCode::kInput, "{}: type '{}' is not supported; supported are {}", path, type(),
         allowed);
  }
};

}  // namespace cohort

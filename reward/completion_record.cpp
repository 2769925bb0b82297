#include "reward/completion_record.h"

#include <algorithm>

#include "core/check.h"

namespace cohort {
namespace {

std::vector<int32_t> token_ids(const Json& record, std::string_view where) {
  const auto it = record.find("ids");
  if (it == record.end() || it->is_null()) return {};
  const auto is_id = [](const Json& id) { return id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= INT32_MAX; };
  CHECK_INPUT(it->is_array() && std::ranges::all_of(*it, is_id), "{}: 'ids' is the list of the completion's tokens, found {}", where,
              it->is_array() ? "a list with something else in it" : it->type_name());
  return it->get<std::vector<int32_t>>();
}

}  // namespace

RewardInput CompletionRecord::input() const {
  return {.prompt = prompt,
          .completion = text,
          .finish_reason = finish_reason,
          .columns = &columns,
          .opens_thinking = opens_thinking,
          .ids = ids,
          .messages = messages.is_null() ? nullptr : &messages};
}

CompletionRecord read_completion(const Json& record, std::string_view where) {
  CompletionRecord completion;
  completion.text = get_string(record, "completion", where);
  if (const auto prompt = record.find("prompt"); prompt != record.end()) {
    if (prompt->is_string()) completion.prompt = prompt->get<std::string>();
    if (prompt->is_array()) completion.messages = *prompt;
  }
  completion.finish_reason = get_string_or(record, "finish_reason", where, "stop");
  CHECK_INPUT(completion.finish_reason == "stop" || completion.finish_reason == "length",
              "{}: 'finish_reason' is '{}'; allowed are stop, length", where, completion.finish_reason);
  completion.opens_thinking = get_bool_or(record, "opens_thinking", where, false);
  completion.ids = token_ids(record, where);
  completion.columns = record;
  for (const char* key : {"prompt", "id", "completion", "finish_reason", "ids", "opens_thinking"}) completion.columns.erase(key);
  return completion;
}

}  // namespace cohort

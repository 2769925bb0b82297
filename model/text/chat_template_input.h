// Conversations as JSON: what is allowed in one, and its values for the template.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "model/text/chat_template.h"
#include "model/text/jinja_eval.h"

namespace cohort {

// Refuses (exit code 3, led by `where`) what is no conversation: a list of at least one message, each
// with a role (system, developer, user, assistant, tool) and 'content', a text or a list of
// {"type": "text", "text"}. A message may have reasoning_content (also thinking, reasoning),
// tool_calls, tool_call_id and name; one with tool_calls or reasoning needs no content.
void check_messages(const Json& messages, std::string_view where);
// Tools and documents: null, or a list of objects.
void check_objects(const Json& list, std::string_view name, std::string_view where);
// An object without the names that belong elsewhere (messages, tools, ...). `name` is that of the
// object in messages.
void check_template_kwargs(const Json& kwargs, std::string_view name, std::string_view where);

// The variables of the template whose text is `source`. jinja::kGuard stands inside each token that
// the input spells and may not, and at an end of a text where a part of one stands.
jinja::Variables template_variables(const ChatInput& input, const ChatSetting& setting,
                                    std::string_view source);

}  // namespace cohort

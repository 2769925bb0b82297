#include "model/text/chat_turns.h"

#include <algorithm>
#include <optional>
#include <string>

#include "core/check.h"

namespace cohort {
namespace {

// In place of a message's text; a control character, as no text begins or ends like it.
constexpr std::string_view kOther = "\x02other\x03", kAnother = "\x04another\x05";

struct TextSpan {
  size_t begin, end;  // bytes
};

// A stop token as the template spells it.
struct StopText {
  int32_t id;
  std::string text;
};

std::vector<StopText> stop_texts(const Tokenizer& tokenizer, std::span<const int32_t> stop_tokens) {
  std::vector<StopText> stops;
  for (const int32_t id : stop_tokens) {
    const std::string text = tokenizer.token(id);
    if (!text.empty() && tokenizer.encode(text) == std::vector<int32_t>{id}) stops.push_back({id, text});
  }
  return stops;
}

std::string names_of(const std::vector<StopText>& stops) {
  std::string names;
  for (const StopText& stop : stops) names += (names.empty() ? "" : ", ") + stop.text;
  return names.empty() ? "none" : names;
}

struct FoundStop {
  const StopText* stop;
  size_t end;
};

// The first stop token at or behind `begin`, as far as the template wrote it: a guard stands inside of one that a message spells.
std::optional<FoundStop> first_stop(const RenderedChat& chat, size_t begin, const std::vector<StopText>& stops) {
  std::optional<FoundStop> found;
  for (const StopText& stop : stops) {
    for (size_t at = chat.text.find(stop.text, begin); at != std::string::npos; at = chat.text.find(stop.text, at + 1)) {
      const size_t end = at + stop.text.size();
      const auto guard = std::ranges::upper_bound(chat.guards, at);
      if (guard != chat.guards.end() && *guard < end) continue;
      if (!found || end < found->end) found = {&stop, end};
      break;
    }
  }
  return found;
}

// The conversation with the text of one message replaced; nothing when the message has none.
std::optional<ChatInput> with_other_text(const ChatInput& input, size_t message, std::string_view other) {
  ChatInput changed = input;
  const auto found = changed.messages[message].find("content");
  if (found == changed.messages[message].end()) return std::nullopt;
  Json& content = *found;
  if (content.is_string()) {
    content = other;
    return changed;
  }
  if (!content.is_array() || content.empty()) return std::nullopt;
  for (Json& part : content) part["text"] = other;
  return changed;
}

// Where `a` is not `b`: the shortest piece of it between what they begin with and what they end with.
TextSpan difference(std::string_view a, std::string_view b) {
  const size_t shorter = std::min(a.size(), b.size());
  size_t front = 0, back = 0;
  while (front < shorter && a[front] == b[front]) ++front;
  while (back < shorter - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  return {front, a.size() - back};
}

bool has_text(const Json& message) {
  const auto content = message.find("content");
  if (content == message.end()) return false;
  if (content->is_string()) return !content->get_ref<const std::string&>().empty();
  return content->is_array() && std::ranges::any_of(*content, [](const Json& part) { return !part["text"].get_ref<const std::string&>().empty(); });
}

// Whether an assistant's message is more than an empty text.
bool says_something(const Json& message) {
  const auto has = [&](const char* key) { return message.contains(key) && !message[key].is_null() && !message[key].empty(); };
  return has_text(message) || has("tool_calls") || has("reasoning_content") || has("thinking") || has("reasoning");
}

// How many tokens of `whole`, whose tokens are `tokens`, its first `bytes` bytes are; nothing where a token reaches across.
std::optional<int64_t> tokens_before(const Tokenizer& tokenizer, const RenderedChat& whole, size_t bytes, std::span<const int32_t> tokens) {
  const auto last = std::ranges::lower_bound(whole.guards, bytes);
  const std::vector<int32_t> part = tokenizer.encode(std::string_view(whole.text).substr(0, bytes), false,
                                                     std::span(whole.guards).first(static_cast<size_t>(last - whole.guards.begin())));
  if (part.size() > tokens.size() || !std::ranges::equal(part, tokens.first(part.size()))) return std::nullopt;
  return static_cast<int64_t>(part.size());
}

constexpr const char* kRemedy = "; give the row as 'prompt' (the messages before) and 'completion' (the text of the answer)";

class Turns {
 public:
  Turns(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const ChatInput& input, const ChatSetting& setting,
        std::span<const int32_t> stop_tokens)
      : chat_template_(chat_template), tokenizer_(tokenizer), input_(input), setting_(setting),
        stops_(stop_texts(tokenizer, stop_tokens)) {
    input_.add_generation_prompt = input_.continue_final_message = false;
    whole_ = chat_template.render(input_, setting);
  }

  EncodedTurns encode(size_t first) const {
    std::vector<TextSpan> spans;
    std::vector<size_t> messages;
    for (size_t m = first; m < input_.messages.size(); ++m) {
      if (input_.messages[m]["role"] != "assistant") continue;
      spans.push_back(turn(m));
      messages.push_back(m);
      CHECK_INPUT(spans.size() < 2 || spans[spans.size() - 2].end <= spans.back().begin,
                  "messages {} and {} are printed as one turn of the assistant; join them in the row", messages[messages.size() - 2] + 1, m + 1);
    }
    CHECK_INPUT(!spans.empty(), "no message of the assistant is there to learn from");
    check_texts(spans, messages);
    EncodedTurns out{.tokens = tokenizer_.encode(whole_.text, false, whole_.guards), .turns = {}};
    for (size_t i = 0; i < spans.size(); ++i) {
      const auto begin = tokens_before(tokenizer_, whole_, spans[i].begin, out.tokens);
      const auto end = tokens_before(tokenizer_, whole_, spans[i].end, out.tokens);
      CHECK_INPUT(begin && end, "message {}: one token reaches across the {} of the assistant's turn, so that the model would see other tokens "
                  "there; remove white space from the {} of the text", messages[i] + 1, begin ? "end" : "beginning", begin ? "end" : "beginning");
      out.turns.push_back({*begin, *end});
    }
    out.tokens.resize(static_cast<size_t>(out.turns.back().end));
    return out;
  }

 private:
  TextSpan turn(size_t message) const {
    CHECK_INPUT(message > 0, "message 1 is the assistant's, and nothing comes before it that it would answer");
    const Json& own = input_.messages[message];
    CHECK_INPUT(says_something(own), "message {}: the assistant's turn is empty", message + 1);
    ChatInput before = input_;
    before.messages.erase(before.messages.begin() + static_cast<std::ptrdiff_t>(message), before.messages.end());
    before.add_generation_prompt = true;
    const std::string prompt = chat_template_.render(before, setting_).text;
    CHECK_INPUT(whole_.text.starts_with(prompt),
                "message {}: where the assistant's turn begins cannot be told, as the template prints what comes before it otherwise when the "
                "model is to answer there{}", message + 1, kRemedy);
    const auto stop = first_stop(whole_, prompt.size(), stops_);
    CHECK_INPUT(stop, "message {}: no token that ends the model's answers ({}) follows the assistant's text; sft.stop_token_ids names the one "
                "that the template writes there", message + 1, names_of(stops_));
    return {prompt.size(), stop->end};
  }

  // Each text is printed where it belongs.
  void check_texts(const std::vector<TextSpan>& spans, const std::vector<size_t>& messages) const {
    for (size_t m = 0; m < input_.messages.size(); ++m) {
      const std::optional<ChatInput> other = with_other_text(input_, m, kOther);
      if (!other) continue;
      const TextSpan at = difference(whole_.text, chat_template_.render(*other, setting_).text);
      for (size_t i = 0; i < spans.size(); ++i) {
        const bool apart = at.end <= spans[i].begin || at.begin >= spans[i].end;
        const bool inside = at.begin >= spans[i].begin && at.end <= spans[i].end && at.begin < at.end;
        if (m != messages[i]) {
          CHECK_INPUT(apart, "message {}: the template prints text of message {} within the assistant's turn{}", messages[i] + 1, m + 1, kRemedy);
        } else if (has_text(input_.messages[m])) {
          CHECK_INPUT(inside, "message {}: the template does not print the assistant's text within its turn{}", m + 1, kRemedy);
        }
      }
    }
  }

  const ChatTemplate& chat_template_;
  const Tokenizer& tokenizer_;
  ChatInput input_;
  const ChatSetting& setting_;
  std::vector<StopText> stops_;
  RenderedChat whole_;
};

}  // namespace

EncodedTurns encode_turns(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const ChatInput& input,
                          const ChatSetting& setting, std::span<const int32_t> stop_tokens, size_t first) {
  return Turns(chat_template, tokenizer, input, setting, stop_tokens).encode(first);
}

int32_t end_of_answer(const ChatTemplate& chat_template, const Tokenizer& tokenizer, const ChatInput& input,
                      const ChatSetting& setting, std::span<const int32_t> stop_tokens) {
  const std::vector<StopText> stops = stop_texts(tokenizer, stop_tokens);
  ChatInput answered = input;
  answered.add_generation_prompt = answered.continue_final_message = false;
  answered.messages.push_back({{"role", "assistant"}, {"content", kOther}});
  const RenderedChat whole = chat_template.render(answered, setting);
  answered.messages.back()["content"] = kAnother;
  const auto stop = first_stop(whole, difference(whole.text, chat_template.render(answered, setting).text).end, stops);
  CHECK_INPUT(stop, "the template writes no token that ends the model's answers ({}) behind an assistant's text; sft.stop_token_ids names the "
              "one that it writes there", names_of(stops));
  return stop->stop->id;
}

}  // namespace cohort

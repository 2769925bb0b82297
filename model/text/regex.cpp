// The use of PCRE2 behind regex.h.
#include "model/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/check.h"
#include "model/text/pattern_syntax.h"

namespace cohort {
namespace {

constexpr size_t kMaxPatternBytes = 16384;
constexpr uint32_t kMaxNesting = 50;
// Steps of one search. A published pattern needs about one a byte of the run that it matches; the
// limit stops patterns that try every way to cut a run.
constexpr uint32_t kMatchLimit = 50'000'000, kDepthLimit = 100'000, kHeapLimitKiB = 65536;
constexpr size_t kJitStackStart = 32 << 10, kJitStackMost = 32 << 20;

std::string message_of(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  ~Code() { pcre2_code_free(code); }
};

struct Regex::Matcher::State {
  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  ~State() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

Regex::Regex(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {
  CHECK_INPUT(pattern.size() <= kMaxPatternBytes, "{}: a pattern of {} bytes; allowed are {}",
              where, pattern.size(), kMaxPatternBytes);
  const std::string translated = to_pcre2_syntax(pattern, where);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  CHECK(context, "out of memory for a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                             &error, &offset, context.get());
  CHECK_INPUT(code->code, "{}: the pattern {} does not compile: {}", where, pattern,
              message_of(error));
  // Without a compiler for this machine the interpreter runs: slower, the same matches.
  error = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE);
  CHECK_INPUT(error == 0 || error == PCRE2_ERROR_JIT_BADOPTION || error == PCRE2_ERROR_NOMEMORY,
              "{}: the pattern {} does not compile: {}", where, pattern, message_of(error));
  code_ = std::move(code);
}

Regex::Matcher::Matcher(const Regex& regex) : regex_(regex), state_(std::make_unique<State>()) {
  state_->data = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  CHECK(state_->data && state_->context, "out of memory for a search");
  pcre2_set_match_limit(state_->context, kMatchLimit);
  pcre2_set_depth_limit(state_->context, kDepthLimit);
  pcre2_set_heap_limit(state_->context, kHeapLimitKiB);
}

Regex::Matcher::~Matcher() = default;

std::optional<std::pair<size_t, size_t>> Regex::Matcher::find(std::string_view text, size_t from) {
  const auto search = [&] {
    return pcre2_match(regex_.code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                       from, PCRE2_NO_UTF_CHECK, state_->data, state_->context);
  };
  int result = search();
  if (result == PCRE2_ERROR_JIT_STACKLIMIT && !state_->stack) {
    state_->stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr);
    CHECK(state_->stack, "out of memory for a search");
    pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
    result = search();
  }
  if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
  CHECK_INPUT(result >= 0, "{}: the pattern {} takes too much at byte {} of a text of {}: {}",
              regex_.where_, regex_.pattern_, from, text.size(), message_of(result));
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state_->data);
  return std::pair<size_t, size_t>{ends[0], ends[1]};
}

}  // namespace cohort

// Any text is either refused with exit code 3 or renders a small conversation within the budgets.
// COHORT_TEMPLATES_DIR: published templates, as more seeds.
#include <cstdlib>
#include <filesystem>

#include "core/check.h"
#include "core/files.h"
#include "model/text/chat_template.h"
#include "model/text/jinja_strings.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

namespace {

const char* const kConversation = R"json({
  "messages": [
    {"role": "system", "content": "Be <brief>. <|im_end|>"},
    {"role": "user", "content": [{"type": "text", "text": " h\u00e9 \n"}, {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": "<think>\na</think> b", "reasoning_content": "c",
     "tool_calls": [{"id": "123456789", "function": {"name": "f", "arguments": {"x": [1, 2.5, null]}}}]},
    {"role": "tool", "tool_call_id": "123456789", "content": "{}"},
    {"role": "user", "content": "q"}],
  "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object",
     "properties": {"x": {"type": "array", "items": {"type": "number"}}}, "required": ["x"]}}}],
  "kwargs": {"enable_thinking": true, "n": 3, "f": 0.5, "none": null}})json";

std::string constructs() {
  return R"({% macro f(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{% set ns = namespace(n=0) %}
{%- for m in messages if m.role != 'tool' -%}
{{ loop.index ~ loop.cycle('a', 'b') }}{{ f(m.content | string | trim, b=m.role[::-1]) }}
{% if loop.last %}{% break %}{% elif loop.first %}{% continue %}{% else %}{{ m | tojson(indent=2) }}{% endif %}
{% set ns.n = ns.n + 1 %}{% else %}none{% endfor %}{% set a, b = (1, 2.5) %}{% set t %} t {% endset %}
{{ messages | map(attribute='role') | unique | sort | join(', ') }} {{ 7 // 2 - -3 % 2 * 1.5 }} {{ 'x' * n }}
{{ {'a': [none, true], 'b': {}} }} {{ tools | selectattr('type', 'equalto', 'function') | list | length }}
{% generation %}{{ 'a</think>b'.split('</think>')[-1].lstrip('\n') }}{% endgeneration %}
{{ strftime_now('%d %b %Y') if strftime_now is defined else raise_exception('no') }}{# note #}
{{ 'a\nb' | indent(2) | replace('a', 'c') | title | upper | int(3) | default('d', true) | float | abs }})";
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({constructs(), "{{ messages[0]['content'] }}", "{% for a in range(9) %}{{ a }}{% endfor %}"});
  const char *published = std::getenv("COHORT_TEMPLATES_DIR"), *folder = std::getenv("FUZZ_SEEDS");
  if (published && folder)
    for (const auto& entry : std::filesystem::directory_iterator(published))
      if (entry.path().extension() == ".jinja")
        std::filesystem::copy_file(entry.path(), std::filesystem::path(folder) / entry.path().filename(),
                                   std::filesystem::copy_options::overwrite_existing);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Json conversation = parse_json(kConversation, "fuzz");
  const FuzzLimits limits;
  try {
    const ChatTemplate chat_template =
        ChatTemplate::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const bool continues : {false, true}) {
      const RenderedChat chat = chat_template.render({.messages = conversation["messages"],
                                                      .tools = conversation["tools"],
                                                      .kwargs = conversation["kwargs"],
                                                      .add_generation_prompt = !continues,
                                                      .continue_final_message = continues},
                                                     {.bos_token = "<s>",
                                                      .eos_token = "</s>",
                                                      .special_tokens = {"<|im_end|>", "<s>"},
                                                      .markers = {"<|m|>"},
                                                      .named_tokens = {{"pad_token", "<pad>"}},
                                                      .now = std::tm{}});
      if (chat.text.find(jinja::kGuard) != std::string::npos) std::abort();
      for (const size_t guard : chat.guards)
        if (guard > chat.text.size()) std::abort();
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}

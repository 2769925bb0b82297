// What the template interpreter refuses, and that hostile templates end quickly.
#include "model/text/chat_template.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

Json message(const char* role, const std::string& content) {
  return {{"role", role}, {"content", content}};
}

std::string render(std::string_view source) {
  const ChatInput chat{.messages = {message("user", "Hello"), message("assistant", "Hi")}};
  return ChatTemplate::parse(source, "t.jinja").render(chat, {"<s>", "</s>"}).text;
}

std::string message_of(std::string_view source) {
  try {
    return "no error: " + render(source);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return error.what();
  }
}

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

struct Refusal {
  std::string source, what;
};

TEST(ChatTemplate, RefusesByNameAndLine) {
  const Refusal refusals[] = {
      {"a\n{% include 'x' %}", "t.jinja:2: the tag 'include' is not supported"},
      {"{% import 'x' as y %}", "the tag 'import' is not supported"},
      {"{% extends 'x' %}", "the tag 'extends' is not supported"},
      {"{% raw %}{% endraw %}", "the tag 'raw' is not supported"},
      {"{% call f() %}{% endcall %}", "the tag 'call' is not supported"},
      {"{% break %}", "'break' outside of a loop"},
      {"{% for x in [1] %}{% macro f() %}{% continue %}{% endmacro %}{% endfor %}",
       "'continue' outside of a loop"},
      {"{% macro f(varargs) %}{% endmacro %}", "'varargs' as a parameter"},
      {"{% macro f(a=1, b) %}{% endmacro %}", "a parameter without a default"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "the macro 'f' takes 1 arguments"},
      {"{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "none named 'b'"},
      {"{% macro f(a) %}{% endmacro %}{{ f(1, a=2) }}", "the argument 'a' twice"},
      {"{% macro f() %}{% endmacro %}{{ f }}", "printing a function"},
      {"{{ 'a' | attr('b') }}", "the filter 'attr' is not supported; supported are trim"},
      {"{{ [1] | map('attr') }}", "the filter 'attr' is not supported in map"},
      {"{{ [1] | select('odd2') | list }}", "the test 'odd2' is not supported"},
      {"{{ 1 is upper }}", "the test 'upper' is not supported"},
      {"{{ 'a'.__class__ }}", "the attribute '__class__' is not supported"},
      {"{{ 'a'.__class__() }}", "the method '__class__' is not supported"},
      {"{{ 'a'.format(1) }}", "the method 'format' is not supported"},
      {"{{ [1].append(1) }}", "the method 'append' is not supported"},
      {"{{ messages[0].items }}", "'items' of dict is its method: call it, or write ['items']"},
      {"{{ 'a'.upper }}", "'upper' of str is its method"},
      {"{{ lipsum() }}", "the function 'lipsum' is not supported; supported are range"},
      {"{{ messages[0]() }}", "only functions and methods can be called"},
      {"{{ 2 ** 9 }}", "the operator '**' is not supported"},
      {"{{ +1 }}", "the sign '+' is not supported"},
      {"{{ 99999999999999999999 }}", "the number '99999999999999999999' is not supported"},
      {"{{ 0x1f }}", "the number '0x' is not supported"},
      {"{% set a, b = [1] %}", "cannot unpack list of 1 items into 2 names"},
      {"{% set a, b = 1 %}", "int cannot be iterated over"},
      {"{% for x in y recursive %}{% endfor %}", "'recursive' loops"},
      {"{{ loop.cycle }}{% for x in [1] %}{{ loop.changed }}{% endfor %}", "'loop' is undefined"},
      {"{% for x in [1] %}{{ loop.changed }}{% endfor %}", "'loop.changed' is not supported"},
      {"{{ range(3) }}", "printing a range is not supported"},
      {"{{ [1] | select }}", "printing a iterator is not supported"},
      {"{{ {}.keys() | tojson }}", "tojson of dict view is not supported"},
      {"{% set a = [1] | select %}{{ a | list }}{{ a | list }}", "an iterator runs only once"},
      {"{{ [1] | select | last }}", "'last' of an iterator"},
      {"{{ ('<' | safe) + '>' }}", "'+' with the filter 'safe'"},
      {"{{ 'a %s' % 'b' }}", "str % str is not supported"},
      {"{{ missing.x }}", "'missing' is undefined"},
      {"{% set messages.x = 1 %}", "'messages' is not a namespace"},
      {"{% set ns = namespace() %}{% set ns._x = 1 %}", "the attribute '_x' of a namespace"},
      {"{{ raise_exception('only users') }}", "the template refuses the conversation: only users"},
      {"{{ 9223372036854775807 + 1 }}", "does not fit 64 bits"},
      {"{{ 9007199254740993 / 1 }}", "supported are numbers up to 2^53"},
      {"{{ 'a' | replace('', 'b') }}", "'replace' of an empty text"},
      {"{{ 'a' | int(base=16) }}", "'int' has base 10 only"},
      {"{{ 'a' | trim(x=1) }}", "'trim' does not take an argument named 'x'"},
      {"{{ 'a' | trim('a', 'b') }}", "'trim' does not take 2 arguments"},
      {"{{ f(*messages) }}", "arguments with '*'"},
      {"\n\n{{ strftime_now('%Y') }}", "t.jinja:3: the template asks for the time (strftime_now)"},
      {"{{ strftime_now('%Y') }}", "set data.now: 2026-01-31T00:00:00"},
  };
  for (const Refusal& refusal : refusals)
    EXPECT_NE(message_of(refusal.source).find(refusal.what), std::string::npos)
        << refusal.source << "\n"
        << message_of(refusal.source);
}

TEST(ChatTemplate, RefusesBrokenSyntax) {
  const Refusal refusals[] = {
      {"{% if true %}\nx", "t.jinja:2: the block opened on line 1 has no end '{% endif %}'"},
      {"{% for x in y %}", "has no end '{% endfor %}'"},
      {"{% set x %}", "has no end '{% endset %}'"},
      {"{% if true", "tag opened on line 1 without an end '%}'"},
      {"{{ 'a' ", "without an end '}}'"},
      {"{{ 'a }}", "a string without an end"},
      {"{# a", "comment without an end"},
      {"{% endif %}", "'endif' without a block"},
      {"{% if %}{% endif %}", "expected a value, found the end of the tag"},
      {"{{ }}", "expected a value"},
      {"{{ 1 2 }}", "expected '}}', found '2'"},
      {"{{ (1 }}", "'}' where ')' is expected"},
      {"{{ ) }}", "')' closes nothing"},
      {"{{ a ? b }}", "unexpected character '?'"},
      {"{{ 'a' | }}", "expected a filter's name"},
      {"{{ a.1 }}", "expected an attribute's name"},
      {"{{ a[] }}", "expected [index]"},
      {"{{ a[1:2:3:4] }}", "expected [index]"},
      {"{% for in y %}{% endfor %}", "expected 'in'"},
      {"{{ f(a=1, 2) }}", "a positional argument after a named one"},
      {"{{ '\\ud800' }}", "is not a character"},
      {"{{ 1 if }}", "expected a value"},
      {"{%", "without an end"},
      {"{{ \xff }}", "not valid UTF-8"},
  };
  for (const Refusal& refusal : refusals)
    EXPECT_NE(message_of(refusal.source).find(refusal.what), std::string::npos)
        << refusal.source << "\n"
        << message_of(refusal.source);
}

// What Jinja 3.1 prints.
TEST(ChatTemplate, CasesArePythons) {
  const std::pair<const char*, const char*> rows[] = {
      {"{{ c.upper() }}", "SSA ΟΔΟΣ, ΑΣ'Α İX FIX ʼN Σ ΑΣ. ⒶB ªC Ϊ́"},
      {"{{ c.lower() }}", "ßa οδος, ασ'α i̇x ﬁx ŉ σ ας. ⓐb ªc ΐ"},
      {"{{ c.title() }}", "Ssa Οδος, Ασ'Α İx Fix ʼN Σ Ας. Ⓐb ªc Ϊ́"},
      {"{{ c.capitalize() }}", "Ssa οδος, ασ'α i̇x ﬁx ŉ σ ας. ⓐb ªc ΐ"},
      {"{{ c | title }}", "SSa Οδος, Ασ'α İx FIx ʼN Σ Ασ. Ⓐb ªc Ϊ́"},
  };
  for (const auto& [source, text] : rows)
    EXPECT_EQ(render(std::string("{% set c = \"ßa ΟΔΟΣ, ΑΣ'Α İX ﬁx ŉ Σ ΑΣ. ⓐB ªC ΐ\" %}") + source), text)
        << source;
}

TEST(ChatTemplate, HostileTemplatesEndWithinTheirBudget) {
  const std::string deep_list =
      "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}";
  std::string letters;  // 127 of two bytes, U+00E9 the last
  for (char32_t c = 0xF1; c < 0xF1 + 126; ++c) append_utf8(letters, c);
  letters += "é";
  const Refusal refusals[] = {
      {"{{ ('é' * 4000000) | trim('" + letters + "') | length }}", "operations"},
      {"{{ ('é' * 3000000).strip('" + letters + "') }}", "operations"},
      {"{% for i in range(999) %}{{ ('é' * 20000).rstrip('" + letters + "') }}{% endfor %}",
       "operations"},
      {"{% for i in range(9999) %}{{ ('\u3000' * 60000) | trim }}{% endfor %}", "operations"},
      {"{{ ('\n' * 8000000) | indent(0) }}", "operations"},
      {"{{ ('a\n' * 4000000) | indent(200) }}", "operations"},
      {"{% for i in range(9999) %}{{ ('\u3000' * 60000) | int }}{% endfor %}", "operations"},
      {"{% for i in range(9999) %}{{ ('\u3000' * 60000) | float }}{% endfor %}", "operations"},
      {"{{ ('1' * 8000000) | float }}", "operations"},
      {"{% set x = '1' * 8000000 %}{% for i in range(9999) %}{{ x.isdigit() }}{% endfor %}",
       "operations"},
      {"{% set x = 'é' * 4000000 %}{% for i in range(9999) %}{{ x | length }}{% endfor %}",
       "operations"},
      {"{% set x = 'a' * 4000000 %}{% for i in range(9999) %}{{ x.count('a') }}{% endfor %}",
       "operations"},
      {"{% set x = 'a' * 8000000 %}{% for i in range(9999) %}{{ x.replace('a', 'b') }}{% endfor %}",
       "operations"},
      {"{% set x = 'ab' * 4000000 %}{% for i in range(9999) %}{{ x.replace('ab', 'c', 1) }}"
       "{% endfor %}",
       "operations"},
      {"{% set x = 'a' * 8000000 %}{% for i in range(9999) %}{{ x.split('a', 1) | length }}"
       "{% endfor %}",
       "operations"},
      {"{% for i in range(999) %}{{ ('Σ' ~ '\u0301' * 1000000 ~ 'Σ') | lower | length }}{% endfor %}",
       "operations"},
      {"{% for i in range(999) %}{{ ('\u4e00' * 1000000).title() | length }}{% endfor %}",
       "operations"},
      {"{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}{% endfor %}{% "
       "endfor %}{% endfor %}",
       "operations"},
      {"{% for a in range(1000000000) %}{% endfor %}", "'range' of more than"},
      {"{% for a in range(900000) %}{{ a }}{% endfor %}", "operations"},
      {"{% for a in range(0, -9223372036854775807, -1) %}{% endfor %}", "'range' of more than"},
      {"{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% "
       "endfor %}",
       "bytes"},
      {"{% set ns = namespace(x='ab') %}{% for i in range(23) %}{% set ns.x = ns.x ~ ns.x %}{% "
       "endfor %}"
       "{% for i in range(99) %}{{ ns.x }}{% endfor %}",
       "bytes"},
      {"{% set ns = namespace(x='aa') %}{% for i in range(20) %}{% set ns.x = ns.x.replace('a', "
       "ns.x) %}{% endfor %}",
       "bytes"},
      {"{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% "
       "endfor %}",
       "operations"},
      {"{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% "
       "endfor %}{{ ns.x | tojson }}",
       "operations"},
      {"{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
       "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
       "operations"},
      {"{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(17) %}{% set ns.x = ns.x ~ ns.x "
       "%}{% endfor %}{% for i in range(99) %}{{ (ns.x ~ 'b') in (ns.x ~ ns.x) }}{% endfor %}",
       "operations"},
      {"{{ 'x' * 1000000000000 }}", "bytes"},
      {"{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "nested deeper than 600"},
      {"{% macro f(x) %}{{ f(x ~ x) ~ f(x ~ x) }}{% endmacro %}{{ f('ab') }}", "template"},
      {"{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(90) }}",
       "operations"},
      {"{{ 'x' | indent(1000000000) }}", "'indent' by more than 256"},
      {"{{ ('\n' * 1000000) | indent(256, blank=true) }}", "bytes"},
      {"{% for i in range(999) %}{{ ('a ' * 100000).split() | length }}{% endfor %}", "operations"},
      {"{% for i in range(9999) %}{{ (' ' * 8000000) | trim }}{% endfor %}", "operations"},
      {"{% for i in range(9999) %}{{ ('a' * 8000000).rfind('b' * 4000) }}{% endfor %}",
       "operations"},
      {"{{ range(100000) | unique | list | length }}", "operations"},
      {"{% for i in range(999) %}{{ range(9999) | sort | length }}{% endfor %}", "operations"},
      {"{% for i in range(999) %}{{ range(9999) | map('string') | join | length }}{% endfor %}",
       "operations"},
      {"{% for i in range(999) %}{{ [range(9999) | list] * 2 }}{% endfor %}", "not supported"},
      {"{% for i in range(999) %}{{ (range(9999) | list) | string | length }}{% endfor %}",
       "operations"},
      {"{% for i in range(999) %}{{ range(9999) | list | tojson(indent=16) | length }}{% endfor %}",
       "operations"},
      {"{{ strftime_now('%999999999d') }}", "strftime_now"},
      {deep_list, "nested deeper than 64"},
      {"{% set ns = namespace() %}{% set ns.x = ns %}",
       "a namespace or 'loop' inside another value"},
      {"{% set ns = namespace() %}{% for i in [1] %}{% set ns.x = [loop] %}{% endfor %}",
       "a namespace or 'loop'"},
      {"{{ [1] | tojson(indent=1000000000) }}", "indent must be"},
      {"{{ " + repeat("(", 20000) + "1" + repeat(")", 20000) + " }}", "nested deeper"},
      {"{{ " + repeat("[", 20000) + repeat("]", 20000) + " }}", "nested deeper"},
      {"{{ " + repeat("not ", 20000) + "1 }}", "nested deeper"},
      {"{{ " + repeat("-", 20000) + "1 }}", "nested deeper"},
      {"{{ 1" + repeat("+1", 20000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" or 1", 20000) + " }}", "nested deeper"},
      {"{{ a" + repeat(".a", 20000) + " }}", "nested deeper"},
      {"{{ a" + repeat("[0]", 20000) + " }}", "nested deeper"},
      {"{{ 'a'" + repeat("|trim", 20000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" is none", 20000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" if 1 else 1", 10000) + " }}", "nested deeper"},
      {repeat("{% if 1 %}", 10000), "nested deeper"},
      {repeat("{% for a in [1] %}", 10000), "nested deeper"},
      {std::string(1 << 20, 'a'), "allowed are 262144"},
  };
  for (const Refusal& refusal : refusals) {
    const std::clock_t start = std::clock();  // of this process: other work does not count
    const std::string message = message_of(refusal.source);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    EXPECT_NE(message.find(refusal.what), std::string::npos) << refusal.source.substr(0, 200) << "\n"
                                                             << message.substr(0, 500);
    // Below 0.1 s in a release build; the bound leaves room for sanitizers.
    EXPECT_LT(seconds, 1) << refusal.source.substr(0, 200);
    if (std::getenv("COHORT_SHOW_TIMES"))
      std::printf("%6.1f ms  %s\n", 1e3 * seconds, refusal.source.substr(0, 120).c_str());
  }
}

TEST(ChatTemplate, LongConversationsStayWithinTheBudget) {
  ChatInput chat;
  for (int i = 0; i < 2000; ++i)
    chat.messages.push_back(message(i % 2 ? "assistant" : "user", std::string(2000, 'x')));
  const ChatTemplate chatml = ChatTemplate::parse(
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
      "message['content'] + '<|im_end|>' + '\\n'}}"
      "{% endfor %}",
      "t.jinja");
  EXPECT_GT(chatml.render(chat, {}).text.size(), 4'000'000u);
}

TEST(ChatTemplate, ContentIsOnlyText) {
  const ChatTemplate echo = ChatTemplate::parse("{{ messages[0].content }}", "t.jinja");
  const auto rendered = [&](const char* content) {
    return echo.render({.messages = Json::array({message("user", content)})}, {}).text;
  };
  EXPECT_EQ(rendered("{{ 1 + 1 }}{% if %}"), "{{ 1 + 1 }}{% if %}");
  EXPECT_EQ(rendered("a\xff"), "a\xEF\xBF\xBD");
}

class ChatTemplateFolder : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("chat_template_test_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void write(const std::string& name, std::string_view text) { std::ofstream(dir_ / name) << text; }
  std::filesystem::path dir_;
};

TEST_F(ChatTemplateFolder, HasNoTemplateWithoutFiles) {
  EXPECT_FALSE(ChatTemplate::load(dir_).has_template());
}

TEST_F(ChatTemplateFolder, TakesTheConfigsTemplate) {
  write("tokenizer_config.json", R"({"chat_template": "from config"})");
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, {}).text, "from config");
}

TEST_F(ChatTemplateFolder, TakesTheDefaultOfNamedTemplates) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, {}).text, "d");
}

TEST_F(ChatTemplateFolder, PrefersTheFile) {
  write("tokenizer_config.json", R"({"chat_template": "from config"})");
  write("chat_template.jinja", "from file");
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, {}).text, "from file");
}

TEST_F(ChatTemplateFolder, RefusesNamedTemplatesWithoutDefault) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  EXPECT_THROW(ChatTemplate::load(dir_), Error);
}

}  // namespace
}  // namespace cohort

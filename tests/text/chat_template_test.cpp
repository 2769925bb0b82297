// What the template interpreter refuses, and that hostile templates end quickly.
#include "model/text/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/check.h"

namespace cohort {
namespace {

const std::vector<ChatMessage> kMessages = {{"user", "Hello"}, {"assistant", "Hi"}};

std::string render(std::string_view source) {
  return ChatTemplate::parse(source, "t.jinja").render(kMessages, true, "<s>", "</s>");
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
      {"a\n{% macro f() %}{% endmacro %}", "t.jinja:2: the tag 'macro' is not supported"},
      {"{% include 'x' %}", "the tag 'include' is not supported"},
      {"{% import 'x' as y %}", "the tag 'import' is not supported"},
      {"{% extends 'x' %}", "the tag 'extends' is not supported"},
      {"{% raw %}{% endraw %}", "the tag 'raw' is not supported"},
      {"{% break %}", "the tag 'break' is not supported"},
      {"{{ 'a' | attr('b') }}", "the filter 'attr' is not supported; supported are trim"},
      {"{{ 1 is divisibleby(2) }}", "the test 'divisibleby' is not supported"},
      {"{{ 'a'.__class__() }}", "the method '__class__' is not supported"},
      {"{{ 'a'.format(1) }}", "the method 'format' is not supported"},
      {"\n\n{{ strftime_now('%Y') }}", "t.jinja:3: the function 'strftime_now' is not supported"},
      {"{{ lipsum() }}", "the function 'lipsum' is not supported"},
      {"{{ messages[0]() }}", "only functions and methods can be called"},
      {"{{ 1 / 2 }}", "the operator '/' is not supported"},
      {"{{ 2 ** 9 }}", "the operator '**' is not supported"},
      {"{{ 1.5 }}", "the number '1.5...' is not supported"},
      {"{{ 99999999999999999999 }}", "the number '99999999999999999999' is not supported"},
      {"{{ (1, 2) }}", "tuples are not supported"},
      {"{% set a, b = 1 %}", "'set' of several names"},
      {"{% for x in y recursive %}{% endfor %}", "'recursive' loops"},
      {"{{ loop.cycle }}{% for x in [1] %}{{ loop.changed }}{% endfor %}", "'loop' is undefined"},
      {"{% for x in [1] %}{{ loop.changed }}{% endfor %}", "'loop.changed' is not supported"},
      {"{{ messages }}", "printing a list is not supported"},
      {"{{ 'a' * 3 }}", "str * int is not supported"},
      {"{{ missing.x }}", "'missing' is undefined"},
      {"{% set messages.x = 1 %}", "'messages' is not a namespace"},
      {"{{ raise_exception('only users') }}", "the template refuses the conversation: only users"},
      {"{{ 9223372036854775807 + 1 }}", "does not fit 64 bits"},
      {"{{ f(*messages) }}", "arguments with '*'"},
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

TEST(ChatTemplate, HostileTemplatesEndWithinTheirBudget) {
  const std::string deep_list =
      "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}";
  const Refusal refusals[] = {
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
       "%}{% endfor %}"
       "{{ (ns.x ~ 'b') in (ns.x ~ ns.x) }}",
       "operations"},
      {deep_list, "nested deeper than 64"},
      {"{% set ns = namespace() %}{% set ns.x = ns %}",
       "a namespace or 'loop' inside another value"},
      {"{% set ns = namespace() %}{% for i in [1] %}{% set ns.x = [loop] %}{% endfor %}",
       "a namespace or 'loop'"},
      {"{{ [1] | tojson(indent=1000000000) }}", "indent must be"},
      {"{{ " + repeat("(", 100000) + "1" + repeat(")", 100000) + " }}", "nested deeper"},
      {"{{ " + repeat("[", 100000) + repeat("]", 100000) + " }}", "nested deeper"},
      {"{{ " + repeat("not ", 100000) + "1 }}", "nested deeper"},
      {"{{ " + repeat("-", 100000) + "1 }}", "nested deeper"},
      {"{{ 1" + repeat("+1", 100000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" or 1", 100000) + " }}", "nested deeper"},
      {"{{ a" + repeat(".a", 100000) + " }}", "nested deeper"},
      {"{{ a" + repeat("[0]", 100000) + " }}", "nested deeper"},
      {"{{ 'a'" + repeat("|trim", 100000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" is none", 100000) + " }}", "nested deeper"},
      {"{{ 1" + repeat(" if 1 else 1", 50000) + " }}", "nested deeper"},
      {repeat("{% if 1 %}", 50000), "nested deeper"},
      {repeat("{% for a in [1] %}", 50000), "nested deeper"},
      {std::string(2 << 20, 'a'), "allowed are 1048576"},
  };
  for (const Refusal& refusal : refusals)
    EXPECT_NE(message_of(refusal.source).find(refusal.what), std::string::npos)
        << refusal.source.substr(0, 200) << "\n"
        << message_of(refusal.source).substr(0, 500);
}

TEST(ChatTemplate, LongConversationsStayWithinTheBudget) {
  std::vector<ChatMessage> messages;
  for (int i = 0; i < 2000; ++i)
    messages.push_back({i % 2 ? "assistant" : "user", std::string(2000, 'x')});
  const ChatTemplate chatml = ChatTemplate::parse(
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + "
      "message['content'] + '<|im_end|>' + '\\n'}}"
      "{% endfor %}",
      "t.jinja");
  EXPECT_GT(chatml.render(messages, true, "", "").size(), 4'000'000u);
}

TEST(ChatTemplate, ContentIsOnlyText) {
  const ChatTemplate echo = ChatTemplate::parse("{{ messages[0].content }}", "t.jinja");
  EXPECT_EQ(echo.render({{"user", "{{ 1 + 1 }}{% if %}"}}, true, "", ""), "{{ 1 + 1 }}{% if %}");
  EXPECT_EQ(echo.render({{"user", "a\xff"}}, true, "", ""), "a\xEF\xBF\xBD");
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
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, true, "", ""), "from config");
}

TEST_F(ChatTemplateFolder, TakesTheDefaultOfNamedTemplates) {
  write(
      "tokenizer_config.json",
      R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, true, "", ""), "d");
}

TEST_F(ChatTemplateFolder, PrefersTheFile) {
  write("tokenizer_config.json", R"({"chat_template": "from config"})");
  write("chat_template.jinja", "from file");
  EXPECT_EQ(ChatTemplate::load(dir_).render({}, true, "", ""), "from file");
}

TEST_F(ChatTemplateFolder, RefusesNamedTemplatesWithoutDefault) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  EXPECT_THROW(ChatTemplate::load(dir_), Error);
}

}  // namespace
}  // namespace cohort

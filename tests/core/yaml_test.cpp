// Strict YAML: what is refused, with file and line, and that nothing but Error comes out of hostile
// text.
#include "core/yaml.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/check.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(Yaml, KeepsQuotedAndPlainScalarsApart) {
  const YAML::Node root =
      parse_yaml("a: 12\nb: \"12\"\nc: '12'\nd: null\ne:\nf: \"\"\ng: |\n  12\n", "x");
  EXPECT_EQ(root["a"].Tag(), "?");
  EXPECT_EQ(root["b"].Tag(), "!");
  EXPECT_EQ(root["c"].Tag(), "!");
  EXPECT_TRUE(root["d"].IsNull());
  EXPECT_TRUE(root["e"].IsNull());
  EXPECT_EQ(root["f"].Tag(), "!");
  EXPECT_EQ(root["g"].Tag(), "!");
  EXPECT_EQ(root["g"].Scalar(), "12\n");
}

TEST(Yaml, NodesKnowTheirLines) {
  for (const std::string end : {"\n", "\r\n"}) {
    std::string text =
        "# comment" + end + "a: 1" + end + end + "b:" + end + "  c: [1," + end + "    2]" + end;
    const YAML::Node root = parse_yaml(text, "x");
    EXPECT_EQ(yaml_line(root["a"]), 2);
    EXPECT_EQ(yaml_line(root["b"]), 5);
    EXPECT_EQ(yaml_line(root["b"]["c"][1]), 6);
  }
}

TEST(Yaml, ReadsQuotesThatAreClosed) {
  const YAML::Node root =
      parse_yaml("\xC3\xA9: 'it''s'\r\na: \"\\\"x\\\\\"\nb: ['', '''', \"\"]\n'c': it's\n", "x");
  EXPECT_EQ(root["\xC3\xA9"].Scalar(), "it's");
  EXPECT_EQ(root["a"].Scalar(), "\"x\\");
  EXPECT_EQ(root["b"][0].Scalar(), "");
  EXPECT_EQ(root["b"][1].Scalar(), "'");
  EXPECT_EQ(root["c"].Scalar(), "it's");
}

TEST(Yaml, NothingButCommentsIsNull) {
  for (const char* text : {"", "\n\n", "# a\n", "---\n", "---\n...\n"}) {
    EXPECT_TRUE(parse_yaml(text, "x").IsNull()) << text;
  }
}

TEST(Yaml, OneDocumentMayBeMarked) {
  EXPECT_EQ(parse_yaml("---\na: 1\n...\n", "x")["a"].Scalar(), "1");
}

struct Refused {
  const char* text;
  const char* message;  // how it begins
};

TEST(Yaml, RefusesWithFileAndLine) {
  for (const Refused& c : std::vector<Refused>{
           {"a: 1\nb: 2\na: 3\n", "f.yaml:3: duplicate key 'a'; it stands already in line 1"},
           {"a: {b: 1, b: 2}\n", "f.yaml:1: duplicate key 'b'"},
           {"a: 1\n\"a\": 2\n", "f.yaml:2: duplicate key 'a'"},
           {"a: [{b: 1}, {c: 1,\n c: 2}]\n", "f.yaml:2: duplicate key 'c'"},
           {"a: &x 1\n", "f.yaml:1: an anchor"},
           {"a: &x [1]\nb: *x\n", "f.yaml:1: an anchor"},
           {"a: &x\n", "f.yaml:1: an anchor"},
           {"&x a: 1\n", "f.yaml:1: an anchor"},
           {"a: *x\n", "f.yaml:1: "},
           {"a: 1\n--- \nb: 2\n", "f.yaml:2: a second document"},
           {"a: 1\n---\n", "f.yaml:2: a second document"},
           {"a: 1\n...\nb: 2\n", "f.yaml:3: a second document"},
           {"[a] b\n", "f.yaml:1: a second document"},
           {"a: !!str 1\n", "f.yaml:1: the tag"},
           {"a: !point {x: 1}\n", "f.yaml:1: the tag"},
           {"a: !<tag:x> [1]\n", "f.yaml:1: the tag"},
           {"%YAML 1.1\n---\na: 1\n", "f.yaml:1: a line that begins with '%'"},
           {"a: 1\n\tb: 2\n", "f.yaml:2: a tab"},
           {"a:\t1\n", "f.yaml:1: a tab"},
           {"\xEF\xBB\xBF"
            "a: 1",
            "f.yaml:1: begins with a byte order mark"},
           {"a: 1\nb: \"\x04\"\n", "f.yaml:2: control character 0x04"},
           {"a: 1\rb: 2\n", "f.yaml:1: control character 0x0d"},
           {"a: 1\nb: \xFF\n", "f.yaml:2: invalid UTF-8"},
           {"a: 1\nb: \xED\xA0\x80\n", "f.yaml:2: invalid UTF-8"},
           {"a: \"\\uD800\"\n", "f.yaml:1: not YAML"},
           {"[a, b]: 1\n", "f.yaml:1: a key must be text"},
           {"? {a: 1}\n: 1\n", "f.yaml:1: a key must be text"},
           {"['x]', \"\\\"]\", it's]: 1\n", "f.yaml:1: a key must be text"},
           {"[a", "f.yaml:1: a '[' that is not closed"},
           {"\n{a: [b]", "f.yaml:2: a '{' that is not closed"},
           {"['a]', \"]\"", "f.yaml:1: a '[' that is not closed"},
           {": 1\n", "f.yaml:1: a key is missing"},
           {"~: 1\n", "f.yaml:1: a key is missing"},
           {"null: 1\n", "f.yaml:1: a key is missing"},
           {"a: [\n", "f.yaml:2: not YAML"},
           {"a: b: c\n", "f.yaml:1: not YAML"},
           {"a: 1\n b: 2\n", "f.yaml:2: not YAML"},
           {"a: 1\n{b: 1}\n,\n", "f.yaml:2: not YAML"},
           {"{b: 1}\n,\n", "f.yaml:2: a second document"},
           {"a: ! x\n", "f.yaml:1: the tag"},
           {"a: 1\nb: 'x\n", "f.yaml:2: a quote (') that is not closed"},
           {"a: 'x''\nb: 1\n", "f.yaml:1: a quote (') that is not closed"},
           {"\xC3\xA9: 1\r\na: \"x\\\"\r\nb: 1\n", "f.yaml:2: a quote (\") that is not closed"},
           {"'a: 1\n", "f.yaml:1: a quote (') that is not closed"},
           {"a: @x\n", "f.yaml:1: not YAML"}}) {
    try {
      parse_yaml(c.text, "f.yaml");
      ADD_FAILURE() << c.text << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      EXPECT_EQ(std::string(error.what()).rfind(c.message, 0), 0u)
          << error.what() << " for " << c.text;
    }
  }
}

TEST(Yaml, TextThatIsNoFileHasNoLines) {
  EXPECT_ERROR(parse_yaml("{a: 1, a: 2}", "command line: x={a: 1, a: 2}", false), kUsage,
               "command line: x={a: 1, a: 2}: duplicate key 'a'");
}

TEST(Yaml, MessagesAreShortLines) {
  const std::string key = "\"" + std::string(1000, 'k') + "\\n\"";
  EXPECT_ERROR(parse_yaml("{" + key + ": 1, " + key + ": 2}", "f.yaml"), kUsage,
               "duplicate key '" + std::string(60, 'k') + "...'");
  EXPECT_EQ(excerpt("a\nb\xC3"), "a b\xEF\xBF\xBD");
}

TEST(Yaml, ZeroBytesAreRefused) {
  EXPECT_ERROR(parse_yaml(std::string("a: 1\0b", 6), "f.yaml"), kUsage,
               "f.yaml:1: control character 0x00");
}

TEST(Yaml, BoundsDepth) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_NO_THROW(parse_yaml(nested(kMaxYamlDepth), "f.yaml"));
  EXPECT_ERROR(parse_yaml(nested(kMaxYamlDepth + 1), "f.yaml"), kUsage,
               "f.yaml:1: nested deeper than 64 levels");
  std::string block;
  for (size_t depth = 0; depth <= kMaxYamlDepth; ++depth) block += std::string(depth, ' ') + "a:\n";
  EXPECT_ERROR(parse_yaml(block, "f.yaml"), kUsage, "f.yaml:65: nested deeper than 64 levels");
}

TEST(Yaml, BoundsSize) {
  EXPECT_ERROR(parse_yaml(std::string(kMaxYamlBytes + 1, ' '), "f.yaml"), kUsage,
               "at most 1048576");
  EXPECT_NO_THROW(parse_yaml(std::string(kMaxYamlBytes, ' '), "f.yaml"));
}

TEST(Yaml, AnAliasBombIsRefusedBeforeItGrows) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += (j > 0 ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_ERROR(parse_yaml(bomb, "f.yaml"), kUsage, "an anchor");
}

// Whole and broken megabytes of one character, or of two in turn.
TEST(Yaml, MonotonousMegabytesGiveErrorsOnly) {
  for (const std::string unit :
       {"[", "{",   "]",    "[]", "- ", "-",   "? ",   "?",    ": ", ":",
        "a", "a: ", "a:\n", "\"", "'",  "|",   "|\n",  ">",    "!",  "&",
        "*", "&a ", "#",    "%",  "\n", "- [", "{a: ", "[a, ", ",",  "? - "}) {
    std::string text;
    while (text.size() + unit.size() <= kMaxYamlBytes) text += unit;
    try {
      parse_yaml(text, "f.yaml");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
    }
  }
}

// Edits of a document by pieces of YAML: whatever comes out is a tree or an Error.
TEST(Yaml, RandomEditsGiveErrorsOnly) {
  const std::vector<std::string> pieces = {
      "[",    "]",      "{",     "}",     ": ", ":", "- ",  "? ",    ", ",       "\n",
      "\n  ", "\r\n",   "#",     " #",    "\"", "'", "|",   ">-",    "&a ",      "*a",
      "!t ",  "!!int ", "---\n", "...\n", "%",  "~", "\\x", "\\u12", "\xC3\xA9", "\xF0\x9F\x98\x80",
      "\xFF", "\t",     "<<",    "0x1",   "@",  "`"};
  const std::string document =
      "run: {name: a, seed: 1}\nmodel:\n  init: {hidden_size: 32}\nreward:\n  - {name: x, weight: "
      "1.0}\n  - name: y\n"
      "text: |\n  two\n  lines\nquoted: \"a\\tb\"\nlist: [1, [2, 3], {a: b}]\n";
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  int refused = 0, accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text = document;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % (text.size() + 1);
      if (random() % 3 == 0) text.erase(at, random() % 6);
      if (random() % 3 != 0) text.insert(at, pieces[random() % pieces.size()]);
      if (random() % 40 == 0 && !text.empty())
        text[random() % text.size()] = static_cast<char>(random());
    }
    try {
      parse_yaml(text, "f.yaml");
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kUsage);
      EXPECT_EQ(std::string(error.what()).rfind("f.yaml:", 0), 0u) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace cohort

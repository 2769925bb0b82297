// What a judge is asked and what its answers say.
#include "reward/judge_text.h"

#include <gtest/gtest.h>

#include "reward/model_options.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

TEST(JudgeTemplate, PlacesAreFilledOnce) {
  const JudgeTemplate asked = JudgeTemplate::parse("{{Q}} {prompt}|{completion}|{answer}|{n}", "t");
  const Json columns = {{"answer", "{prompt}"}, {"n", 3}};
  std::string missing;
  const RewardInput input{.prompt = "p {completion}", .completion = "c {answer}", .columns = &columns};
  EXPECT_EQ(asked.fill(input, missing), "{Q} p {completion}|c {answer}|{prompt}|3");
  const Json messages = {{{"role", "system"}, {"content", "Be kind."}}, {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Hi"}}}}}};
  EXPECT_EQ(JudgeTemplate::parse("{prompt} -> {completion}", "t").fill({.completion = "yes", .columns = &columns, .messages = &messages}, missing),
            "system: Be kind.\n\nuser: Hi -> yes");
  const Json none = Json::object();
  EXPECT_EQ(asked.fill({.columns = &none}, missing), std::nullopt);
  EXPECT_EQ(missing, "answer");
}

TEST(JudgeTemplate, RefusesBracesThatAreNoPlaces) {
  for (const char* text : {"{completion} {", "{completion} }", "{completion} {}", "{completion {prompt}}", "} {completion}"}) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(JudgeTemplate::parse(text, "here"), kUsage, "here: a '");
  }
  EXPECT_ERROR(JudgeTemplate::parse("{prompt} {{completion}}", "here"), kUsage, "has no {completion}");
}

TEST(Verdict, IsTheLastNumberInTagsOrNone) {
  const auto verdict = [](std::string_view text) { return read_verdict(text, "score", 0, 10); };
  EXPECT_EQ(verdict("<score>7</score>"), 0.7);
  EXPECT_EQ(verdict("<score>1</score>, no: <score> 2.5\n</score> is it"), 0.25);
  EXPECT_EQ(verdict("<score>10</score>"), 1.0);
  EXPECT_EQ(verdict("<score>0</score>"), 0.0);
  EXPECT_EQ(read_verdict("<v>-1</v>", "v", -1, 1), 0.0);
  for (const char* text : {"", "7", "<score>7", "<score></score>", "<score>7/10</score>", "<score>seven</score>", "<score>11</score>", "<score>-1</score>",
                           "<score>nan</score>", "<score>1e999</score>", "<score>3</score> <score>", "<score>3</score> <score>good</score>", "<Score>3</Score>"})
    EXPECT_EQ(verdict(text), std::nullopt) << text;
}

TEST(JudgeOptions, AreCheckedByThemselves) {
  const auto with = [](Json more) {
    Json options = {{"path", "/no/such/model"}, {"template", "{completion}"}};
    options.update(more);
    check_reward({.name = "judge", .options = options});
  };
  EXPECT_NO_THROW(with({{"min", 1}, {"max", 5}, {"system", "You judge."}, {"temperature", 0.5}, {"seed", 3}}));
  EXPECT_ERROR(check_reward({.name = "judge", .options = {{"path", "m"}}}), kUsage, "needs the option 'template'");
  EXPECT_ERROR(check_reward({.name = "judge", .options = {{"template", "{completion}"}}}), kUsage, "needs the option 'path': the folder of a language model");
  EXPECT_ERROR(with({{"template", "rate it"}}), kUsage, "reward 'judge': 'template': the text has no {completion}");
  EXPECT_ERROR(with({{"min", 5}, {"max", 5}}), kUsage, "allowed is a min below max");
  EXPECT_ERROR(with({{"tag", "<score>"}}), kUsage, "allowed is a name, as in <score>");
  EXPECT_ERROR(with({{"system", 3}}), kUsage, "'system' is 3; allowed is a text");
  EXPECT_ERROR(with({{"max_num_seqs", 0}}), kUsage, "'max_num_seqs' is 0");
  EXPECT_ERROR(with({{"temprature", 1}}), kUsage, "did you mean 'temperature'?");
}

}  // namespace
}  // namespace cohort

// The registry, the weighted total, and the rewards exact and format.
#include "reward/reward.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "core/check.h"

namespace cohort {
namespace {

std::optional<double> score(const RewardSpec& spec, std::string_view completion,
                            const Json& columns = Json::object()) {
  return make_reward(spec)->score({.completion = completion, .columns = &columns});
}

// What rewards cannot do without, by their names.
Json needed_options() {
  return {{"soft_overlong", {{"max_length", 9}, {"buffer", 3}}},
          {"cosine_length", {{"max_length", 9}}},
          {"keywords", {{"require", {"a"}}}},
          {"regex", {{"pattern", "a"}}},
          {"language", {{"script", "latin"}}}};
}

// The message of the exit code 2 error that `action` must end in.
template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::kUsage) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

#define EXPECT_SAYS(message, words) EXPECT_NE((message).find(words), std::string::npos) << (message)

// `code` is off without one; the others need a checker of the user's, or a model, and have tests of their own.
std::vector<std::string> names_without_options() {
  std::vector<std::string> names = reward_names();
  for (const char* name : {"code", "command", "http", "library", "model", "judge"}) std::erase(names, name);
  return names;
}

TEST(Rewards, EveryNameMakesOne) {
  EXPECT_EQ(reward_names(), (std::vector<std::string>{
                                "last_number", "exact", "format", "math", "length", "soft_overlong",
                                "cosine_length", "repetition", "keywords", "regex", "language", "json", "similarity",
                                "reasoning_gym", "code", "command", "http", "library", "model", "judge"}));
  const Json needed = needed_options();
  for (const std::string& name : names_without_options())
    EXPECT_NE(make_reward({.name = name, .options = needed.value(name, Json::object())}), nullptr);
}

TEST(Rewards, UnknownNamesAreAnsweredWithTheNearest) {
  const std::string near = refusal([] { make_reward({.name = "last_numbr"}); });
  EXPECT_SAYS(near, "unknown reward 'last_numbr'; did you mean 'last_number'?");
  EXPECT_SAYS(near, "allowed are last_number, exact, format, math, length");
  const std::string far = refusal([] { make_reward({.name = "helpfulness"}); });
  EXPECT_SAYS(far, "allowed are last_number, exact, format, math, length");
  EXPECT_EQ(far.find("did you mean"), std::string::npos) << far;
  refusal([] { make_reward({.name = ""}); });
}

TEST(Rewards, UnknownOptionsAreAnsweredWithTheNearest) {
  const auto with = [](const char* name, Json options) {
    return refusal([&] { make_reward({.name = name, .options = std::move(options)}); });
  };
  EXPECT_SAYS(with("last_number", {{"colum", "x"}}),
              "reward 'last_number': unknown option 'colum'; did you mean 'column'?");
  EXPECT_SAYS(with("exact", {{"column", "x"}, {"wieght", 2}}), "did you mean 'weight'?");
  EXPECT_SAYS(with("format", {{"column", "x"}}),
              "unknown option 'column'; allowed are name, label, weight, tags, score");
  for (const Json& column : std::vector<Json>{5, "", nullptr, true, Json::array()}) {
    EXPECT_SAYS(with("last_number", {{"column", column}}), "allowed is the name of a data column");
    EXPECT_SAYS(with("exact", {{"column", column}}), column.dump());
  }
}

TEST(Rewards, NoOptionsMayBeNullOrEmpty) {
  const Json needed = needed_options();
  for (const std::string& name : names_without_options()) {
    if (needed.contains(name)) continue;
    EXPECT_NO_THROW(make_reward({.name = name, .options = nullptr}));
    EXPECT_NO_THROW(make_reward({.name = name, .options = Json::object()}));
  }
}

TEST(Exact, Table) {
  struct Row {
    const char* completion;
    Json answer;
    std::optional<double> score;
  };
  const std::vector<Row> rows = {
      {"dcba", "dcba", 1},
      {" dcba\r\n", "dcba", 1},
      {"dcba", "\tdcba ", 1},
      {"dcba.", "dcba", 0},
      {"Dcba", "dcba", 0},
      {"d cba", "dcba", 0},
      {"", "dcba", 0},
      {"", "", 1},
      {" ", "", 1},
      {"dcb", "dcba", 0},
      {"dcbaa", "dcba", 0},
      {"46", 46, 1},
      {"46.0", 46, 0},
      {"-46", -46, 1},
      {"0.5", 0.5, 1},
      {"18446744073709551615", UINT64_MAX, 1},
      {"true", true, std::nullopt},
      {"null", nullptr, std::nullopt},
      {"[]", Json::array(), std::nullopt},
      {"\xC3\xA9", "\xC3\xA9", 1},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(score({.name = "exact"}, row.completion, {{"answer", row.answer}}), row.score)
        << "'" << row.completion << "' against " << row.answer;
  }
  EXPECT_EQ(score({.name = "exact"}, "x"), std::nullopt);
  EXPECT_EQ(score({.name = "exact", .options = {{"column", "word"}}}, "x",
                  {{"answer", "y"}, {"word", "x"}}),
            1.0);
  EXPECT_EQ(score({.name = "exact"}, std::string_view("a\0b", 3), {{"answer", "a"}}), 0.0);
}

TEST(Format, APromptThatOpensThinkSpeaksTheFirstTag) {
  const Json columns = Json::object();
  const auto after_think = [&](const char* completion) {
    return make_reward({.name = "format"})
        ->score({.completion = completion, .columns = &columns, .opens_thinking = true});
  };
  EXPECT_EQ(after_think("a</think><answer>b</answer>"), 1.0);
  EXPECT_EQ(after_think("\na\n</think>\n<answer>b</answer>\n"), 1.0);
  EXPECT_EQ(after_think("<think>a</think><answer>b</answer>"), 0.0);
  EXPECT_EQ(after_think("a<answer>b</answer>"), 0.0);
}

TEST(Format, Table) {
  const std::vector<std::pair<std::string, double>> rows = {
      {"<think>a</think><answer>b</answer>", 1},
      {"<think>\na\n</think>\n<answer>\nb\n</answer>\n", 1},
      {"  <think>a</think> \t\r\n <answer>b</answer>  ", 1},
      {"<think></think><answer></answer>", 0},
      {"<think>a</think><answer> \n</answer>", 0},
      {"<think></think><answer>b</answer>", 1},
      {"<think>1 < 2 > 0 </ think></think><answer>b</answer>", 1},
      {"<think><b>a</b></think><answer>b</answer>", 1},
      {"", 0},
      {"b", 0},
      {"<think>a</think>", 0},
      {"<answer>b</answer>", 0},
      {"<think>a<answer>b</answer>", 0},
      {"a</think><answer>b</answer>", 0},
      {"<think>a</think><answer>b", 0},
      {"<think>a</think>b</answer>", 0},
      {"<answer>b</answer><think>a</think>", 0},
      {"<think>a<answer>b</answer></think>", 0},
      {"<think><answer>a</think>b</answer>", 0},
      {"</think>a<think><answer>b</answer>", 0},
      {"<think>a</think></answer>b<answer>", 0},
      {"<think>a</think><think>a</think><answer>b</answer>", 0},
      {"<think>a</think><answer>b</answer><answer>b</answer>", 0},
      {"<think><think>a</think><answer>b</answer>", 0},
      {"<think>a</think></think><answer>b</answer>", 0},
      {"<think>a</think><answer><answer>b</answer>", 0},
      {"<think>a</think><answer>b</answer></answer>", 0},
      {"Sure! <think>a</think><answer>b</answer>", 0},
      {"<think>a</think> so <answer>b</answer>", 0},
      {"<think>a</think><answer>b</answer> Done.", 0},
      {"<Think>a</Think><Answer>b</Answer>", 0},
      {"<think >a</think><answer>b</answer>", 0},
      {"&lt;think>a</think><answer>b</answer>", 0},
  };
  for (const auto& [completion, expected] : rows)
    EXPECT_EQ(score({.name = "format"}, completion), expected) << completion;
}

// Quadratic work would not end within the test's time limit.
TEST(Rewards, HostileCompletionsTakeLinearTime) {
  for (const std::string& piece :
       std::vector<std::string>{"<think>", "</think>", "<", "<think", "<answer></answer>",
                                "<think></think>", " ", "7", "-"}) {
    std::string text;
    while (text.size() < (4u << 20)) text += piece;
    EXPECT_EQ(score({.name = "format"}, text), 0.0) << piece;
    EXPECT_EQ(score({.name = "format"}, "<think></think><answer>" + text), 0.0) << piece;
    EXPECT_EQ(score({.name = "exact"}, text, {{"answer", "8"}}), 0.0) << piece;
    EXPECT_EQ(score({.name = "last_number"}, text, {{"answer", "8"}}), 0.0) << piece;
  }
  const std::string spaces(4u << 20, ' ');
  EXPECT_EQ(
      score({.name = "format"}, spaces + "<think></think>" + spaces + "<answer>b</answer>" + spaces),
      1.0);
}

TEST(RewardSet, TheTotalIsTheWeightedSumOfThosePresent) {
  const RewardSet rewards({{.name = "last_number", .weight = 2.0},
                           {.name = "exact", .weight = 0.5, .options = {{"column", "text"}}},
                           {.name = "format", .weight = -0.25}});
  const auto row = [&](std::string_view completion, const Json& columns) {
    return rewards.score({.completion = completion, .columns = &columns});
  };
  const RewardSet::Row all =
      row("<think></think><answer>5</answer>", {{"answer", 5}, {"text", "5"}});
  EXPECT_EQ(all.scores, (std::vector<std::optional<double>>{1.0, 0.0, 1.0}));
  EXPECT_EQ(all.total, 1.75);
  const RewardSet::Row some = row("5", {{"text", "5"}});
  EXPECT_EQ(some.scores, (std::vector<std::optional<double>>{std::nullopt, 1.0, 0.0}));
  EXPECT_EQ(some.total, 0.5);
  EXPECT_EQ(rewards.specs().size(), 3u);
  EXPECT_EQ(rewards.specs()[1].name, "exact");
}

TEST(RewardSet, ARowThatNoRewardCanJudgeHasNoTotal) {
  const Json columns = Json::object();
  const RewardSet::Row row = RewardSet({{.name = "last_number"}, {.name = "exact"}})
                                 .score({.completion = "5", .columns = &columns});
  EXPECT_EQ(row.scores, (std::vector<std::optional<double>>{std::nullopt, std::nullopt}));
  EXPECT_EQ(row.total, std::nullopt);
}

TEST(RewardSet, RefusesWhatCouldGiveATotalThatIsNoNumber) {
  for (const double weight : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, -1.1e6})
    EXPECT_SAYS(refusal([&] { RewardSet({{.name = "format", .weight = weight}}); }),
                "reward 'format': weight");
  for (const double weight : {0.0, -1.0, 1e6})
    EXPECT_NO_THROW(RewardSet({{.name = "format", .weight = weight}}));
}

TEST(RewardSet, RefusesTwoOfOneName) {
  EXPECT_SAYS(refusal([] {
                RewardSet({{.name = "exact"}, {.name = "format"}, {.name = "exact"}});
              }),
              "reward 'exact' is listed twice, and their metrics would have one name; give one of them a label of its own");
}

TEST(RewardSet, OneRewardCountsSeveralTimesUnderLabels) {
  const RewardSet rewards({{.name = "keywords", .options = {{"require", {"please"}}}},
                           {.name = "rude", .weight = -1, .options = {{"require", {"fool"}}}, .kind = "keywords"}});
  const RewardSet::Row row = rewards.score({.completion = "please, fool", .columns = nullptr});
  EXPECT_EQ(row.scores, (std::vector<std::optional<double>>{1.0, 1.0}));
  EXPECT_EQ(row.total, 0.0);
  EXPECT_EQ(rewards.score({.completion = "fool", .columns = nullptr}).total, -1.0);
  EXPECT_SAYS(refusal([] { make_reward({.name = "rude", .options = {{"requires", {"a"}}}, .kind = "keywords"}); }),
              "reward 'rude': unknown option 'requires'; did you mean 'require'?");
  EXPECT_SAYS(refusal([] { RewardSet({{.name = "exact"}, {.name = "exact", .kind = "format"}}); }),
              "give one of them a label of its own, e.g. {name: format, label: exact_2}");
}

// A look at a config, also one of long ago, neither starts nor asks anything, and its result does not depend on what is there.
TEST(Rewards, OptionsAreCheckedWithoutAnythingBeingStarted) {
  const std::string mark = testing::TempDir() + "cohort-started-" + std::to_string(getpid());
  const std::vector<RewardSpec> specs = {
      {.name = "command", .options = {{"command", {"/bin/sh", "-c", "touch " + mark}}}},
      {.name = "gone", .options = {{"command", {"no-such-program-here"}}}, .kind = "command"},
      {.name = "http", .options = {{"url", "http://127.0.0.1:9/score"}, {"token_env", "COHORT_NO_SUCH_VARIABLE"}}},
      {.name = "library", .options = {{"path", "/no/such/library.so"}}},
      {.name = "code", .options = {{"sandbox", "local"}, {"language", "x"},
                                   {"languages", {{"x", {{"source", "a"}, {"run", {"/no/such/program"}}}}}}}}};
  for (const RewardSpec& spec : specs) EXPECT_NO_THROW(check_reward(spec)) << spec.name;
  // Each of them is refused when it is to be used.
  for (const RewardSpec& spec : specs) EXPECT_THROW(make_reward(spec), Error) << spec.name;
  EXPECT_EQ(access(mark.c_str(), F_OK), 0) << "now it was started";
  std::remove(mark.c_str());
  // Whatever is wrong with one of them, none is started.
  refusal([&] { RewardSet({specs[0], {.name = "exact", .weight = 1e9}}); });
  refusal([&] { RewardSet({specs[0], {.name = "http", .options = {{"url", "ftp://x"}}}}); });
  refusal([&] { RewardSet({specs[0], {.name = "command", .kind = "exact"}}); });
  EXPECT_NE(access(mark.c_str(), F_OK), 0);
  // What is wrong by itself is told without it, too.
  EXPECT_SAYS(refusal([] { check_reward({.name = "command", .options = Json::object()}); }), "'command' is missing");
  EXPECT_SAYS(refusal([] { check_reward({.name = "http", .options = {{"url", "http://x"}, {"batch", 0}}}); }), "'batch' is 0");
  EXPECT_SAYS(refusal([] { check_reward({.name = "library", .options = {{"path", "a"}, {"threads", "few"}}}); }), "'threads' is 'few'");
  EXPECT_SAYS(refusal([] { check_reward({.name = "code", .options = Json::object()}); }), "is off until the config says so");
  EXPECT_SAYS(refusal([] { check_reward({.name = "exact", .weight = 1e9}); }), "weight");
  const auto model = [](Json options) { check_reward({.name = "model", .options = std::move(options)}); };
  EXPECT_NO_THROW(model({{"path", "/no/such/model"}, {"dtype", "bfloat16"}, {"max_length", 512}, {"prompt", "user_message"}}));
  EXPECT_SAYS(refusal([&] { model(Json::object()); }), "reward 'model' needs the option 'path': the folder of a reward model");
  EXPECT_SAYS(refusal([&] { model({{"path", 3}}); }), "'path' is 3; allowed is a text");
  EXPECT_SAYS(refusal([&] { model({{"path", "m"}, {"dtype", "float16"}}); }), "'dtype' is 'float16'; did you mean 'bfloat16'?");
  EXPECT_SAYS(refusal([&] { model({{"path", "m"}, {"max_length", -1}}); }), "'max_length' is -1");
  EXPECT_SAYS(refusal([&] { model({{"path", "m"}, {"prompt", "chat"}}); }), "allowed are as_given, user_message");
  EXPECT_SAYS(refusal([&] { model({{"paht", "m"}}); }), "did you mean 'path'?");
}

}  // namespace
}  // namespace cohort

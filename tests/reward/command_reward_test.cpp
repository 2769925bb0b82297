// The reward `command`: what crosses to the program and back, and programs that do not start.
#include <cstdlib>

#include "core/text.h"
#include "reward/reward.h"
#include "tests/reward/outside_fixture.h"

namespace cohort {
namespace {

class Command : public CommandTest {};

TEST_F(Command, GivesTheProgramsScoreAndReason) {
  const CommandReward reward(spec());
  const OutsideVerdict verdict = judge_with(reward, "score -0.125");
  EXPECT_EQ(verdict, (OutsideVerdict{OutsideEnd::scored, -0.125, "as told"}));
  EXPECT_EQ(judge_with(reward, "null"), (OutsideVerdict{OutsideEnd::none, std::nullopt, "no gold answer"}));
  EXPECT_EQ(judge_with(reward, "plain"), (OutsideVerdict{OutsideEnd::scored, 0.5, ""}));
  EXPECT_EQ(judge_with(reward, "two_pieces"), (OutsideVerdict{OutsideEnd::scored, 0.25, ""}));
  EXPECT_EQ(reward.ends(), (std::array<int64_t, kOutsideEnds>{3, 1, 0, 0}));
  const std::vector<std::string> completions = {"score 2"};
  const std::vector<RewardInput> inputs = inputs_of(completions);
  EXPECT_EQ(reward.score(inputs[0]), 2.0);
  EXPECT_EQ(reward.explain(inputs[0]).reason, "as told");
  EXPECT_EQ(reward.judge({}).size(), 0u);
  EXPECT_EQ(reward.restarts(), 0);
}

TEST_F(Command, AScoreKeepsEveryBit) {
  const CommandReward reward(spec());
  for (const char* digits : {"0.1", "0.30000000000000004", "1e-300", "-123456.78901234567", "5e-324"})
    EXPECT_EQ(judge_with(reward, std::string("answer \"score\": ") + digits).score, std::strtod(digits, nullptr)) << digits;
}

TEST_F(Command, TheProgramSeesAllOfTheCompletion) {
  const CommandReward reward(spec());
  const Json columns = {{"answer", 12}, {"steps", {"a\n", "é"}}};
  const RewardInput input{.prompt = "2 * \"6\"\n", .completion = "echo \xff \x01", .finish_reason = "length", .columns = &columns};
  const OutsideVerdict verdict = reward.judge({&input, 1}).front();
  ASSERT_EQ(verdict.end, OutsideEnd::scored) << verdict.reason;
  Json request = parse_json(verdict.reason, "the request");
  EXPECT_TRUE(request["id"].is_number_integer());
  request.erase("id");
  EXPECT_EQ(request, (Json{{"prompt", "2 * \"6\"\n"},
                           {"completion", "echo \xEF\xBF\xBD \x01"},  // invalid UTF-8 is replaced
                           {"finish_reason", "length"},
                           {"columns", columns}}));
  const Json messages = {{{"role", "user"}, {"content", "2 * 6"}}};
  const RewardInput talk{.completion = "echo", .finish_reason = "stop", .columns = nullptr, .messages = &messages};
  request = parse_json(reward.judge({&talk, 1}).front().reason, "the request");
  EXPECT_EQ(request["messages"], messages);
  EXPECT_EQ(request["prompt"], "");
}

TEST_F(Command, ALongCompletionGoesThroughThePipes) {
  const CommandReward reward(spec({{"line_kb", 4096}, {"output_kb", 8192}, {"timeout_s", 60}}));
  const std::string noise(1 << 20, 'x');  // far beyond what a pipe holds
  const OutsideVerdict verdict = judge_with(reward, "echo " + noise);
  EXPECT_EQ(verdict.score, 1.0) << verdict.reason;
  EXPECT_EQ(verdict.reason.size(), 1003u) << "reasons are cut";
}

TEST_F(Command, TheProgramHasTheUsersEnvironmentAndFolder) {
  const CommandReward reward(spec());
  EXPECT_EQ(judge_with(reward, "environment PATH").reason, std::string(std::getenv("PATH")).substr(0, 1000));
}

TEST_F(Command, AProgramThatCannotBeStartedIsAnErrorOfTheConfig) {
  const auto refused = [&](Json options) { CommandReward({.name = "command", .options = std::move(options)}); };
  EXPECT_ERROR(refused({{"command", {"no-such-program-here", "x"}}}), kUsage,
               "reward 'command': no-such-program-here x cannot be started: No such file or directory");
  EXPECT_ERROR(refused({{"command", {"/etc/passwd"}}}), kUsage, "/etc/passwd cannot be started: Permission denied");
  EXPECT_ERROR(refused(spec({}, "broken").options), kUsage, "ended with exit code 1; its standard error ends with: "
                                                            "ModuleNotFoundError: No module named 'checker'");
  EXPECT_ERROR(refused(spec({{"start_timeout_s", 0.3}}, "silent").options), kUsage, "did not write {\"ready\": 1} within 0.3 s");
  EXPECT_ERROR(refused(spec({}, "banner").options), kUsage, "wrote the line \"Loading the model...\", which is not JSON");
  EXPECT_ERROR(refused(spec({}, "newer").options), kUsage,
               "wrote \"{\\\"ready\\\": 2}\" as its first line; allowed is {\"ready\": 1}");
}

TEST_F(Command, OptionsAreChecked) {
  const auto refused = [&](Json options) { CommandReward({.name = "command", .options = std::move(options)}); };
  EXPECT_ERROR(refused(Json::object()), kUsage, "reward 'command': 'command' is missing; allowed is a list like");
  EXPECT_ERROR(refused({{"command", "python3 checker.py"}}), kUsage,
               "'command' is \"python3 checker.py\"; allowed is a list like [python3, checker.py]");
  EXPECT_ERROR(refused({{"command", Json::array()}}), kUsage, "'command' is []");
  EXPECT_ERROR(refused({{"command", {"a", 1}}}), kUsage, "'command' holds 1; allowed are texts");
  EXPECT_ERROR(refused({{"command", {"", "x"}}}), kUsage, "'command' begins with an empty text");
  EXPECT_ERROR(refused({{"command", {std::string("a\0b", 3)}}}), kUsage, "'command' holds \"a\\u0000b\"; allowed are texts without NUL characters");
  EXPECT_ERROR(refused({{"command", {std::string(70'000, 'x')}}}), kUsage, "'command' has 70001 bytes; allowed are 65536");
  EXPECT_ERROR(refused(spec({{"worker", 1}}).options), kUsage, "did you mean 'workers'?");
  EXPECT_ERROR(refused(spec({{"workers", 0}}).options), kUsage, "'workers' is 0");
  EXPECT_ERROR(refused(spec({{"timeout_s", 0}}).options), kUsage, "'timeout_s' is 0");
  EXPECT_ERROR(refused(spec({{"line_kb", 64}, {"output_kb", 32}}).options), kUsage, "'output_kb' is less than 'line_kb'");
}

TEST_F(Command, IsInTheTableOfRewards) {
  const RewardSet rewards({{"command", 2.0, spec().options}});
  const std::vector<std::string> completions = {"score 0.5", "null"};
  const std::vector<RewardInput> inputs = inputs_of(completions);
  EXPECT_EQ(rewards.score(inputs[0]).total, 1.0);
  EXPECT_EQ(rewards.score(inputs[1]).total, std::nullopt);
}

TEST_F(Command, EndsItsProcessesWithTheReward) {
  {
    const CommandReward reward(spec({{"workers", 3}}));
    EXPECT_EQ(reward.judge(inputs_of({"score 1", "score 2", "score 3", "score 4"})).size(), 4u);
    EXPECT_TRUE(eventually([&] { return count_processes_with(mark) == 3; }));
  }
  EXPECT_EQ(count_processes_with(mark), 0);
}

}  // namespace
}  // namespace cohort

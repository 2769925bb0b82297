// The reward `library`: what crosses the border, and libraries that are none.
#include "reward/outside/library.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "reward/reward.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

RewardSpec spec(Json options = Json::object(), const std::string& path = GOOD_LIBRARY) {
  options["path"] = path;
  return {.name = "library", .options = std::move(options)};
}
OutsideVerdict judge(const LibraryReward& reward, const std::string& completion) {
  const RewardInput input{.completion = completion, .finish_reason = "stop", .columns = nullptr};
  return reward.judge({&input, 1}).front();
}

TEST(Library, SeesTheCompletionAndGivesScoreAndReason) {
  const LibraryReward reward(spec());
  const Json columns = {{"answer", "1"}};
  const std::array<int32_t, 3> ids = {5, 6, 7};
  const RewardInput input{.prompt = "p",
                          .completion = std::string_view("four\xff", 5),
                          .finish_reason = "length",
                          .columns = &columns,
                          .opens_thinking = true,
                          .ids = ids};
  EXPECT_EQ(reward.judge({&input, 1}).front(), (OutsideVerdict{OutsideEnd::scored, 5.0, R"(p|length|{"answer":"1"}|3:7|1)"}));
  EXPECT_EQ(judge(reward, "ab"), (OutsideVerdict{OutsideEnd::scored, 2.0, "|stop|{}|0:-1|0"}));
  const Json messages = {{{"role", "user"}, {"content", "hi"}}};
  const RewardInput talk{.completion = "messages", .finish_reason = "stop", .columns = nullptr, .messages = &messages};
  EXPECT_EQ(reward.judge({&talk, 1}).front().reason, R"([{"role":"user","content":"hi"}])");
  EXPECT_EQ(judge(reward, "none"), (OutsideVerdict{OutsideEnd::none, std::nullopt, "no gold answer"}));
  EXPECT_EQ(judge(reward, "endless").reason, std::string(COHORT_REWARD_REASON_SIZE, 'x')) << "cut where the room ends";
  EXPECT_EQ(judge(LibraryReward(spec({{"options", {{"scale", 2}}}})), "ab").score, 4.0);
  EXPECT_EQ(RewardSet({{"library", 0.5, spec().options}}).score(input).total, 2.5);
}

TEST(Library, BadAnswersCostAScore) {
  const LibraryReward reward(spec());
  const auto bad = [&](const std::string& completion, const std::string& words) {
    const OutsideVerdict verdict = judge(reward, completion);
    EXPECT_EQ(verdict.end, OutsideEnd::error) << completion;
    EXPECT_EQ(verdict.score, std::nullopt) << completion;
    EXPECT_NE(verdict.reason.find(words), std::string::npos) << words << " in " << verdict.reason;
  };
  bad("failed", "failed: no luck");
  bad("failed silently", "failed without a reason");
  bad("seven", "returned 7; allowed are the values of cohort_reward_result");
  bad("nan", "gave the score ");
  bad("large", "gave the score -10000000");
  EXPECT_EQ(judge(reward, "ab").score, 2.0);
  EXPECT_EQ(reward.ends(), (std::array<int64_t, kOutsideEnds>{1, 0, 0, 5}));
}

TEST(Library, AnExceptionCostsAScore) {
  const LibraryReward reward(spec({}, THROWING_LIBRARY));
  EXPECT_EQ(judge(reward, "").end, OutsideEnd::error);
  EXPECT_EQ(judge(reward, "").reason, THROWING_LIBRARY " threw: something that is no std::exception");
  EXPECT_EQ(judge(reward, "a").reason, THROWING_LIBRARY " threw: no such word\\x1B");
  EXPECT_EQ(judge(reward, "ab").score, 1.0) << "it can be called again";
}

TEST(Library, WhatIsNoneIsAnErrorOfTheConfig) {
  const auto refused = [](RewardSpec spec) { LibraryReward reward(spec); };
  EXPECT_ERROR(refused({.name = "library", .options = Json::object()}), kUsage, "reward 'library' needs the option 'path'");
  EXPECT_ERROR(refused(spec({}, "/no/such/library.so")), kUsage, "/no/such/library.so cannot be loaded: ");
  EXPECT_ERROR(refused(spec({}, "libc.so.6")), kUsage, "libc.so.6 cannot be loaded: ./libc.so.6: ");  // not the system's
  EXPECT_ERROR(refused(spec({}, "/etc/passwd")), kUsage, "cannot be loaded: ");
  EXPECT_ERROR(refused(spec({}, NEWER_LIBRARY)), kUsage, "has version 2 of reward/outside/abi.h; allowed is 1");
  EXPECT_ERROR(refused(spec({}, PARTIAL_LIBRARY)), kUsage, "has no function 'cohort_reward_score'");
  EXPECT_ERROR(refused(spec({{"options", {{"speed", 1}}}})), kUsage, "refuses its options: unknown options {\"speed\":1}");
  EXPECT_ERROR(refused(spec({{"options", {{"silent", true}}}})), kUsage, "refuses its options: it gives no reason");
  EXPECT_ERROR(refused(spec({{"options", 1}})), kUsage, "'options' is 1; allowed is a map");
  EXPECT_ERROR(refused(spec({{"threads", "two"}})), kUsage, "'threads' is 'two'; allowed are one, many");
  EXPECT_ERROR(refused(spec({{"pat", 1}})), kUsage, "did you mean 'path'?");
}

TEST(Library, IsCalledByOneThreadAtATimeUnlessTheConfigSaysMany) {
  const LibraryReward reward(spec());
  std::atomic<int> alone = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        if (judge(reward, "alone").score == 1.0) ++alone;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(alone, 200);
  EXPECT_EQ(judge(LibraryReward(spec({{"threads", "many"}})), "alone").score, 1.0);
}

}  // namespace
}  // namespace cohort

// Checkers that hang, flood, die and lie: a completion's own score is what that costs, and nothing else changes.
#include <sys/wait.h>

#include <thread>

#include "reward/outside/span_feed.h"
#include "reward/scorer.h"
#include "tests/reward/list_feed.h"
#include "tests/reward/outside_fixture.h"

namespace cohort {
namespace {

const Json kShort = {{"timeout_s", 0.5}};

class CommandFaults : public CommandTest {};

TEST_F(CommandFaults, Hangs) {
  expect_fault("hang", OutsideEnd::timeout, "gave no answer within 0.5 s", kShort);
  expect_fault("stop", OutsideEnd::timeout, "gave no answer within 0.5 s", kShort);
  expect_fault("half", OutsideEnd::timeout, "gave no answer within 0.5 s", kShort);
  expect_fault("deaf", OutsideEnd::timeout, "gave no answer within 0.5 s", kShort);
}

TEST_F(CommandFaults, Floods) {
  expect_fault("long_line", OutsideEnd::error, "wrote a line of more than 1024 bytes", {{"line_kb", 1}, {"output_kb", 64}});
  expect_fault("flood", OutsideEnd::error, "wrote more than 65536 bytes without an answer", {{"line_kb", 64}, {"output_kb", 64}});
}

TEST_F(CommandFaults, Deaths) {
  expect_fault("dead", OutsideEnd::error, "ended with exit code 3");
  expect_fault("killed", OutsideEnd::error, "was ended by signal 9 (KILL)");
  expect_fault("half_dead", OutsideEnd::error, "ended with exit code 0 in the middle of a line");
  expect_fault("closed", OutsideEnd::error, "closed its standard output");
  // Its last lines, safe for a terminal.
  expect_fault("last_words", OutsideEnd::error,
               "ended with exit code 1; its standard error ends with: Traceback / \\x1B[31mValueError");
}

TEST_F(CommandFaults, LinesThatAreNoAnswer) {
  const auto line = [&](const std::string& text, const std::string& words) { expect_fault("line " + text, OutsideEnd::error, words); };
  line("hello", "wrote the line \"hello\", which is not JSON");
  line("", "which is not JSON");
  line(R"({"id": 0, "score": NaN})", "which is not JSON");
  line(R"({"id": 0, "score": Infinity})", "which is not JSON");
  line(R"({"id": 0, "id": 1, "score": 1})", "which is not JSON");
  line("\xff", "which is not JSON");
  line("[[[[[[[[[[1]]]]]]]]]]", "which is not JSON");
  line("7", "which is no answer: no JSON object");
  line(R"({"score": 1})", "which is no answer: no 'id'");
  line(R"({"id": "0", "score": 1})", "which is no answer: the id \"0\"");
  line(R"({"id": 0.0, "score": 1})", "which is no answer: the id");
  line(R"({"id": -1, "score": 1})", "which is no answer: the id");
  line(R"({"id": 18446744073709551615, "score": 1})", "which is no answer: the id");
  line(R"({"ready": 1})", "which is no answer: no 'id'");
  expect_fault("other_id", OutsideEnd::error, "which it was not asked or has answered before");
}

TEST_F(CommandFaults, AnswersWithoutAGoodScore) {
  const CommandReward reward(spec());
  const auto answer = [&](const std::string& members, const std::string& words) {
    const OutsideVerdict verdict = judge_with(reward, "answer " + members);
    EXPECT_EQ(verdict.end, OutsideEnd::error) << members;
    EXPECT_EQ(verdict.score, std::nullopt) << members;
    EXPECT_NE(verdict.reason.find(words), std::string::npos) << words << " in " << verdict.reason;
  };
  answer(R"("score": "0.5")", "answered with the score \"0.5\"; allowed: null or a number in [-1000000, 1000000]");
  answer(R"("score": true)", "answered with the score true");
  answer(R"("score": [1])", "answered with the score [1]");
  answer(R"("score": 1e7)", "answered with the score 10000000.0");
  answer(R"("reason": "x")", "answered without a 'score'");
  answer(R"("score": 1, "reason": 5)", "answered with the reason 5; allowed: a text");
  answer(R"("score": 1, "scores": 1)", "answered with the unknown key \"scores\"; allowed are id, score, reason");
  EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
  EXPECT_EQ(reward.restarts(), 0) << "whose answer it was is known: the process goes on";
}

// All kinds of faults among good ones, whatever runs beside them: the scores are those of each completion alone.
TEST_F(CommandFaults, CostNoOtherCompletionItsScore) {
  std::vector<std::string> completions;
  for (const char* fault : {"hang", "long_line", "flood", "dead", "line noise", "other_id", "twice", "then_dead", "then_noise",
                            "half_dead", "closed", "null", "answer \"score\": \"x\"", "last_words"}) {
    completions.push_back(fault);
    for (int i = 0; i < 3; ++i) completions.push_back("score " + std::to_string(0.1 * static_cast<double>(completions.size())));
  }
  std::vector<std::optional<double>> expected;
  for (const std::string& completion : completions)
    expected.push_back(completion.starts_with("score ") ? std::optional(std::stod(completion.substr(6)))
                       : completion == "twice" || completion.starts_with("then_") ? std::optional(1.0)
                                                                                  : std::nullopt);
  for (const auto& [workers, in_flight] : std::vector<std::pair<int, int>>{{1, 1}, {3, 1}, {2, 5}, {1, 100}}) {
    const CommandReward reward(spec({{"workers", workers}, {"in_flight", in_flight}, {"timeout_s", 1}, {"output_kb", 64}}));
    const std::vector<OutsideVerdict> verdicts = reward.judge(inputs_of(completions));
    for (size_t i = 0; i < completions.size(); ++i)
      EXPECT_EQ(verdicts[i].score, expected[i]) << completions[i] << ": " << verdicts[i].reason << "; " << workers << " x " << in_flight;
    EXPECT_EQ(verdicts[0].end, OutsideEnd::timeout);
    EXPECT_GT(reward.restarts(), 8);
  }
}

TEST_F(CommandFaults, AnswersOutOfOrderReachTheirCompletions) {
  const CommandReward reward(spec({{"workers", 1}, {"in_flight", 4}}, "reverse:4"));
  std::vector<std::string> completions;
  for (int i = 0; i < 12; ++i) completions.push_back("score " + std::to_string(i));
  const std::vector<OutsideVerdict> verdicts = reward.judge(inputs_of(completions));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(verdicts[static_cast<size_t>(i)].score, i);
  EXPECT_EQ(reward.restarts(), 0);
}

TEST_F(CommandFaults, AnAnswerThatIsGivenTwiceCountsOnce) {
  const CommandReward reward(spec({{"workers", 1}}));
  EXPECT_EQ(judge_with(reward, "twice").score, 1.0);
  EXPECT_EQ(judge_with(reward, "score 0.5").score, 0.5);
  EXPECT_EQ(judge_with(reward, "score 0.25").score, 0.25);
  EXPECT_EQ(reward.restarts(), 1);
}

// A process that was idle when it died is replaced, and nobody is charged.
TEST_F(CommandFaults, ADeathBetweenTwoBatchesCostsNothing) {
  const CommandReward reward(spec({{"workers", 1}}));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(judge_with(reward, "then_dead").score, 1.0);
  EXPECT_EQ(reward.ends()[0], 5);
}

TEST_F(CommandFaults, EverythingThatItStartedDiesWithIt) {
  const CommandReward reward(spec({{"workers", 1}, {"timeout_s", 0.5}}));
  EXPECT_EQ(judge_with(reward, "daemon").end, OutsideEnd::timeout);
  EXPECT_TRUE(eventually([&] { return count_processes_with(mark) <= 1; })) << "the daemons are dead, one process was started anew";
  EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
}

// It may: it is the same user's. That costs a deadline and no more, and what it started dies all the same.
TEST_F(CommandFaults, ItsSupervisorIsNoHostage) {
  const CommandReward reward(spec({{"workers", 1}, {"timeout_s", 0.5}}));
  const Clock::time_point start = Clock::now();
  EXPECT_EQ(judge_with(reward, "stop_supervisor").end, OutsideEnd::timeout);
  EXPECT_EQ(judge_with(reward, "kill_supervisor").end, OutsideEnd::error);
  EXPECT_LT(seconds_since(start), 10) << "a deadline of half a second, and the killing";
  EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
  EXPECT_TRUE(eventually([&] { return count_processes_with(mark) <= 1; })) << "the last one, which works";
}

TEST_F(CommandFaults, AProgramThatCannotBeStartedAgainEndsTheRun) {
  const std::string folder = (std::filesystem::temp_directory_path() / ("cohort-" + mark)).string();
  std::filesystem::remove(folder);
  {
    const CommandReward reward(spec({{"workers", 1}}, "once:" + folder));
    EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
    EXPECT_ERROR(judge_with(reward, "dead"), kRankFailed, "a checker cannot be started again, tried 5 times: ");
    std::filesystem::remove(folder);  // what was wrong is over: the place is not lost
    EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
  }
  std::filesystem::remove(folder);
  try {  // whether it is seen to die at the start, before it is asked or after is a race; all are faults, and bounded
    const CommandReward brief(spec({{"workers", 1}}, "short_lived"));
    EXPECT_EQ(judge_with(brief, "score 1").end, OutsideEnd::error);
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ExitCode::kRankFailed || error.code() == ExitCode::kUsage) << error.what();
  }
}

TEST_F(CommandFaults, TheCompletionsDeadlineEndsTheWaitingAndTheProcess) {
  const CommandReward reward(spec({{"workers", 1}, {"timeout_s", 60}}));
  const Clock::time_point start = Clock::now();
  const auto verdicts = reward.judge(inputs_of({"hang", "score 2"}), start + std::chrono::milliseconds(400));
  EXPECT_LT(seconds_since(start), 10);
  EXPECT_EQ(verdicts[0].end, OutsideEnd::timeout);
  EXPECT_EQ(verdicts[0].reason, "the checker did not answer by the completion's deadline");
  EXPECT_EQ(verdicts[1].end, OutsideEnd::timeout);
  EXPECT_EQ(judge_with(reward, "score 1").score, 1.0);
  // Another thread has the only process.
  std::thread busy([&] { reward.judge(inputs_of({"hang"}), Clock::now() + std::chrono::seconds(2)); });
  usleep(200'000);
  const Verdict late = reward.verdict(inputs_of({"score 3"}).front(), Clock::now() + std::chrono::milliseconds(100));
  EXPECT_EQ(late.score, std::nullopt);
  EXPECT_EQ(late.missing, Missing::timeout);
  busy.join();
  EXPECT_EQ(judge_with(reward, "score 3").score, 3.0);
}

TEST_F(CommandFaults, AFailingRunDoesNotWaitForItsChecker) {
  const Clock::time_point start = Clock::now();
  {
    const RewardSet rewards({spec({{"workers", 2}, {"timeout_s", 600}})});
    ThreadPool pool(1);
    const std::vector<std::string> completions = {"hang", "daemon"};
    const std::vector<RewardInput> inputs = inputs_of(completions);
    Scorer scorer(rewards, pool, 3);
    for (int64_t i = 0; i < 2; ++i) scorer.add(i, inputs[static_cast<size_t>(i)]);
    EXPECT_TRUE(eventually([&] { return count_processes_with(mark) == 3; })) << "both are at it";
  }
  EXPECT_LT(seconds_since(start), 40);
}

// As training asks: a process has several completions at a time, and gets the next one with each answer.
TEST_F(CommandFaults, ACheckerHasSeveralCompletionsOfAScorerAtATime) {
  const RewardSet rewards({spec({{"workers", 1}, {"in_flight", 4}}, "reverse:4")});  // it answers when it has four, the last one first
  std::vector<std::string> completions;
  for (int i = 0; i < 32; ++i) completions.push_back("score " + std::to_string(i));
  const std::vector<RewardInput> inputs = inputs_of(completions);
  ThreadPool pool(1);
  Scorer scorer(rewards, pool, 32);
  for (int64_t i = 0; i < 32; ++i) scorer.add(i, inputs[static_cast<size_t>(i)]);
  const Scores scores = scorer.finish();
  for (size_t i = 0; i < 32; ++i) EXPECT_EQ(scores.rows[i].scores[0], static_cast<double>(i)) << scores.verdicts[i][0].reason;
}

TEST_F(CommandFaults, ADeadlineOfOneCompletionLeavesThoseBesideItTheirs) {
  using namespace std::chrono_literals;
  const CommandReward reward(spec({{"workers", 1}, {"in_flight", 3}, {"timeout_s", 600}}));
  ListFeed feed({{"score 1", 300s}, {"hang", 500ms}, {"score 2", 300s}, {"score 3", 300s}});
  reward.serve(feed);
  EXPECT_EQ(feed.verdicts[0].score, 1.0);
  EXPECT_EQ(feed.verdicts[1].score, std::nullopt);
  EXPECT_EQ(feed.verdicts[1].missing, Missing::timeout);
  EXPECT_EQ(feed.verdicts[1].reason, "the checker did not answer by the completion's deadline");
  EXPECT_EQ(feed.verdicts[2].score, 2.0) << feed.verdicts[2].reason;
  EXPECT_EQ(feed.verdicts[3].score, 3.0) << feed.verdicts[3].reason;
  EXPECT_EQ(reward.restarts(), 1);
}

TEST_F(CommandFaults, SeveralThreadsShareTheProcesses) {
  const CommandReward reward(spec({{"workers", 2}}));
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const double score = t + 0.01 * i;
        if (judge_with(reward, fmt::format("score {}", score)).score == score) ++right;
        if (i % 10 == 5 && judge_with(reward, "dead").end == OutsideEnd::error) ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 4 * 22);
}

TEST_F(CommandFaults, NothingSurvivesATrainerThatIsKilled) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t trainer = fork();
  if (trainer == 0) {
    Launcher launcher;  // its own: the parent's would live on
    CheckerPool pool(launcher, {.command = program(), .seconds = 600, .workers = 2});
    std::thread told([&] {
      while (count_processes_with(mark) < 4) usleep(1000);  // two checkers and what each of them leaves behind
      [[maybe_unused]] const ssize_t sent = write(ready[1], "x", 1);
    });
    const std::vector<std::string> completions = {"daemon", "stop_supervisor"};
    const std::vector<RewardInput> inputs = inputs_of(completions);
    SpanFeed feed(inputs, Clock::time_point::max());
    pool.serve(feed);
    _exit(0);
  }
  close(ready[1]);
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(trainer, SIGKILL);
  waitpid(trainer, nullptr, 0);
  close(ready[0]);
  EXPECT_TRUE(eventually([&] { return count_processes_with(mark) == 0; }));
}

}  // namespace
}  // namespace cohort

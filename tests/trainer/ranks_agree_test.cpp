// Ranks that were started differently, or read different files, are told before they compute anything together.
#include "trainer/ranks_agree.h"

#include <gtest/gtest.h>

#include "core/check.h"
#include "tests/trainer/thread_comm.h"

namespace cohort {
namespace {

Config config_with(const std::string& more) {
  return parse_config("model: {path: m}\ndata: {train: t}\n" + more, "test");
}

// What each of three ranks says, which must be one and the same thing.
std::string told(const std::function<void(Comm&)>& check, ExitCode code) {
  std::vector<std::string> texts(3);
  run_on_threads(3, [&](Comm& comm) {
    try {
      check(comm);
    } catch (const Error& error) {
      texts[static_cast<size_t>(comm.rank())] = error.code() == code ? error.what() : "another exit code";
    }
  });
  EXPECT_EQ(texts[0], texts[1]);
  EXPECT_EQ(texts[0], texts[2]);
  return texts[0];
}

std::string told_of(const std::string& first, const std::string& third) {
  return told([&](Comm& comm) { check_same_start(config_with(comm.rank() == 2 ? third : first), comm); }, ExitCode::kUsage);
}

TEST(RanksAgree, OneConfigIsRight) { EXPECT_EQ(told_of("reward: [{name: exact}]", "reward: [{name: exact}]"), ""); }

TEST(RanksAgree, EveryKeyCountsThatRanksMustHaveInCommon) {
  const std::string reward = "reward: [{name: exact}]\n";
  const auto expect = [&](const std::string& more, const std::string& words) {
    const std::string text = told_of(reward, reward + more);
    EXPECT_NE(text.find("rank 2 was started with another config than rank 0: " + words), std::string::npos) << text;
  };
  expect("run: {seed: 4}", "'run.seed: 4' there, 'run.seed: 42' on rank 0; give every rank the same file");
  expect("optim: {learning_rate: 2.0e-6}", "'optim.learning_rate: 2.0e-06' there, 'optim.learning_rate: ");
  expect("trainer: {save_steps: 7}", "'trainer.save_steps: 7' there");  // decides no bits, but when ranks meet
  expect("trainer: {max_steps: 7}", "'trainer.max_steps: 7' there");
  const std::string text = told_of(reward, "reward: [{name: exact, weight: 2.0}]");
  EXPECT_NE(text.find("weight: 2"), std::string::npos) << text;
}

TEST(RanksAgree, HostsMayHaveThreadsAndInterfacesOfTheirOwn) {
  EXPECT_EQ(told_of("reward: [{name: exact}]", "reward: [{name: exact}]\nrun: {threads: 3}\ncomm: {interface: eth1}"), "");
}

TEST(RanksAgree, OtherFilesAreNamed) {
  const std::string text = told(
      [](Comm& comm) { check_same_input(comm.rank() == 1 ? "b" : "a", "the training data", "data.jsonl", comm); }, ExitCode::kInput);
  EXPECT_NE(text.find("rank 1 has read another content of the training data than rank 0 (fingerprints b and a): data.jsonl"), std::string::npos) << text;
  EXPECT_EQ(told([](Comm& comm) { check_same_input("a", "the model", "folder", comm); }, ExitCode::kInput), "");
}

}  // namespace
}  // namespace cohort

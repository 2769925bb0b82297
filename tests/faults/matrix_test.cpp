// Whatever goes wrong, wherever: the job ends soon, with the right exit code and words, and the same command goes on with the
// bits of the run that nothing happened to.
#include <fmt/format.h>

#include <csignal>

#include "tests/faults/harness.h"

namespace cohort {
namespace {

constexpr int kSteps = 4, kStep = 3;

struct Kind {
  const char* name;
  int exit_code;
  const char* words;  // in what is printed; RANK and HOST are replaced
};
constexpr Kind kKinds[] = {
    {"kill", 4, "rank RANK on HOST: killed by signal 9 (Killed)"},
    {"segv", 4, "rank RANK on HOST: killed by signal 11 (Segmentation fault)"},
    {"stop", 4, "did not arrive: rank RANK on HOST"},
    {"exit", 4, "rank RANK on HOST: ended with exit code 0, before its work was done,"},
    {"exception", 1, "rank RANK on HOST: internal error: an injected fault"},
    {"loop", 4, "rank RANK on HOST"},
    {"nan", 5, "rank "},  // whoever finds it
    {"memory", 6, "rank RANK on HOST: out of memory"},
    {"disk", 6, "No space left on device"},
    {"corrupt", 4, "rank RANK on HOST: killed by signal 9 (Killed)"},
};
constexpr const char* kSections[] = {"load", "rollout", "reward", "update", "collective", "checkpoint"};

struct Cell {
  Kind kind;
  std::string section;
  std::string name() const { return std::string(kind.name) + "_" + section; }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
  return text;
}

class Matrix : public testing::TestWithParam<Cell> {
 protected:
  static const World& world() {
    static const World world(kSteps);
    return world;
  }
};

TEST_P(Matrix, EndsAndGoesOn) {
  const Cell cell = GetParam();
  const std::string kind = cell.kind.name, name = cell.name();
  const bool load = cell.section == "load";
  // Only rank 0 writes outside checkpoints; a checkpoint that is spoilt must be there.
  const int rank = kind == "disk" && cell.section != "checkpoint" ? 0 : 1;
  // What is spoilt must have an earlier one: two are certainly complete in the last step.
  const int64_t step = kind == "corrupt" ? kSteps : kStep;
  const Fault fault{kind, cell.section, load ? 0 : step, rank, "gradients"};
  std::vector<std::string> overrides = with_deadlines(kDeadline);
  if (load && kind == "corrupt") {  // spoilt while a run loads that goes on from a checkpoint
    ASSERT_EQ(train_with_fault(world(), name, 2, {"kill", "rollout", kSteps, 0, ""}, {}).outcome.exit_code, 4);
  }
  const int ranks = 2 + static_cast<int>(cell.section.size() + kind.size()) % 2;
  const Struck struck = train_with_fault(world(), name, ranks, fault, overrides);
  const std::string& err = struck.outcome.err;
  ASSERT_TRUE(struck.seconds) << "the fault did not happen\n" << err;
  EXPECT_EQ(struck.outcome.exit_code, cell.kind.exit_code) << err;
  const double deadline = kDeadline + (cell.section == "reward" ? 1 : 0);  // rewards keep theirs; the watchdog comes a fifth later
  EXPECT_LE(*struck.seconds, deadline + 5) << err;
  // While it samples, scores or writes a checkpoint, the others wait as long as that may take: its supervisor is the first to know.
  const std::string watched = " rollout reward checkpoint ", either = " update collective ";  // with a checkpoint being written, or without
  const auto says = [&](const char* words) {
    return err.find(replaced(replaced(words, "RANK", std::to_string(rank)), "HOST", host_name())) != std::string::npos;
  };
  const auto among = [&](const std::string& sections) { return kind == "stop" && sections.find(" " + cell.section + " ") != std::string::npos; };
  const bool by_supervisor = says("rank RANK on HOST: section");
  if (kind == "nan" && cell.section == "update") {
    EXPECT_TRUE(says("rank RANK on HOST: step 3, problem '")) << err;
  }
  if (kind == "nan" && cell.section == "collective") {  // what it sends to the rank after it is spoilt, while its own numbers are good
    const std::string words = fmt::format("all_to_all(gradients): every rank's own gradients are finite, but not their sum in the span of rank {} on {}, "
                                          "and a second time it is: what came from rank ", (rank + 1) % ranks, host_name());
    EXPECT_NE(err.find(words), std::string::npos) << err;
    EXPECT_NE(err.find(" of step 3)"), std::string::npos) << err;
  }
  EXPECT_TRUE(among(watched) ? by_supervisor : says(cell.kind.words) || (among(either) && by_supervisor)) << cell.kind.words << "\nis not in\n" << err;
  // Nobody is blamed who only waits.
  for (int other = 0; other < ranks; ++other)
    if (other != rank) {
      EXPECT_EQ(err.find(fmt::format("rank {} on {}: section", other, host_name())), std::string::npos) << err;
    }
  EXPECT_NE(err.find(host_name()), std::string::npos) << err;
  EXPECT_NE(err.find("step "), std::string::npos) << err;

  if (kind == "corrupt") {
    const Outcome refused = train(COHORT_BINARY, 2, world().config, {"run.name=" + name});
    EXPECT_EQ(refused.exit_code, 3) << refused.err;
    EXPECT_NE(refused.err.find("shard_00001.bin: the content does not match the hash"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("run.resume: PATH"), std::string::npos) << refused.err;
    overrides = {"run.resume=" + world().run(name) + "/checkpoints/step_1"};
  } else {
    overrides.clear();
  }
  overrides.insert(overrides.end(), {"run.name=" + name, "--quiet"});
  const Outcome resumed = train(COHORT_BINARY, 5 - ranks, world().config, overrides);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(world().difference(name), "") << err;
}

// One rank's own gradient leaves float32: that rank says so, with the problem and the parameter, while the other only waits.
TEST(QuickMatrix, ARankNamesItsOwnOverflow) {
  const World world(kSteps);
  std::vector<std::string> overrides = with_deadlines(kDeadline);
  // Few tokens share the loss, hardly anything has been learnt, and a low temperature steepens what the huge reward is multiplied by.
  const std::vector<std::string> steep = {"algorithm.scale_rewards=none", "trainer.warm_start.steps=1", "rollout.temperature=0.3", "rollout.max_completion_length=1",
                                          "trainer.prompts_per_step=2", "rollout.num_generations=2"};
  overrides.insert(overrides.end(), steep.begin(), steep.end());
  const Struck struck = train_with_fault(world, "overflow", 2, {"overflow", "reward", kStep, 1, ""}, overrides);
  const std::string& err = struck.outcome.err;
  ASSERT_TRUE(struck.seconds) << "the fault did not happen\n" << err;
  EXPECT_EQ(struck.outcome.exit_code, 5) << err;
  EXPECT_LE(*struck.seconds, kDeadline + 5) << err;
  EXPECT_NE(err.find(fmt::format("rank 1 on {}: step 3, problem '", host_name())), std::string::npos) << err;
  EXPECT_NE(err.find(": the gradient of model."), std::string::npos) << err;
  EXPECT_EQ(err.find("rank 0 on"), std::string::npos) << err;
  overrides = steep;
  overrides.insert(overrides.end(), {"run.name=overflow", "--quiet"});
  const Outcome resumed = train(COHORT_BINARY, 1, world.config, overrides);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (const Kind& kind : kKinds)
    for (const char* section : kSections) cells.push_back({kind, section});
  return cells;
}
// Each kind and each section, the kinds that wait for a deadline once.
std::vector<Cell> quick_cells() {
  const std::string names = " kill_reward kill_checkpoint segv_rollout stop_collective exit_update exception_load loop_reward nan_collective "
                            "nan_checkpoint memory_update disk_checkpoint disk_rollout corrupt_rollout ";
  std::vector<Cell> cells = all_cells();
  std::erase_if(cells, [&](const Cell& cell) { return names.find(fmt::format(" {} ", cell.name())) == std::string::npos; });
  return cells;
}
const auto kName = [](const testing::TestParamInfo<Cell>& info) { return info.param.name(); };
INSTANTIATE_TEST_SUITE_P(Quick, Matrix, testing::ValuesIn(quick_cells()), kName);
INSTANTIATE_TEST_SUITE_P(All, Matrix, testing::ValuesIn(all_cells()), kName);

}  // namespace
}  // namespace cohort

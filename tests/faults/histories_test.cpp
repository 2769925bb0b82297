// Runs with random histories: ranks, threads, checkpoints, faults and resumes; the result is that of the run that nothing happened
// to. COHORT_SEED and COHORT_HISTORIES choose which and how many (scripts/faults.sh); a history is a function of its seed but for
// the moments of kills that come by the clock.
#include <fmt/format.h>

#include <random>

#include "tests/faults/harness.h"

namespace cohort {
namespace {

constexpr int kSteps = 12;

int64_t from_environment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::stoll(text);
}

class History {
 public:
  History(const World& world, int64_t seed, bool ahead) : world_(world), ahead_(ahead), name_("history" + std::to_string(seed)), random_(static_cast<uint64_t>(seed)) {}

  // What happened, for the message; `failed` where a process ended in a way that it should not have.
  std::string text, failed;
  const std::string& name() const { return name_; }

  void run() {
    for (int leg = 0; leg < 5; ++leg)
      if (this->leg(leg == 4)) return;
  }

 private:
  int64_t draw(int64_t first, int64_t last) { return std::uniform_int_distribution<int64_t>(first, last)(random_); }

  // Whether the run is finished.
  bool leg(bool last) {
    const int ranks = static_cast<int>(draw(1, 8));
    constexpr int kSaves[] = {1, 2, 3, 4, 6};
    std::vector<std::string> overrides = {"run.name=" + name_, "run.threads=" + std::to_string(draw(1, 2)),
                                          "trainer.save_steps=" + std::to_string(kSaves[draw(0, 4)]),
                                          "trainer.reuse_activations=" + std::string(draw(0, 1) ? "true" : "false"),
                                          "rollout.load_balancing=" + std::string(draw(0, 1) || ahead_ ? "static" : "work_stealing"),
                                          "rollout.max_num_seqs=" + std::to_string(draw(1, 3)),
                                          "trainer.gradient_checkpointing=" + std::string(draw(0, 3) ? "false" : "true")};
    const int64_t how = last ? 0 : draw(0, 5);
    std::vector<int> expected = {0};  // a fault may come too late, or in a section that this leg has not
    Outcome outcome;
    std::string what = "nothing";
    if (how == 0) {
      outcome = train(COHORT_BINARY, ranks, world_.config, overrides);
    } else if (how <= 3) {
      constexpr const char* kKinds[] = {"kill", "segv", "exit", "ask"};
      constexpr const char* kSections[] = {"rollout", "reward", "update", "collective", "checkpoint"};
      const Fault fault{kKinds[draw(0, 3)], kSections[draw(0, 4)], draw(1, kSteps), static_cast<int>(draw(0, ranks - 1)), "gradients"};
      what = fault.text();
      outcome = train_with_fault(world_, name_, ranks, fault, overrides).outcome;
      expected.insert(expected.end(), {ranks > 1 ? 4 : fault.kind == "exit" ? 0 : -1, 75});
      if (ranks == 1 && fault.kind == "exit" && outcome.exit_code == 0) what += " (perhaps)";
    } else {
      const bool kills = how == 4, supervisor = draw(0, 3) == 0;
      const double seconds = 0.02 * static_cast<double>(draw(0, 60));
      bool sent;
      outcome = train(COHORT_BINARY, ranks, world_.config, overrides,
                      signal_after(seconds, kills ? SIGKILL : SIGUSR1, ranks, static_cast<size_t>(draw(0, ranks - 1)), supervisor, sent));
      what = fmt::format("{}{} after {:.2f} s{}", kills ? "SIGKILL" : "SIGUSR1", supervisor ? " to a supervisor" : "", seconds,
                         sent ? "" : " (too late)");
      if (sent) expected.insert(expected.end(), {kills ? (ranks == 1 ? -1 : supervisor ? 137 : 4) : 75});
      // In the first milliseconds nobody can ask yet: the signal ends the process, or (mpirun) the job.
      if (sent && !kills) expected.insert(expected.end(), {-1, 4, 138});
    }
    text += fmt::format("  {} ranks, {}, {}: {} -> {}\n", ranks, overrides[1], overrides[2], what, outcome.exit_code);
    if (std::ranges::find(expected, outcome.exit_code) == expected.end()) failed += text + outcome.err;
    return std::filesystem::exists(world_.run(name_) + "/final/model.safetensors");
  }

  const World& world_;
  bool ahead_;
  std::string name_;
  std::mt19937_64 random_;
};

// ahead: each step is sampled beside the one before (rollout.staleness).
void histories(int64_t first, int64_t count, bool ahead = false) {
  const World world(kSteps, ahead ? "staleness: 1, " : "");
  for (int64_t seed = first; seed < first + count; ++seed) {
    History history(world, seed, ahead);
    history.run();
    EXPECT_EQ(history.failed, "") << "seed " << seed;
    EXPECT_EQ(world.difference(history.name()), "") << "seed " << seed << "\n" << history.text;
    printf("history of seed %lld:\n%s", static_cast<long long>(seed), history.text.c_str());
    fflush(stdout);
    std::filesystem::remove_all(world.run(history.name()));
  }
}

TEST(QuickHistories, EndWithTheSameBits) { histories(1, 3); }
TEST(QuickHistories, OfAStepAheadEndWithTheSameBits) { histories(4, 1, true); }
TEST(Histories, EndWithTheSameBits) { histories(from_environment("COHORT_SEED", 1000), from_environment("COHORT_HISTORIES", 60)); }
TEST(Histories, OfAStepAheadEndWithTheSameBits) { histories(from_environment("COHORT_SEED", 1000), from_environment("COHORT_HISTORIES", 60), true); }

// More ranks than cores: the small test run, on 16 and on 32.
TEST(ManyRanks, EndWithTheSameBits) {
  World world(4);
  const std::vector<std::string> wide = {"trainer.logical_ranks=32", "--quiet"};
  const auto run = [&](int ranks, const std::string& name) {
    std::vector<std::string> overrides = wide;
    overrides.push_back("run.name=" + name);
    return train(COHORT_BINARY, ranks, world.config, overrides, not_longer_than(std::chrono::seconds(300)));
  };
  ASSERT_EQ(run(1, "one").exit_code, 0);
  for (const int ranks : {16, 32}) {
    const Outcome outcome = run(ranks, "many");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    const RunComparison result = compare_runs(world.run("one"), world.run("many"));
    EXPECT_FALSE(result.first) << ranks << ": " << result.first->where;
    EXPECT_TRUE(result.final_models && result.checkpoints == 4) << ranks;
    std::filesystem::remove_all(world.run("many"));
  }
}

// COHORT_KILLS kills at random moments in one long run, each followed by a resume on other ranks.
TEST(Soak, RandomKillsLoseNothing) {
  const World world(4);
  const int64_t kills = from_environment("COHORT_KILLS", 300), seed = from_environment("COHORT_SEED", 1);
  std::mt19937_64 random(static_cast<uint64_t>(seed));
  const auto draw = [&](int64_t first, int64_t last) { return std::uniform_int_distribution<int64_t>(first, last)(random); };
  const std::vector<std::string> common = {"run.name=soak", "trainer.save_total_limit=2", "log.completions_steps=100", "--quiet"};
  const auto last_step = [&]() -> int64_t {
    int64_t last = 0;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(world.run("soak") + "/checkpoints", none))
      if (entry.path().filename().string().starts_with("step_") && std::filesystem::exists(entry.path() / "manifest.json"))
        last = std::max<int64_t>(last, std::stoll(entry.path().filename().string().substr(5)));
    return last;
  };
  int64_t done = 0, failures = 0, launcher_hangs = 0, step = 0;
  while (done < kills && failures < 5) {
    const int ranks = static_cast<int>(draw(1, 3));
    std::vector<std::string> overrides = common;
    overrides.insert(overrides.end(), {"trainer.max_steps=1000000", "trainer.save_steps=" + std::to_string(draw(1, 3))});
    bool sent, hangs = false;
    const double seconds = 0.02 * static_cast<double>(draw(0, 125));
    const Watch kills = signal_after(seconds, SIGKILL, ranks, static_cast<size_t>(draw(0, ranks - 1)), false, sent);
    // mpirun of Open MPI 4.1.4 may lock up when all of its ranks are gone (docs/cluster.md). That is not what is tested.
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = train(COHORT_BINARY, ranks, world.config, overrides, [&](pid_t child, const std::string& err) {
      kills(child, err);
      if (ranks == 1 || std::chrono::steady_clock::now() - start < std::chrono::seconds(40)) return false;
      const std::vector<pid_t> ranks_left = children_of(child);
      hangs = std::ranges::all_of(ranks_left, is_gone);
      kill(child, SIGKILL);
      return true;
    });
    done += sent;
    launcher_hangs += hangs;
    const int64_t now = last_step();
    const int expected = ranks == 1 || hangs ? -1 : 4;
    if (!sent || outcome.exit_code != expected || now < step) {
      ++failures;
      printf("kill %lld: %d ranks, after %.2f s: exit code %d, expected %d; step %lld after %lld\n%s\n", static_cast<long long>(done), ranks,
             seconds, outcome.exit_code, expected, static_cast<long long>(now), static_cast<long long>(step), outcome.err.c_str());
    }
    step = now;
    if (done % 20 == 0) printf("%lld kills, %lld failures, step %lld\n", static_cast<long long>(done), static_cast<long long>(failures), static_cast<long long>(step));
    fflush(stdout);
  }
  std::vector<std::string> end = common;
  end.insert(end.end(), {"trainer.max_steps=" + std::to_string(step + 3), "trainer.save_steps=1"});
  EXPECT_EQ(train(COHORT_BINARY, 2, world.config, end).exit_code, 0);
  end[0] = "run.name=reference";
  EXPECT_EQ(train(COHORT_BINARY, 1, world.config, end, not_longer_than(std::chrono::seconds(1800))).exit_code, 0);
  const RunComparison result = compare_runs(world.run("reference"), world.run("soak"));
  EXPECT_FALSE(result.first) << result.first->step << " " << result.first->where;
  EXPECT_EQ(result.steps, step + 3);
  EXPECT_EQ(failures, 0);
  printf("%lld kills, %lld failures; %lld steps equal; mpirun locked up %lld times after its ranks had ended\n", static_cast<long long>(done),
         static_cast<long long>(failures), static_cast<long long>(result.steps), static_cast<long long>(launcher_hangs));
}

}  // namespace
}  // namespace cohort

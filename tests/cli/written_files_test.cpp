// Where a run writes: its directory, and nowhere else.
#include <set>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

std::set<std::string> below(const std::string& folder) {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) names.insert(entry.path().lexically_relative(folder).string());
  return names;
}

// The files of a model from scratch, which are there before its run directory is known to be this run's, too.
TEST(WrittenFiles, ATemporaryFolderOrAHomeIsNotNeeded) {
  const TemporaryFolder folder;
  write_all(folder / "pairs.jsonl", R"({"prompt": "1+1=", "chosen": "2", "rejected": "3"})" "\n");
  write_all(folder / "tiny.yaml", tiny_config("runs"));
  write_all(folder / "rm.yaml", R"(run: {threads: 1}
model:
  init: {hidden_size: 32, intermediate_size: 64, num_layers: 2, num_heads: 2, num_kv_heads: 1, max_positions: 64}
data: {train: pairs.jsonl}
rm: {pairs_per_step: 1, max_length: 64}
)");
  const std::set<std::string> before = below(folder.str());
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"-C", folder.str(), "TMPDIR=/nonexistent", "HOME=/nonexistent", COHORT_BINARY});
    const Outcome outcome = run_program("env", args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  };
  for (const auto& [command, config] : {std::pair("train", "tiny.yaml"), {"rm", "rm.yaml"}}) run({command, config, "--dry-run"});
  EXPECT_EQ(below(folder.str()), before);
  for (const auto& [command, config] : {std::pair("train", "tiny.yaml"), {"rm", "rm.yaml"}}) run({command, config, std::string("run.name=") + command, "trainer.max_steps=1"});
  for (const std::string& name : below(folder.str()))
    EXPECT_TRUE(before.contains(name) || name.starts_with("runs/train/") || name.starts_with("runs/rm/")) << name;
  EXPECT_TRUE(fs::exists(folder / "runs/train/initial/tokenizer.json"));
  EXPECT_TRUE(fs::exists(folder / "runs/rm/final/model.safetensors"));
}

}  // namespace
}  // namespace cohort

// The arrows between folders point one way (docs/architecture.md): an include that points up fails here.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// What a folder may include besides itself.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"core", {}},
    {"model/text", {"core"}},
    {"model/formats", {"core", "model"}},  // tensor.h alone; see below
    {"model/ops", {"core", "model"}},
    {"model/cpu", {"core", "model", "model/ops"}},
    {"model/cuda", {"core", "model", "model/ops", "model/cuda/platform"}},
    {"model/cuda/platform", {"core"}},
    {"model/families", {"core", "model"}},
    {"model", {"core", "model/families", "model/ops", "model/text", "model/formats"}},
    {"comm", {"core", "model/cuda/platform"}},  // status codes of CUDA: nccl*.cpp alone
    {"reward", {"core", "reward/math"}},
    {"reward/math", {"core", "reward"}},
    {"reward/code", {"core", "reward"}},
    {"reward/outside", {"core", "reward", "reward/code"}},
    {"rollout", {"core", "model", "model/ops", "model/text"}},
    {"trainer", {"core", "model", "model/ops", "model/text", "model/formats", "comm", "reward", "reward/outside", "rollout"}},
    {"pipeline", {"core", "model", "comm", "reward", "rollout", "trainer"}},
    {"cli", {"core", "pipeline", "model", "model/ops", "model/text", "model/formats", "model/cpu", "comm", "reward", "reward/code",
             "reward/outside", "rollout", "trainer"}},
};
// Headers of model/ that hold only types, or only declare what a backend defines, for the folders below it.
const std::set<std::string> kTypes = {"model/tensor.h", "model/exec.h", "model/device.h", "model/gpu_draws.h", "model/gpu_stream.h", "model/pass_graphs.h"};
// What a family reads config.json with.
const std::set<std::string> kConfigs = {"model/config.h", "model/config_reader.h"};

std::string folder_of(const std::string& path) { return fs::path(path).parent_path().string(); }

// Why `file` must not include `target`, or "".
std::string objection(const std::string& file, const std::string& target) {
  const std::string from = folder_of(file), to = folder_of(target);
  if (from == to) return "";
  const auto allowed = kAllowed.find(from);
  if (allowed == kAllowed.end()) return "folder " + from + " is not in the list of this test";
  if (!allowed->second.contains(to)) return from + " may not include " + to;
  const bool below_model = from == "model/formats" || from == "model/ops" || from == "model/cpu" || from == "model/cuda";
  if (below_model && to == "model" && !kTypes.contains(target)) return from + " may include only types of model/";
  if (from == "model/families" && to == "model" && !kConfigs.contains(target)) return from + " may include only configs";
  return "";
}

TEST(Includes, PointDownOnly) {
  int files = 0, includes = 0;
  for (const auto& [folder, allowed] : kAllowed) {
    if (!fs::exists(fs::path(SOURCE_DIR) / folder)) continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".h" && extension != ".cpp" && extension != ".cu" && extension != ".cuh") continue;
      ++files;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        constexpr std::string_view kStart = "#include \"";
        if (line.rfind(kStart, 0) != 0) continue;
        const std::string target = line.substr(kStart.size(), line.find('"', kStart.size()) - kStart.size());
        const std::string file = folder + "/" + entry.path().filename().string();
        ++includes;
        EXPECT_EQ(objection(file, target), "") << file << " includes " << target;
      }
    }
  }
  EXPECT_GT(files, 100);
  EXPECT_GT(includes, 200);
}

TEST(Includes, AnUpwardOneIsNoticed) {
  EXPECT_NE(objection("core/files.cpp", "model/tensor.h"), "");
  EXPECT_NE(objection("reward/math.cpp", "trainer/config.h"), "");
  EXPECT_NE(objection("model/ops/matmul.h", "model/policy.h"), "");
  EXPECT_NE(objection("model/families/qwen2.cpp", "model/policy.h"), "");
  EXPECT_NE(objection("model/text/bpe.cpp", "model/ops/matmul.h"), "");
  EXPECT_NE(objection("rollout/generator.cpp", "comm/comm.h"), "");
  EXPECT_NE(objection("elsewhere/x.cpp", "core/check.h"), "");
  EXPECT_EQ(objection("model/ops/matmul.h", "model/exec.h"), "");
}

}  // namespace

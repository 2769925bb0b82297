// gpu_kernels over the emulator: each op runs, is counted and gives what was kept of it.
#include <algorithm>
#include <sstream>

#include "bench/roofline/expect.h"
#include "core/files.h"
#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

const std::string kResults = std::string(SOURCE_DIR) + "/tests/emulated/op_results.json";

Outcome gpu_kernels(const std::vector<std::string>& args) { return run_program(GPU_KERNELS, args, "", {}); }

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(parse_json(line, "gpu_kernels"));
  return lines;
}

TEST(GpuKernels, MeasuresEachOpOfTheTable) {
  const TemporaryFolder folder;
  const Outcome outcome = gpu_kernels({"--small", "--markdown", folder / "table.md"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> lines = lines_of(outcome.out);
  EXPECT_EQ(lines.at(0).at("device"), "Emulated GPU");
  for (const char* name : {"copy_gb_s", "bf16_tflop_s", "launch_us"}) EXPECT_GT(lines[0].at(name).get<double>(), 0) << name;
  const roofline::Shape shape = roofline::find_shape("tiny");
  const std::string table = read_all(folder / "table.md");
  size_t ops = 0;
  for (const auto& [step, list] : {std::pair{"decode step", roofline::decode_step(shape)}, {"update pass", roofline::update_pass(shape)},
                                   {"optimizer", roofline::optimizer_step(shape)}, {"other", roofline::other_ops(shape)}}) {
    int64_t times = 0;
    double us = 0, sum = -1;
    for (const Json& line : lines) {
      if (!line.contains("step") || line.at("step") != step) continue;
      EXPECT_EQ(line.at("shape"), "tiny");
      if (!line.contains("op")) {
        sum = line.at("us");
        EXPECT_EQ(line.at("launches"), roofline::total_of(list, roofline::datasheets()[0]).sums.launches);
        continue;
      }
      ++ops;
      for (const char* name : {"us", "gb_s", "bound_us", "share"}) EXPECT_GT(line.at(name).get<double>(), 0) << line;
      EXPECT_EQ(line.at("below"), line.at("share").get<double>() < 0.7);
      EXPECT_NE(table.find("| " + line.at("op").get<std::string>() + " |"), std::string::npos);
      times += line.at("times").get<int64_t>();
      us += line.at("us").get<double>() * line.at("times").get<double>();
    }
    int64_t wanted = 0;
    for (const roofline::Op& op : list) wanted += op.times;
    EXPECT_EQ(times, wanted) << step;
    EXPECT_NEAR(sum, step == std::string("other") ? -1 : us, 1e-6 * us) << step;
  }
  EXPECT_GT(ops, 40u);
}

TEST(GpuKernels, ResultsAreThoseThatAreKept) {
  const Outcome outcome = gpu_kernels({"--compare", kResults});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err << "a new op: gpu_kernels_emulated --results " << kResults;
  EXPECT_NE(outcome.out.find("0 differ"), std::string::npos) << outcome.out;
}

// A number that is off, one that is missing, one that nobody asked for, and a count.
TEST(GpuKernels, OtherResultsAreToldByName) {
  const TemporaryFolder folder;
  const Json kept = parse_json(read_file(kResults), "results");
  const auto outcome_of = [&](const Json& results) { return gpu_kernels({"--compare", write_all(folder / "results.json", dump_json(results))}); };
  const auto spoil = [&](const std::string& kind, const auto& change) {
    Json results = kept;
    for (auto& [op, outputs] : results.items())
      if (op.starts_with(kind + ":")) {
        change(outputs.begin().value());
        break;
      }
    const Outcome outcome = outcome_of(results);
    EXPECT_EQ(outcome.exit_code, 1) << kind;
    const std::string told = outcome.out.substr(std::min(outcome.out.find("DIFFERS"), outcome.out.size()), 80);
    EXPECT_NE(told.find(kind + ":"), std::string::npos) << kind << ": " << told;
  };
  spoil("rmsnorm", [](Json& o) { o["some"][3] = o["some"][3].get<double>() + 0.1 * o["rms"].get<double>(); });
  spoil("attention backward", [](Json& o) { o["rms"] = 1.1 * o["rms"].get<double>(); });
  spoil("product weight", [](Json& o) { o["along"] = o["along"].get<double>() + o["rms"].get<double>(); });
  spoil("sample head", [](Json& o) { o["some"][0] = o["some"][0].get<int>() + 1; });
  spoil("rope", [](Json& o) { o["numbers"] = 1; });
  Json fewer = kept;
  fewer.erase(fewer.begin().key());
  EXPECT_EQ(outcome_of(fewer).exit_code, 1);
  Json more = kept;
  more["another op"]["y"] = kept.begin().value().begin().value();
  EXPECT_EQ(outcome_of(more).exit_code, 1);
}

TEST(GpuKernels, WhatThereIsNoTimeOrMemoryForIsLeftOut) {
  const Outcome late = gpu_kernels({"--small", "--seconds", "0"});
  ASSERT_EQ(late.exit_code, 0) << late.err;
  const std::vector<Json> lines = lines_of(late.out);
  ASSERT_GT(lines.size(), 40u);
  for (size_t i = 1; i < lines.size(); ++i) EXPECT_NE(lines[i].at("left_out").get<std::string>().find("seconds are over"), std::string::npos) << lines[i];

  setenv("EMULATED_CUDA", "memory=72000000", 1);  // of which two workspaces of cuBLASLt take most
  const Outcome small = gpu_kernels({"--small"});
  unsetenv("EMULATED_CUDA");
  ASSERT_EQ(small.exit_code, 0) << small.err;
  size_t left_out = 0, sums = 0;
  for (const Json& line : lines_of(small.out)) {
    const std::string why = line.value("left_out", "");
    if (!why.empty()) ++left_out;
    EXPECT_EQ(why.empty(), why.find("MB of GPU memory") == std::string::npos) << why;
    if (line.contains("step") && !line.contains("op")) ++sums;
  }
  EXPECT_GT(left_out, 0u);
  EXPECT_LT(sums, 3u);  // a list with something left out has none
}

TEST(GpuKernels, SaysWhatIsWrong) {
  const Outcome unknown = gpu_kernels({"--shape", "qwen9"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("the shape 'qwen9' is unknown"), std::string::npos) << unknown.err;
  EXPECT_EQ(gpu_kernels({"--repetitions", "0"}).exit_code, 2);
  EXPECT_EQ(gpu_kernels({"--compare", "/nowhere.json"}).exit_code, 3);
  setenv("EMULATED_CUDA", "devices=0", 1);
  const Outcome none = gpu_kernels({"--small"});
  const Outcome page = gpu_kernels({"--expect"});
  unsetenv("EMULATED_CUDA");
  EXPECT_EQ(none.exit_code, 2) << none.err;
  EXPECT_EQ(page.exit_code, 0) << page.err;  // needs no GPU
  EXPECT_EQ(page.out, roofline::roofline_page());
}

}  // namespace
}  // namespace cohort

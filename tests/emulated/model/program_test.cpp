// The program with run.device: cuda, over the emulator: what it computes, and how it fails.
#include <csignal>

#include "tests/emulated/model/tiny_program.h"

namespace cohort {
namespace {

TEST(GpuProgram, TrainsWithTheSameBitsInEveryOrderAndAcrossAKill) {
  const TinyProgram tiny;
  const Outcome outcome = tiny.train("a");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<Json> steps = metrics_of(tiny.run("a"));
  ASSERT_EQ(steps.size(), 3u);
  for (const Json& step : steps) EXPECT_EQ(step.value("sampling/sampling_logp_difference/max", 0.0), 0.0);
  EXPECT_TRUE(std::ranges::any_of(steps, [](const Json& step) { return step.value("grad_norm", 0.0) > 0; }));
  const Json manifest = parse_json(read_all(tiny.run("a") + "/checkpoints/step_2/manifest.json"), "manifest");
  EXPECT_EQ(manifest["build"]["device"], "cuda");
  EXPECT_NE(manifest["build"]["kernels"].get<std::string>().find("cublasLt"), std::string::npos);
  {
    const EmulatedCuda order("order=random:5,streams=random:7,implicit_waits=0");
    ASSERT_EQ(tiny.train("b").exit_code, 0);
    EXPECT_EQ(metrics_of(tiny.run("b")), steps);
    EXPECT_EQ(tiny.model("b"), tiny.model("a"));
  }
  {
    const EmulatedCuda nothing_is_recorded("graphs=0");
    ASSERT_EQ(tiny.train("g").exit_code, 0);
    EXPECT_EQ(metrics_of(tiny.run("g")), steps);
    EXPECT_EQ(tiny.model("g"), tiny.model("a"));
  }
  ASSERT_EQ(tiny.train("c", {"trainer.reuse_activations=false"}).exit_code, 0);
  EXPECT_EQ(tiny.model("c"), tiny.model("a"));
  const Outcome killed = tiny.train("d", {}, [](pid_t child, const std::string& err) {
    return err.find("step 2/3") != std::string::npos && kill(child, SIGKILL) == 0;
  });
  ASSERT_EQ(killed.exit_code, -1) << killed.err;
  ASSERT_EQ(tiny.train("d").exit_code, 0);
  EXPECT_EQ(metrics_of(tiny.run("d")), steps);
  EXPECT_EQ(tiny.model("d"), tiny.model("a"));
}

// A checkpoint says how products are added up, and who goes on from it keeps to that.
TEST(GpuProgram, GoesOnWithTheProductsItBeganWith) {
  const TinyProgram tiny;
  const std::vector<std::string> more = {"trainer.warm_start.steps=3", "algorithm.beta=0.05"}, first = {more[0], more[1], "trainer.max_steps=2"};
  ASSERT_EQ(tiny.train("whole", more).exit_code, 0);
  const Json manifest = parse_json(read_all(tiny.run("whole") + "/checkpoints/step_2/manifest.json"), "manifest");
  ASSERT_GT(manifest["products"].size(), 10u) << "forward, input and weight, of each matrix";
  EXPECT_NE(manifest["products"][0].get<std::string>().find(" rows=any | cublasLt "), std::string::npos) << manifest["products"][0];
  ASSERT_EQ(tiny.train("parts", first).exit_code, 0);
  const EmulatedCuda other("other_products=1");
  ASSERT_EQ(tiny.train("other", more).exit_code, 0);
  EXPECT_NE(tiny.model("other"), tiny.model("whole"));
  ASSERT_EQ(tiny.train("parts", more).exit_code, 0);
  EXPECT_EQ(metrics_of(tiny.run("parts")), metrics_of(tiny.run("whole")));
  EXPECT_EQ(tiny.model("parts"), tiny.model("whole"));
}

TEST(GpuProgram, AgreesWithTheCpu) {
  const TinyProgram tiny;
  const std::vector<std::string> exact = {"model.dtype=float32", "trainer.warm_start.steps=3", "trainer.max_steps=1",
                                          "algorithm.beta=0.05"};  // all completions are run, also those without a signal
  ASSERT_EQ(tiny.train("gpu", exact).exit_code, 0);
  std::vector<std::string> on_cpu = exact;
  on_cpu.push_back("run.device=cpu");
  ASSERT_EQ(tiny.train("cpu", on_cpu).exit_code, 0);
  const std::vector<Json> a = metrics_of(tiny.run("gpu")), b = metrics_of(tiny.run("cpu"));
  ASSERT_EQ(a.size(), b.size());
  for (const char* name : {"loss", "grad_norm", "entropy", "reward"})
    EXPECT_NEAR(a[0].value(name, -1.0), b[0].value(name, -2.0), 1e-3 * (1e-3 + std::abs(b[0].value(name, -2.0)))) << name;
  // The GPU's model, run on both.
  const std::string model = tiny.run("gpu") + "/final", text = "{\"text\": \"12+34=46\"}\n";
  const Outcome logprobs = run_cohort({"logprobs", model, "--device", "cuda"}, text), wanted = run_cohort({"logprobs", model}, text);
  ASSERT_EQ(logprobs.exit_code, 0) << logprobs.err;
  const Json got = logprobs.records()[0], want = wanted.records()[0];
  for (size_t i = 1; i < want["logprobs"].size(); ++i)
    EXPECT_NEAR(got["logprobs"][i].get<double>(), want["logprobs"][i].get<double>(), 1e-4) << i;
}

TEST(GpuProgram, GoesOnFromACheckpointOfTheCpu) {
  const TinyProgram tiny;
  ASSERT_EQ(tiny.train("x", {"run.device=cpu", "trainer.max_steps=2"}).exit_code, 0);
  const Outcome outcome = tiny.train("x");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("device cuda, was cpu"), std::string::npos) << outcome.err;
  EXPECT_EQ(metrics_of(tiny.run("x")).size(), 3u);
}

TEST(GpuProgram, GeneratesWhatTheTrainerScores) {
  const TinyProgram tiny;
  ASSERT_EQ(tiny.train("m", {"trainer.max_steps=1"}).exit_code, 0);
  const std::string model = tiny.run("m") + "/final", input = "{\"prompt\": \"3+4=\"}\n{\"prompt\": \"10+20=\"}\n";
  const std::vector<std::string> args = {"generate", model, "--device", "cuda", "--num-generations", "3", "--max-completion-length", "8"};
  const Outcome outcome = run_cohort(args, input);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::vector<std::string> one_at_a_time = args;
  one_at_a_time.insert(one_at_a_time.end(), {"--max-num-seqs", "1"});
  EXPECT_EQ(run_cohort(one_at_a_time, input).out, outcome.out);
  for (const auto* more : {"--top-k", "--min-p"}) {
    std::vector<std::string> filtered = args;
    filtered.insert(filtered.end(), {more, more == std::string("--top-k") ? "4" : "0.1"});
    EXPECT_EQ(run_cohort(filtered, input).exit_code, 0) << more;
  }
  // Each completion behind its prompt, through the training forward pass.
  for (const Json& record : outcome.records()) {
    const Json prompt = run_cohort({"tokenize", model}, dump_json({{"text", record["prompt"]}}) + "\n").records()[0]["ids"];
    for (const Json& completion : record["completions"]) {
      Json ids = prompt;
      for (const Json& id : completion["ids"]) ids.push_back(id);
      const Outcome scored = run_cohort({"logprobs", model, "--device", "cuda"}, dump_json({{"ids", ids}}) + "\n");
      ASSERT_EQ(scored.exit_code, 0) << scored.err;
      const Json logprobs = scored.records()[0]["logprobs"];
      for (size_t i = 0; i < completion["logprobs"].size(); ++i)
        EXPECT_EQ(logprobs[prompt.size() + i], completion["logprobs"][i]) << dump_json(record);
    }
  }
}

TEST(GpuProgram, FaultsHaveTheirMessageAndExitCode) {
  const TinyProgram tiny;
  const auto fails = [&](const std::string& settings, int code, const std::string& words) {
    const EmulatedCuda fault(settings);
    const Outcome outcome = tiny.train("f", {"run.resume=never", "trainer.warm_start.steps=0"});
    EXPECT_EQ(outcome.exit_code, code) << settings << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(words), std::string::npos) << settings << ": " << outcome.err;
  };
  fails("devices=0", 2, "no GPU");
  fails("old_driver=1", 2, "driver");
  fails("fail_malloc=4", 6, "memory");
  fails("memory=34000000", 6, "cohort: error: ");
  fails("fail_launch=200", 1, "cudaErrorLaunchFailure");
  fails("fail_capture=1", 1, "cannot record a pass: cudaErrorStreamCaptureInvalidated");
  fails("fail_graph_launch=2", 1, "cannot launch the graph of a pass");
}

TEST(GpuProgram, ADriverThatHangsHasADeadline) {
  const TinyProgram tiny;
  const EmulatedCuda hangs("driver_hang=1");
  const std::vector<std::string> soon = {"comm.timeout_s=1", "comm.load_timeout_s=1"};
  const Outcome trained = tiny.train("h", soon);
  EXPECT_EQ(trained.exit_code, 4) << trained.err;
  EXPECT_NE(trained.err.find("section load exceeded"), std::string::npos) << trained.err;
}

TEST(GpuProgram, TheDryRunPlansWithTheMemoryOfTheGpu) {
  const TinyProgram tiny;
  const Outcome planned = tiny.train("p", {"--dry-run"});
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_NE(planned.out.find("# of the GPU, "), std::string::npos) << planned.out;
  EXPECT_NE(planned.out.find(" of 8.6 GB free"), std::string::npos) << planned.out;
  const EmulatedCuda none("devices=0");
  EXPECT_EQ(tiny.train("p", {"--dry-run"}).exit_code, 2);
}

TEST(GpuProgram, TheVersionSaysThatCudaIsOn) {
  EXPECT_NE(run_cohort({"--version"}).out.find("CUDA      on\n"), std::string::npos);
}

TEST(GpuProgram, TooManyBannedTokensAreRefusedAtTheStart) {
  const TinyProgram tiny;
  std::string ids = "rollout.stop_token_ids=[";
  for (int i = 0; i < 64; ++i) ids += std::to_string(i) + (i < 63 ? ", " : "]");  // and the model's own
  const Outcome outcome = tiny.train("s", {ids, "rollout.min_completion_length=2"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
  EXPECT_NE(outcome.err.find("at most 64 on a GPU"), std::string::npos) << outcome.err;
  EXPECT_EQ(tiny.train("s", {ids, "trainer.max_steps=1", "trainer.warm_start.steps=1"}).exit_code, 0);
}

}  // namespace
}  // namespace cohort

// The bits of a tiny run are those that kNumericsVersion stands for.
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "core/hash.h"
#include "core/json.h"
#include "tests/trainer/tiny_run.h"
#include "trainer/build_info.h"

namespace cohort {
namespace {

// A model with a bit of every family, and sizes that end inside tiles and blocks.
ModelConfig mixed_config() {
  ModelConfig config = tiny_config(/*tied=*/false);
  config.max_positions = 256;
  config.qkv_bias = config.qk_norm = config.sandwich_norms = config.unit_offset_norm = true;
  config.activation = Activation::gelu_tanh;
  config.attention_softcap = 20;
  config.logit_softcap = 15;
  config.window = 40;
  config.local_layers = {true, false};
  return config;
}

class Bits {
 public:
  void add(std::span<const std::byte> bytes) { text_ += fingerprint(bytes) + "\n"; }
  template <typename T>
  void add(const std::vector<T>& values) {
    add(std::as_bytes(std::span(values)));
  }
  std::string hash() const { return fingerprint(text_); }

 private:
  std::string text_;
};

// Three steps with prompts of more than a block of keys: what is drawn, and what becomes of weights and moments.
void add_run(Bits& bits, DType dtype, const ModelConfig& model) {
  TinyRun run(dtype);
  run.policy = make_policy(model, dtype, 4);
  init_weights(*run.policy, 7, run.owner.exec());
  run.config.rollout.max_completion_length = 21;
  run.config.algorithm.beta = 0.04f;
  for (size_t g = 0; g < run.prompts.size(); ++g)
    while (run.prompts[g].size() < 70 + 9 * g) run.prompts[g].push_back(static_cast<int32_t>(3 + run.prompts[g].size() * 7 % 77));
  const auto reference = make_policy(model, dtype, 4);
  init_weights(*reference, 8, run.owner.exec());
  for (uint32_t step = 1; step <= 3; ++step) {
    const std::vector<Group> groups = run.sample(step, {{1, 0, 0, 1}, {0, 1, 0, 0}, {0.5, 0.25, 0, 1}});
    for (const Group& group : groups)
      for (const Rollout& rollout : group.rollouts) bits.add(rollout.tokens), bits.add(rollout.logprobs);
    run.update(groups, step, reference.get());
  }
  bits.add(run.weights());
  std::vector<float> state(static_cast<size_t>(run.optimizer->shard_size()));
  for (int k = 0; k < 4; ++k)
    for (const Optimizer::Part part : {Optimizer::Part::master, Optimizer::Part::m, Optimizer::Part::v}) {
      run.optimizer->read_state(k, part, 0, state);
      bits.add(state);
    }
}

// Bits depend on what the kernels are compiled for; tests/golden/numerics.jsonl knows some of the sets.
TEST(Numerics, TheBitsOfARunAreThoseOfTheirVersion) {
  Bits bits;
  ModelConfig plain = tiny_config();
  plain.max_positions = 256;
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const ModelConfig& model : {plain, mixed_config()}) add_run(bits, dtype, model);
  const Json mine = {{"numerics", kNumericsVersion}, {"kernels", kernel_sets()}, {"bits", bits.hash()}};
  std::ifstream golden(GOLDEN_DIR "/numerics.jsonl");
  ASSERT_TRUE(golden.is_open());
  for (std::string line; std::getline(golden, line);) {
    const Json known = parse_json(line, "numerics.jsonl");
    ASSERT_EQ(known["numerics"], kNumericsVersion) << "a new version has new lines, for each set of kernels; of this one: " << mine;
    if (known["kernels"] != mine["kernels"]) continue;
    EXPECT_EQ(known["bits"], mine["bits"])
        << "the same run now gives other bits. If that is meant, raise kNumericsVersion (trainer/build_info.h), so that who resumes a "
           "run is told, and write a new line for each set of kernels; of this one: "
        << mine;
    return;
  }
  GTEST_SKIP() << "no line for these kernels; theirs would be " << mine;
}

TEST(ResumeNote, SaysWhatDiffersAndWhichPromiseHolds) {
  const Json now = build_info();
  EXPECT_EQ(resume_note(now, 2, now, 2), "");
  EXPECT_EQ(resume_note(now, 1, now, 3), "resuming with ranks 3, was 1: the run goes on with the same bits");
  const auto with = [&](const char* key, const Json& value) {
    Json other = now;
    other[key] = value;
    return resume_note(other, 2, now, 2);
  };
  EXPECT_EQ(with("version", "0.0.1"), fmt::format("resuming with version {}, was 0.0.1: the run goes on with the same bits",
                                                  now["version"].get<std::string>()));
  EXPECT_EQ(with("numerics", 0), fmt::format("resuming with numerics {}, was 0: the run goes on from the same state, but its bits from here "
                                             "on are not those of the run unbroken",
                                             kNumericsVersion));
  EXPECT_NE(with("kernels", "sse9").find("kernels " + kernel_sets() + ", was sse9: "), std::string::npos);
  EXPECT_NE(with("kernels", "sse9").find("are not those"), std::string::npos);
  EXPECT_NE(with("device", "cuda").find("device cpu, was cuda: "), std::string::npos);
  EXPECT_NE(with("compiler", "GCC 1").find("may differ"), std::string::npos);
  EXPECT_NE(with("libc", nullptr).find(", was null: "), std::string::npos);
  EXPECT_EQ(resume_note(Json(), 1, now, 2).rfind("the checkpoint does not say which build wrote it (ranks 2, was 1): ", 0), 0u);
}

}  // namespace
}  // namespace cohort

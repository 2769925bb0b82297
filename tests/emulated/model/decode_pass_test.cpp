// Decode passes of a GPU that are recorded and replayed: nothing that they leave differs from passes that are launched one by one,
// and they are replayed where they are expected to be.
#include <random>

#include "core/rng.h"
#include "model/cuda/gpu.h"
#include "rollout/generator.h"
#include "tests/core/expect_error.h"
#include "tests/emulated/model/gpu_model.h"
#include "tests/model/random_model.h"

namespace cohort {
namespace {

// Settings of the device under which nothing is recorded.
constexpr const char* kLaunched = "graphs=0";

class GpuDecodePass : public GpuModel {
 protected:
  static std::unique_ptr<Policy> policy_of(const ModelConfig& config, DType dtype, uint64_t seed, const Exec& ex) {
    auto policy = make_policy(config, dtype, 4, PolicyUse::training, ex.device);
    init_weights(*policy, seed, ex);
    return policy;
  }
  // `samples` requests of each of the prompts, which have these lengths.
  void ask(std::initializer_list<int64_t> lengths, uint32_t samples, uint64_t seed = 3) {
    Random random(seed, Stream::kTest);
    prompts_.clear(), requests_.clear();
    for (const int64_t length : lengths) {
      prompts_.emplace_back();
      for (int64_t i = 0; i < length; ++i) prompts_.back().push_back(static_cast<int32_t>(3 + random.below(77)));
    }
    for (uint32_t i = 0; i < samples * prompts_.size(); ++i) requests_.push_back({prompts_[i / samples], i / samples, i});
  }
  static void expect_same(const std::vector<Rollout>& got, const std::vector<Rollout>& wanted, const std::string& where) {
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_TRUE(got[i].tokens == wanted[i].tokens && got[i].logprobs == wanted[i].logprobs && got[i].kept_mass == wanted[i].kept_mass &&
                  got[i].finish_reason == wanted[i].finish_reason && got[i].slots == wanted[i].slots)
          << where << ": request " << i;
  }
  static void set(const std::string& settings) { emulated::set_settings(emulated::parse_settings(settings)); }
  static GeneratorConfig config(int64_t sequences) {
    GeneratorConfig c;
    c.max_completion_length = 24, c.max_num_seqs = sequences, c.page_tokens = 16, c.seed = 5;
    return c;
  }
  static void expect_counts(const Generator& generator, int64_t launched, int64_t recorded, int64_t replayed) {
    EXPECT_EQ(generator.graphs().launched, launched);
    EXPECT_EQ(generator.graphs().recorded, recorded);
    EXPECT_EQ(generator.graphs().replayed, replayed);
  }
  // What the first `slots` slots of a tape hold.
  static std::vector<std::vector<float>> kept(const ActivationTape& tape, const ModelConfig& c, int64_t slots) {
    std::vector<std::vector<float>> pieces;
    const auto add = [&](Tensor piece) {
      if (piece) pieces.push_back(numbers(piece.slice_rows(0, slots)));
    };
    for (int64_t l = 0; l < c.num_layers; ++l) {
      add(tape.layer(l).x_in), add(tape.layer(l).x_mid), add(tape.layer(l).lse);
      for_each_piece(tape.layer(l).block, add);
    }
    add(tape.x_out());
    return pieces;
  }

  std::vector<std::vector<int32_t>> prompts_;
  std::vector<GenerateRequest> requests_;
};

TEST_F(GpuDecodePass, OneIsLaunchedOneRecordedAndAllOthersAreReplayed) {
  ExecOwner owner(1, {}, gpu_);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  ask({7, 7, 7, 7, 7}, 1);
  Generator generator(*policy, config(5), 7);
  const std::vector<Rollout> first = generator.generate(requests_, 1, owner.exec());
  expect_counts(generator, 1, 1, 22);  // of 23 passes: a prompt's gives the first of 24 tokens
  (void)generator.generate(requests_, 2, owner.exec());
  expect_counts(generator, 1, 1, 45);  // graphs stay
  expect_same(generator.generate(requests_, 1, owner.exec()), first, "again");

  // Weights change where they lie.
  FlatWeights flat(*policy);
  for (int64_t i = 0; i < policy->table.size; ++i) flat.set(i, -1.25f * flat.get(i));
  flat.put(*policy, owner.exec());
  ++policy->version;
  const std::vector<Rollout> other = generator.generate(requests_, 1, owner.exec());
  expect_counts(generator, 1, 1, 91);
  set(kLaunched);
  Generator launched(*policy, config(5), 7);
  expect_same(other, launched.generate(requests_, 1, owner.exec()), "other weights");
  expect_counts(launched, 23, 0, 0);
}

TEST_F(GpuDecodePass, SequencesThatJoinEndAndGiveTheirPagesBackHaveTheSameBits) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Random random(seed, Stream::kTest);
  ExecOwner owner(1, {}, gpu_);
  const SamplingParams samplings[] = {{}, {.temperature = 0}, {.temperature = 0.8f, .top_k = 5}, {.top_p = 0.9f, .min_p = 0.02f}};
  int64_t replayed = 0, preemptions = 0;
  for (int setting = 0; setting < 8; ++setting) {
    const bool plain = setting % 2 == 0;
    const ModelConfig model = config_of(plain, setting % 3 == 0);
    const auto policy = policy_of(model, setting % 4 < 2 ? DType::bf16 : DType::f32, seed, owner.exec());
    ask({1, 16, 7, 20}, 3, seed + static_cast<uint64_t>(setting));
    GeneratorConfig c = config(random.between(2, 13));
    c.max_completion_length = 14;
    c.sampling = samplings[setting / 2];
    c.stop_token_ids = {1, 2, 5}, c.min_completion_length = 2;
    c.max_num_batched_tokens = random.below(2) == 0 ? random.between(1, 12) : 100;
    if (setting >= 4) {  // too few pages for completions that only their length ends
      c.stop_token_ids.clear();
      c.max_num_seqs = 12, c.max_completion_length = 24;
      if (plain) c.max_num_batched_tokens = 100;
      c.kv_cache.gb = 5.5 * static_cast<double>(kv_page_bytes(model, policy->dtype, c.page_tokens)) / 1e9;
    }
    set(kLaunched);
    Generator launched(*policy, c, 20);
    const std::vector<Rollout> wanted = launched.generate(requests_, 2, owner.exec());
    EXPECT_EQ(launched.graphs().replayed, 0);
    set(kGpuOrders[setting % 3]);
    Generator generator(*policy, c, 20);
    expect_same(generator.generate(requests_, 2, owner.exec()), wanted, fmt::format("setting {}", setting));
    expect_same(generator.generate(requests_, 2, owner.exec()), wanted, fmt::format("setting {}, again", setting));
    EXPECT_EQ(generator.stats().decode_tokens, launched.stats().decode_tokens);
    EXPECT_EQ(generator.stats().prefill_tokens, launched.stats().prefill_tokens);
    EXPECT_EQ(2 * launched.graphs().launched, generator.graphs().launched + generator.graphs().replayed);
    replayed += generator.graphs().replayed, preemptions += generator.stats().preemptions;
  }
  EXPECT_GT(replayed, 100);
  EXPECT_GT(preemptions, 0);
}

// Positions go past the first split, so that tiles of whole sequences become tiles of splits.
TEST_F(GpuDecodePass, SequencesThatGrowIntoAnotherSplitHaveTheSameBits) {
  ExecOwner owner(1, {}, gpu_);
  for (const bool plain : {true, false}) {
    ModelConfig model = config_of(plain, true);
    model.max_positions = 600, model.window = 250;
    const auto policy = policy_of(model, DType::bf16, 8, owner.exec());
    ask({246, 3, 250}, 2);
    GeneratorConfig c = config(6);
    c.page_tokens = 64;
    set(kLaunched);
    Generator launched(*policy, c, 300);
    const std::vector<Rollout> wanted = launched.generate(requests_, 2, owner.exec());
    set("streams=lazy,implicit_waits=0");
    Generator generator(*policy, c, 300);
    expect_same(generator.generate(requests_, 2, owner.exec()), wanted, plain ? "plain" : "windows");
    EXPECT_GE(generator.graphs().recorded, 2);
    EXPECT_GE(generator.graphs().replayed, 15);
  }
}

TEST_F(GpuDecodePass, ATapeHoldsTheSameRows) {
  ExecOwner owner(1, {}, gpu_);
  for (const TapeRows rows : {TapeRows::all, TapeRows::inputs}) {
    const ModelConfig model = config_of(false, true);
    const auto policy = policy_of(model, DType::bf16, 8, owner.exec());
    ask({7, 12, 5}, 2);
    constexpr int64_t kNeeded = 6 * 24 + 7 + 12 + 5, kSequences = 64;
    const GeneratorConfig c = config(kSequences);
    // Too few slots to set some aside: passes leave their rows where they stay.
    ActivationTape direct(model, DType::bf16, kNeeded, rows, Device::cuda);
    direct.begin(policy->version);
    Generator generator(*policy, c, 20);
    const std::vector<Rollout> wanted = generator.generate(requests_, 2, owner.exec(), {}, {}, &direct);
    EXPECT_EQ(direct.aside(), 0);
    expect_counts(generator, 0, 0, 0);
    const int64_t taken = kNeeded - direct.free_slots();
    const std::vector<std::vector<float>> rows_wanted = kept(direct, model, taken);
    for (const std::string settings : {kGpuOrders[0], kGpuOrders[1], kGpuOrders[2], kLaunched}) {
      set(settings);
      ActivationTape tape(model, DType::bf16, kNeeded + 3 * kSequences, rows, Device::cuda), other(model, DType::bf16, kNeeded + 3 * kSequences, rows, Device::cuda);
      Generator recorded(*policy, c, 20);
      for (ActivationTape* to : {&tape, &tape, &other}) {  // the last lies elsewhere
        to->begin(policy->version);
        expect_same(recorded.generate(requests_, 2, owner.exec(), {}, {}, to), wanted, settings);
        EXPECT_EQ(to->aside(), kSequences);
        EXPECT_EQ(to->slots() - to->aside() - to->free_slots(), taken);
        EXPECT_TRUE(kept(*to, model, taken) == rows_wanted) << settings;
      }
      if (settings == kLaunched) {
        expect_counts(recorded, 3 * 23, 0, 0);
      } else {
        expect_counts(recorded, 2, 2, 3 * 23 - 2);
      }
    }
  }
}

TEST_F(GpuDecodePass, NoGraphIsReplayedWhenAnUpdateTookMemory) {
  ExecOwner owner(1, {}, gpu_);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  ask({7, 3}, 2);
  set("streams=lazy,implicit_waits=0");
  Generator generator(*policy, config(4), 7);
  const std::vector<Rollout> first = generator.generate(requests_, 1, owner.exec());
  const int64_t recorded = generator.graphs().recorded;
  EXPECT_EQ(generator.graphs().kept, recorded);
  gpu_->begin_op();
  gpu::clear(gpu_->scratch(DType::f32, 500'000));
  expect_same(generator.generate(requests_, 1, owner.exec()), first, "again");
  EXPECT_GT(generator.graphs().recorded, recorded);
}

TEST_F(GpuDecodePass, FaultsOfADecodePassAreTold) {
  ExecOwner owner(1, {}, gpu_);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  ask({7, 3}, 2);
  std::vector<Rollout> wanted;
  {
    Generator generator(*policy, config(4), 7);
    wanted = generator.generate(requests_, 1, owner.exec());
  }
  for (const auto& [settings, words] : {std::pair("fail_capture=1", "cannot record a pass"), std::pair("fail_graph_launch=3", "cannot launch the graph of a pass")}) {
    Generator generator(*policy, config(4), 7);
    set(settings);
    EXPECT_ERROR(generator.generate(requests_, 1, owner.exec()), kInternal, words);
    expect_same(generator.generate(requests_, 1, owner.exec()), wanted, settings);
  }
  set("fail_instantiate=1");
  Generator generator(*policy, config(4), 7);
  expect_same(generator.generate(requests_, 1, owner.exec()), wanted, "no memory for a graph");
  EXPECT_EQ(generator.graphs().replayed, 0);
}

// A kernel of a graph that faults is told where the host waits for it, as any other.
TEST_F(GpuDecodePass, AKernelThatFaultsInAGraphIsTold) {
  ExecOwner owner(1, {}, gpu_);
  const auto policy = tiny_policy(DType::bf16, 9, owner.exec());
  ask({7, 3}, 2);
  uint64_t before = 0;
  {
    set("");
    const uint64_t start = emulated::counts().launches;
    Generator generator(*policy, config(4), 7);
    int64_t passes = 0;  // the prompts', one that is launched
    (void)generator.generate(requests_, 1, owner.exec(), {}, [&] { return ++passes == 2; });
    before = emulated::counts().launches - start;
    EXPECT_EQ(generator.graphs().launched, 1);
  }
  set(fmt::format("fail_launch={}", before + 5));
  Generator generator(*policy, config(4), 7);
  EXPECT_ERROR(generator.generate(requests_, 1, owner.exec()), kInternal, "cudaErrorLaunchFailure");
  EXPECT_EQ(generator.graphs().recorded, 1);
  set("");
}

}  // namespace
}  // namespace cohort

// The table of a step (bench/roofline) against what the program launches: kernels and products, one for one.
#include <set>

#include "bench/roofline/expect.h"
#include "core/rng.h"
#include "model/cuda/gpu.h"
#include "model/gpu_draws.h"
#include "model/transformer.h"
#include "tests/emulated/model/gpu_model.h"

namespace cohort {
namespace {

using roofline::Kind;
using roofline::Op;

class GpuRoofline : public GpuModel {
 protected:
  GpuRoofline() : owner_(1, {}, gpu_), shape_(roofline::find_shape("tiny")) {}

  std::unique_ptr<Policy> policy() {
    auto policy = make_policy(shape_.config, DType::bf16, 4, PolicyUse::training, Device::cuda);
    init_weights(*policy, 1, owner_.exec());
    return policy;
  }
  static std::vector<int32_t> tokens(int64_t first, int64_t count) {
    std::vector<int32_t> list;
    for (int64_t i = 0; i < count; ++i) list.push_back(static_cast<int32_t>(first + i));
    return list;
  }
  // Kernels that `run` launches.
  template <typename Run>
  int64_t launches(const Run& run) {
    const uint64_t before = emulated::counts().launches;
    run();
    gpu_->synchronize();
    return static_cast<int64_t>(emulated::counts().launches - before);
  }
  static int64_t listed(const std::vector<Op>& ops) { return roofline::total_of(ops, roofline::datasheets()[0]).sums.launches; }
  // "forward bfloat16 float32 n=128 k=64" of each product of the lists.
  static std::set<std::string> products(const std::vector<Op>& ops) {
    std::set<std::string> names;
    const auto add = [&](const char* direction, DType in, DType out, int64_t n, int64_t k) {
      names.insert(fmt::format("{} {} {} n={} k={}", direction, dtype_name(in), dtype_name(out), n, k));
    };
    for (const Op& op : ops) {
      if (op.kind == Kind::forward) add("forward", op.in, op.out, op.n, op.k);
      if (op.kind == Kind::input) add("input", op.in, op.out, op.n, op.k);
      if (op.kind == Kind::weight) add("weight", op.in, op.out, op.n, op.k);
      const bool backward = op.kind == Kind::head_backward;
      if (backward || op.kind == Kind::head_logprobs || op.kind == Kind::sample_head)
        for (const int64_t columns : {int64_t{4096}, op.n % 4096}) {
          add("forward", DType::bf16, DType::f32, columns, op.k);
          if (backward) add("input", DType::bf16, DType::f32, columns, op.k), add("weight", DType::bf16, DType::f32, columns, op.k);
        }
    }
    return names;
  }
  std::set<std::string> recorded() {
    std::set<std::string> names;
    for (const std::string& line : gpu_->products().record()) names.insert(line.substr(0, line.find(" rows=")));
    return names;
  }

  ExecOwner owner_;
  const roofline::Shape shape_;
};

TEST_F(GpuRoofline, ADecodeStepLaunchesWhatIsListed) {
  const auto policy = this->policy();
  const Exec ex = owner_.exec();
  const int64_t B = shape_.decode.count(), context = shape_.decode.context();
  KvCache cache(*policy, B * ((context + kPageTokens - 1) / kPageTokens));
  ForwardState state(*policy, B * context);
  std::vector<PageTable> pages(static_cast<size_t>(B));
  std::vector<std::vector<int32_t>> texts;
  std::vector<ForwardRun> runs;
  for (size_t i = 0; i < pages.size(); ++i) {
    ASSERT_TRUE(cache.grow(pages[i], context));
    texts.push_back(tokens(static_cast<int64_t>(i) * 7, context));
  }
  const auto run = [&](int64_t first, int64_t count) {
    runs.clear();
    for (size_t i = 0; i < pages.size(); ++i)
      runs.push_back({std::span(texts[i]).subspan(static_cast<size_t>(first), static_cast<size_t>(count)), first, &pages[i]});
    return forward_cached(*policy, cache, state, runs, ex);
  };
  run(0, context - 1);
  GpuDraws draws(B);
  std::vector<DrawKey> keys;
  for (int64_t i = 0; i < B; ++i) keys.push_back({1, 1, static_cast<uint32_t>(i), 1});
  const std::vector<Op> list = roofline::decode_step(shape_);
  // As rollout/decode_pass.cpp records it.
  EXPECT_EQ(launches([&] { draws.sample_head(run(context - 1, 1), policy->packed_head, 0, {}, keys, {}); }), listed(list));
  EXPECT_EQ(recorded(), products(list));
}

TEST_F(GpuRoofline, APassOfTheUpdateLaunchesWhatIsListed) {
  for (const bool tied : {true, false}) {
    roofline::Shape shape = shape_;
    shape.config.tie_word_embeddings = tied;
    auto policy = make_policy(shape.config, DType::bf16, 4, PolicyUse::training, Device::cuda);
    init_weights(*policy, 1, owner_.exec());
    const roofline::Sequences& s = shape.pass;
    // Tokens that are all different, from the first chunk of the vocabulary and the second, as the list takes them to be.
    TokenPack pack;
    int64_t token = 4090;
    for (int64_t p = 0; p < s.prompts; ++p) {
      const int64_t begin = static_cast<int64_t>(pack.tokens.size());
      append_run(pack, tokens(token, s.prompt));
      token += s.prompt;
      for (int64_t i = 0; i < s.samples; ++i, token += s.completion) {
        const std::vector<int32_t> completion = tokens(token, s.completion);
        append_run_behind(pack, completion, begin, s.prompt);
        for (int64_t j = 0; j < s.completion; ++j) {
          const int64_t own = static_cast<int64_t>(pack.tokens.size()) - s.completion;
          pack.rows.push_back(static_cast<int32_t>(j == 0 ? begin + s.prompt - 1 : own + j - 1));
          pack.targets.push_back(completion[static_cast<size_t>(j)]);
        }
      }
    }
    TrainState state(*policy, std::ssize(pack.tokens), std::ssize(pack.rows));
    Arena arena("gradients");
    arena.plan("sum", DType::f32, {policy->table.size});
    arena.commit(Arena::Pages::all_now, Device::cuda);
    const auto gradient = [](int64_t, float, float) { return RowGradient{-0.1f}; };
    const std::vector<Op> list = roofline::update_pass(shape);
    EXPECT_EQ(launches([&] { pack_loss(*policy, state, pack, 1, gradient, arena[0], owner_.exec()); }), listed(list)) << (tied ? "tied" : "untied");
    EXPECT_EQ(recorded(), products(list));
  }
}

}  // namespace
}  // namespace cohort

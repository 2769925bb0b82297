#include "trainer/sft_update.h"

#include <cmath>
#include <cstring>

#include "core/check.h"
#include "trainer/non_finite.h"

namespace cohort {
namespace {

// Examples that an evaluation packs at once: enough for every logical rank, few enough to be little memory.
constexpr size_t kEvaluatedAtOnce = 1024;

// This rank's examples in their order: a sum for each, as their tokens come.
class SumsOfExamples {
 public:
  void add(const TargetRef& ref, float logprob, float entropy, float best) {
    if (sums_.empty() || ref.group != example_) sums_.emplace_back(), example_ = ref.group;
    TokenSums& sum = sums_.back();
    sum.tokens += 1;
    sum.loss -= static_cast<double>(logprob);
    sum.entropy += static_cast<double>(entropy);
    sum.right += std::isnan(best) ? NAN : logprob >= best ? 1 : 0;
  }

  // Of all ranks: packs ascend with logical ranks, and examples with packs.
  TokenSums over_ranks(Comm& comm) const {
    TokenSums all;
    for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(sums_)), "loss")) {
      for (size_t at = 0; at < bytes.size(); at += sizeof(TokenSums)) {
        TokenSums example;
        std::memcpy(&example, bytes.data() + at, sizeof example);
        all.add(example);
      }
    }
    return all;
  }

 private:
  int32_t example_ = -1;
  std::vector<TokenSums> sums_;
};

void check_finite(float logprob, float entropy, const Example& example, const TargetRef& ref, const std::string& when) {
  if (std::isfinite(logprob) && std::isfinite(entropy)) return;
  fail(ExitCode::kNonFinite, "{}, example '{}', token {}: log-prob {}, entropy {}; the weights are unchanged. Look at the example, or {}",
       when, example.id, example.learnt.front().begin + ref.position, logprob, entropy, kGoOnSlower);
}

}  // namespace

void TokenSums::add(const TokenSums& other) {
  tokens += other.tokens, loss += other.loss, entropy += other.entropy, right += other.right;
}

SftUpdater::SftUpdater(Policy& policy, Optimizer& optimizer, const TrainerSection& trainer, Comm& comm)
    : policy_(policy), trainer_(trainer), comm_(comm), runner_(policy, optimizer, trainer.gradient_checkpointing) {}

// What is before the first learnt token is a prompt, and the rest its one completion.
std::vector<TrainPack> SftUpdater::pack(std::span<const Example* const> examples) const {
  std::vector<PackInput> inputs;
  for (const Example* example : examples) {
    const std::span<const int32_t> tokens = example->tokens;
    const auto prompt = static_cast<size_t>(example->learnt.front().begin);
    std::vector<TokenSpan> targets;
    for (const TokenSpan& span : example->learnt)
      targets.push_back({span.begin - static_cast<int64_t>(prompt), span.end - static_cast<int64_t>(prompt)});
    inputs.push_back({.prompt = tokens.first(prompt), .completions = {tokens.subspan(prompt)}, .targets = {std::move(targets)}});
  }
  return build_packs(inputs, trainer_.pack_tokens, trainer_.logical_ranks);
}

TokenSums SftUpdater::step(std::span<const Example* const> examples, double learning_rate, const std::string& when, const Exec& ex) {
  const std::vector<TrainPack> packs = pack(examples);
  int64_t tokens = 0;
  for (const Example* example : examples) tokens += example->targets();
  const auto gradient = static_cast<float>(-1.0 / static_cast<double>(tokens));
  SumsOfExamples sums;
  runner_.name_packs([&](const TrainPack& pack) {
    return fmt::format("{}, example '{}'", when, examples[static_cast<size_t>(pack.refs.front().group)]->id);
  });
  grad_norm_ = runner_.step(packs, /*temperature=*/1.0f, learning_rate, [&](size_t p, int64_t row, float logprob, float entropy) {
    const TargetRef& ref = packs[p].refs[static_cast<size_t>(row)];
    check_finite(logprob, entropy, *examples[static_cast<size_t>(ref.group)], ref, when);
    sums.add(ref, logprob, entropy, runner_.best_logprob());
    return gradient;
  }, {}, ex);
  return sums.over_ranks(comm_);
}

TokenSums SftUpdater::evaluate(std::span<const Example> examples, const std::string& when, const Exec& ex,
                               const std::function<void(int64_t, int64_t)>& progress) {
  TokenSums all;
  for (size_t begin = 0; begin < examples.size(); begin += kEvaluatedAtOnce) {
    std::vector<const Example*> some;
    for (const Example& example : examples.subspan(begin, std::min(kEvaluatedAtOnce, examples.size() - begin))) some.push_back(&example);
    const std::vector<TrainPack> packs = pack(some);
    SumsOfExamples sums;
    runner_.for_each(packs, [&](size_t p, TrainState& state) {
      const size_t count = packs[p].refs.size();
      std::vector<float> logprobs(count), entropies(count), best(count);
      pack_logprobs(policy_, state, packs[p].tokens, /*temperature=*/1.0f, logprobs, entropies, ex, best);
      for (size_t row = 0; row < count; ++row) {
        const TargetRef& ref = packs[p].refs[row];
        check_finite(logprobs[row], entropies[row], *some[static_cast<size_t>(ref.group)], ref, when);
        sums.add(ref, logprobs[row], entropies[row], best[row]);
      }
    });
    all.add(sums.over_ranks(comm_));
    if (progress) progress(static_cast<int64_t>(begin + some.size()), static_cast<int64_t>(examples.size()));
  }
  return all;
}

}  // namespace cohort

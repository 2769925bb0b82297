#include "trainer/experience.h"

#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/clock.h"
#include "core/trace.h"

namespace cohort {
namespace {

// Bytes between ranks of one program on one kind of machine: values as they lie in memory.
class Writer {
 public:
  template <typename T>
  void put(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(&value, sizeof value);
  }
  template <typename T>
  void put_all(const T* data, size_t count) {
    put<uint64_t>(count);
    append(data, count * sizeof(T));
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <typename T>
  T get() {
    T value;
    take(&value, sizeof value);
    return value;
  }
  template <typename Container>
  Container get_all() {
    Container values(get<uint64_t>(), typename Container::value_type{});
    take(values.data(), values.size() * sizeof(typename Container::value_type));
    return values;
  }
  bool done() const { return bytes_.empty(); }

 private:
  void take(void* to, size_t size) {
    CHECK(size <= bytes_.size(), "a rank sent {} bytes too few", size - bytes_.size());
    std::memcpy(to, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }
  std::span<const std::byte> bytes_;
};

void put_optional(Writer& out, const std::optional<double>& value) {
  out.put<uint8_t>(value.has_value());
  out.put(value.value_or(0));
}
std::optional<double> get_optional(Reader& in) {
  const bool present = in.get<uint8_t>() != 0;
  const double value = in.get<double>();
  return present ? std::optional(value) : std::nullopt;
}

void put_rollout(Writer& out, const ScoredRollout& scored) {
  const Rollout& r = scored.rollout;
  out.put_all(r.tokens.data(), r.tokens.size());
  out.put_all(r.logprobs.data(), r.logprobs.size());
  out.put(r.kept_mass);
  out.put(r.finish_reason);
  out.put(r.policy_version);
  out.put_all(scored.text.data(), scored.text.size());
  out.put<uint64_t>(scored.scores.scores.size());
  for (const auto& score : scored.scores.scores) put_optional(out, score);
  put_optional(out, scored.scores.total);
}

ScoredRollout get_rollout(Reader& in) {
  ScoredRollout scored;
  Rollout& r = scored.rollout;
  r.tokens = in.get_all<std::vector<int32_t>>();
  r.logprobs = in.get_all<std::vector<float>>();
  r.kept_mass = in.get<float>();
  r.finish_reason = in.get<FinishReason>();
  r.policy_version = in.get<int64_t>();
  scored.text = in.get_all<std::string>();
  scored.scores.scores.resize(in.get<uint64_t>());
  for (auto& score : scored.scores.scores) score = get_optional(in);
  scored.scores.total = get_optional(in);
  return scored;
}

}  // namespace

int64_t ExpectedLengths::of(const Problem& problem) const {
  const auto known = means_.find(&problem);
  return static_cast<int64_t>(std::ceil(known != means_.end() ? known->second : mean_));
}

void ExpectedLengths::learn(std::span<const Problem* const> problems, int64_t samples, std::span<const ScoredRollout> rollouts) {
  double all = 0;
  for (size_t p = 0; p < problems.size(); ++p) {
    double sum = 0;
    for (const ScoredRollout& scored : rollouts.subspan(p * static_cast<size_t>(samples), static_cast<size_t>(samples)))
      sum += static_cast<double>(scored.rollout.tokens.size());
    means_[problems[p]] = sum / static_cast<double>(samples);
    all += sum;
  }
  if (!rollouts.empty()) mean_ = all / static_cast<double>(rollouts.size());
}

std::vector<ScoredRollout> ExperienceMaker::make(std::span<const Problem* const> problems, int64_t samples, uint32_t step,
                                                 const std::function<void(int64_t, int64_t)>& progress,
                                                 const std::function<void()>& scoring) {
  stats = {};
  Clock::time_point start = Clock::now();
  // Shares are cut between completions, not between groups, so that few prompts still keep all ranks busy.
  const int64_t total = static_cast<int64_t>(problems.size()) * samples;
  const int64_t begin = total * comm.rank() / comm.size(), end = total * (comm.rank() + 1) / comm.size();
  std::vector<GenerateRequest> requests;
  for (int64_t i = begin; i < end; ++i) {
    const Problem& problem = *problems[i / samples];
    requests.push_back({.prompt = problem.tokens,
                        .group = i / samples,
                        .sequence = static_cast<uint32_t>(i),
                        .expected_length = lengths != nullptr ? lengths->of(problem) : 0});
  }
  const auto report = [&](int64_t done) {
    if (progress) progress(done == end - begin ? total : done * comm.size(), total);
  };
  std::vector<Rollout> rollouts;
  if (!requests.empty()) {
    const Span span(ex.trace, "rollout");
    try {
      rollouts = generator.generate(requests, step, ex, report, {}, tape);
    } catch (const NonFiniteLogits& error) {
      const int64_t at = error.sequence();
      fail(error.code(),
           "problem '{}', sample {}: {}; the weights have left what the model computes with: go back to an earlier checkpoint "
           "(run.resume: PATH) with a lower optim.learning_rate, or, where the model itself overflows, use model.dtype: float32",
           problems[static_cast<size_t>(at / samples)]->id, at % samples, error.what());
    }
  }
  for (const Rollout& rollout : rollouts) stats.decode_tokens += static_cast<int64_t>(rollout.tokens.size());
  stats.rollout_seconds = seconds_since(start);

  if (scoring) scoring();  // also where this rank has nothing to score
  start = Clock::now();
  Writer mine;
  const GenerateStats& generated = generator.stats();
  mine.put(requests.empty() ? 0.0 : generated.pass_seconds);
  mine.put(requests.empty() ? 0.0 : generated.occupied_seconds);
  std::vector<std::vector<int32_t>> slots;  // they mean something on this rank only
  std::optional<Span> span(std::in_place, ex.trace, "reward");
  for (size_t i = 0; i < rollouts.size(); ++i) {
    if (scoring && i > 0) scoring();
    const Problem& problem = *problems[(begin + static_cast<int64_t>(i)) / samples];
    ScoredRollout scored{std::move(rollouts[i]), {}, {}};
    scored.text = tokenizer.decode(scored.rollout.tokens, /*skip_special_tokens=*/true);
    scored.scores = rewards.score({.prompt = problem.prompt,
                                   .completion = scored.text,
                                   .finish_reason = finish_reason_name(scored.rollout.finish_reason),
                                   .columns = &problem.columns,
                                   .opens_thinking = problem.opens_thinking,
                                   .ids = scored.rollout.tokens});
    put_rollout(mine, scored);
    slots.push_back(std::move(scored.rollout.slots));
  }
  stats.reward_seconds = seconds_since(start);
  span.emplace(ex.trace, "comm");

  std::vector<ScoredRollout> all;
  all.reserve(static_cast<size_t>(total));
  GenerateStats everywhere;
  for (const std::vector<std::byte>& bytes : comm.all_gather(mine.bytes(), "rollouts")) {
    Reader in(bytes);
    everywhere.pass_seconds += in.get<double>();
    everywhere.occupied_seconds += in.get<double>();
    while (!in.done()) all.push_back(get_rollout(in));
  }
  stats.occupancy = everywhere.occupancy();
  CHECK(static_cast<int64_t>(all.size()) == total, "{} completions arrived, {} were dealt out", all.size(), total);
  for (size_t i = 0; i < slots.size(); ++i) all[static_cast<size_t>(begin) + i].rollout.slots = std::move(slots[i]);
  if (lengths != nullptr) lengths->learn(problems, samples, all);
  return all;
}

}  // namespace cohort

#include "trainer/experience.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "core/clock.h"
#include "core/trace.h"
#include "trainer/non_finite.h"
#include "trainer/reward_reasons.h"
#include "trainer/work_stealing.h"

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
  for (size_t r = 0; r < scored.scores.scores.size(); ++r) {
    put_optional(out, scored.scores.scores[r]);
    out.put(scored.scores.ends.at(r));
  }
  put_optional(out, scored.scores.total);
  out.put<uint64_t>(scored.reasons.size());
  for (const std::string& reason : scored.reasons) out.put_all(reason.data(), reason.size());
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
  const auto count = in.get<uint64_t>();
  for (uint64_t r = 0; r < count; ++r) {
    scored.scores.scores.push_back(get_optional(in));
    scored.scores.ends.push_back(in.get<ScoreEnd>());
  }
  scored.scores.total = get_optional(in);
  scored.reasons.resize(in.get<uint64_t>());
  for (std::string& reason : scored.reasons) reason = in.get_all<std::string>();
  return scored;
}

// What is missing on this rank, by reward and kind.
std::vector<MissingScores> find_missing(const Scores& scores) {
  std::vector<MissingScores> found;
  for (size_t r = 0; r < scores.seconds.size(); ++r) {
    for (const Missing kind : {Missing::timeout, Missing::error}) {
      MissingScores missing{r, kind, 0, ""};
      for (const std::vector<Verdict>& row : scores.verdicts) {
        if (row[r].score || row[r].missing != kind) continue;
        if (missing.count++ == 0) missing.reason = row[r].reason;
      }
      if (missing.count > 0) found.push_back(std::move(missing));
    }
  }
  return found;
}

void put_missing(Writer& out, const std::vector<MissingScores>& all) {
  out.put<uint64_t>(all.size());
  for (const MissingScores& missing : all) {
    out.put<uint64_t>(missing.reward);
    out.put(missing.kind);
    out.put(missing.count);
    out.put_all(missing.reason.data(), missing.reason.size());
  }
}

// Adds those of the next rank, in order: the reason is the first rank's that has one.
void add_missing(Reader& in, std::vector<MissingScores>& all) {
  const auto count = in.get<uint64_t>();
  for (uint64_t i = 0; i < count; ++i) {
    MissingScores missing;
    missing.reward = in.get<uint64_t>();
    missing.kind = in.get<Missing>();
    missing.count = in.get<int64_t>();
    missing.reason = in.get_all<std::string>();
    const auto same = std::ranges::find_if(
        all, [&](const MissingScores& m) { return m.reward == missing.reward && m.kind == missing.kind; });
    if (same != all.end()) {
      same->count += missing.count;
    } else {
      all.push_back(std::move(missing));
    }
  }
}

}  // namespace

std::string missing_text(const MissingScores& missing, const RewardSet& rewards) {
  return fmt::format("reward '{}': {} {} missing: {}: {}", rewards.specs()[missing.reward].name, missing.count,
                     missing.count == 1 ? "score is" : "scores are", missing.kind == Missing::timeout ? "timeout" : "error",
                     missing.reason);
}

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

// What one rank has made of a call, before the others know of it.
struct ExperienceMaker::Share {
  std::vector<const Problem*> problems;
  int64_t samples = 0, total = 0;  // completions of each problem; of all
  std::vector<size_t> made;        // by this rank
  std::vector<Rollout> rollouts;   // of all, those of others empty; or none
  std::vector<std::string> texts;
  Scores scores;
  std::unique_ptr<WorkStealing> stealing;
};

std::vector<ScoredRollout> ExperienceMaker::make(std::span<const Problem* const> problems, int64_t samples, uint32_t step,
                                                 const std::function<void(int64_t, int64_t)>& progress,
                                                 const std::function<void(Stage)>& entering) {
  return exchange(sample(problems, samples, step, progress, entering), entering);
}

std::shared_ptr<ExperienceMaker::Share> ExperienceMaker::sample(std::span<const Problem* const> problems, int64_t samples, uint32_t step,
                                                                const std::function<void(int64_t, int64_t)>& progress,
                                                                const std::function<void(Stage)>& entering,
                                                                const std::function<bool()>& cancelled) {
  stats = {};
  Clock::time_point start = Clock::now();
  // Shares are cut between completions, not between groups, so that few prompts still keep all ranks busy.
  const int64_t total = static_cast<int64_t>(problems.size()) * samples;
  const int64_t begin = total * comm.rank() / comm.size(), end = total * (comm.rank() + 1) / comm.size();
  RequestShare share;
  for (int64_t i = begin; i < end; ++i) share.mine.push_back(static_cast<size_t>(i));
  auto result = std::make_shared<Share>();
  result->problems.assign(problems.begin(), problems.end());
  result->samples = samples, result->total = total;
  if (work_stealing && comm.size() > 1) {
    result->stealing = std::make_unique<WorkStealing>(comm, [&](bool waits) {
      if (entering) entering(waits ? Stage::idle : Stage::sampling);
    });
    share.exchange = [&](std::deque<size_t>& waiting, size_t movable, size_t room, bool idle) {
      return result->stealing->exchange(waiting, movable, room, idle);
    };
  }
  std::vector<GenerateRequest> requests;
  for (int64_t i = 0; i < total; ++i) {
    const Problem& problem = *problems[i / samples];
    requests.push_back({.prompt = problem.tokens,
                        .group = i / samples,
                        .sequence = static_cast<uint32_t>(i),
                        .expected_length = lengths != nullptr ? lengths->of(problem) : 0});
  }
  const auto report = [&](int64_t done) {
    if (progress) progress(done == end - begin ? total : std::min(total, done * comm.size()), total);
  };
  result->texts.resize(requests.size());
  Scorer scorer(rewards, *ex.pool, total, reward_timeout_s);
  const auto completed = [&](size_t i, const Rollout& rollout) {
    const Problem& problem = *problems[i / static_cast<size_t>(samples)];
    result->made.push_back(i);
    std::string& text = result->texts[i];
    text = tokenizer.decode(rollout.tokens, /*skip_special_tokens=*/true);
    scorer.add(static_cast<int64_t>(i), {.prompt = problem.prompt,
                                         .completion = text,
                                         .finish_reason = finish_reason_name(rollout.finish_reason),
                                         .columns = &problem.columns,
                                         .opens_thinking = problem.opens_thinking,
                                         .ids = rollout.tokens,
                                         .messages = problem.messages.empty() ? nullptr : &problem.messages});
  };
  if (begin < end || result->stealing) {
    const Span span(ex.trace, "rollout");
    try {
      result->rollouts = generator.generate(requests, step, ex, report, cancelled, tape, completed, &share);
    } catch (const NonFiniteLogits& error) {
      const int64_t at = error.sequence();
      fail(error.code(),
           "problem '{}', sample {}: {}; the weights have left what the model computes with: {}; or, where the model itself overflows, use "
           "model.dtype: float32",
           problems[static_cast<size_t>(at / samples)]->id, at % samples, error.what(), kGoOnSlower);
    }
  }
  for (const Rollout& rollout : result->rollouts) stats.decode_tokens += static_cast<int64_t>(rollout.tokens.size());
  stats.rollout_seconds = seconds_since(start);

  if (cancelled && cancelled()) return result;
  if (entering) entering(Stage::scoring);
  start = Clock::now();
  const Span span(ex.trace, "reward");
  result->scores = scorer.finish();
  stats.judging_seconds = result->scores.seconds;
  stats.reward_seconds = seconds_since(start);
  return result;
}

std::vector<ScoredRollout> ExperienceMaker::exchange(std::shared_ptr<Share> share, const std::function<void(Stage)>& entering) {
  auto& [problems, samples, total, made, rollouts, texts, scores, stealing] = *share;
  const Clock::time_point start = Clock::now();
  Writer mine;
  const GenerateStats& generated = generator.stats();
  mine.put(rollouts.empty() ? 0.0 : generated.pass_seconds);
  mine.put(rollouts.empty() ? 0.0 : generated.occupied_seconds);
  mine.put(stats.rollout_seconds);
  const std::span<const int64_t> sent = stealing ? stealing->sent() : std::span<const int64_t>();
  mine.put<int64_t>(stealing ? stealing->stolen() : 0);
  mine.put_all(sent.data(), sent.size());
  put_missing(mine, find_missing(scores));
  std::ranges::sort(made);
  std::vector<std::vector<int32_t>> slots;  // they mean something on this rank only
  for (const size_t i : made) {
    mine.put<uint64_t>(i);
    ScoredRollout scored{std::move(rollouts[i]), std::move(texts[i]), std::move(scores.rows[i]), short_reasons(scores.verdicts[i])};
    put_rollout(mine, scored);
    slots.push_back(std::move(scored.rollout.slots));
  }
  stats.reward_seconds += seconds_since(start);
  if (entering) entering(Stage::exchange);
  const Span span(ex.trace, "comm");

  std::vector<ScoredRollout> all(static_cast<size_t>(total));
  std::vector<bool> arrived(all.size());
  std::vector<int64_t> sent_to_me;  // by each rank
  GenerateStats everywhere;
  double slowest = 0, rank_seconds = 0;
  for (const std::vector<std::byte>& bytes : comm.all_gather(mine.bytes(), "rollouts")) {
    Reader in(bytes);
    everywhere.pass_seconds += in.get<double>();
    everywhere.occupied_seconds += in.get<double>();
    const auto of_rank = in.get<double>();
    slowest = std::max(slowest, of_rank), rank_seconds += of_rank;
    stats.stolen += in.get<int64_t>();
    const auto messages = in.get_all<std::vector<int64_t>>();
    if (stealing) sent_to_me.push_back(messages.at(static_cast<size_t>(comm.rank())));
    add_missing(in, stats.missing);
    while (!in.done()) {
      const auto i = in.get<uint64_t>();
      CHECK(i < all.size() && !arrived[i], "completion {} of {} came twice, or is not one", i, total);
      arrived[i] = true;
      all[i] = get_rollout(in);
    }
  }
  stats.occupancy = everywhere.occupancy();
  stats.rank_skew = slowest > 0 ? 1 - rank_seconds / (slowest * static_cast<double>(comm.size())) : 0;
  CHECK(std::ranges::count(arrived, true) == total, "{} completions arrived, {} were dealt out", std::ranges::count(arrived, true), total);
  for (size_t i = 0; i < slots.size(); ++i) all[made[i]].rollout.slots = std::move(slots[i]);
  if (stealing) stealing->finish(sent_to_me);
  if (lengths != nullptr) lengths->learn(problems, samples, all);
  return all;
}

}  // namespace cohort

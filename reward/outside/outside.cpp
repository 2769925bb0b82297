#include "reward/outside/outside.h"

#include <fmt/format.h>

#include <cmath>

#include "core/check.h"
#include "core/text.h"
#include "reward/outside/span_feed.h"

namespace cohort {
namespace {

constexpr size_t kMaxReason = 1000;

std::string found(const Json& value) {
  const std::string text = dump_json(value);
  return printable(to_valid_utf8(text.substr(0, 60))) + (text.size() > 60 ? "..." : "");
}

OutsideVerdict bad(std::string why) { return {OutsideEnd::error, std::nullopt, std::move(why)}; }

OutsideVerdict read_verdict(const Json& answer) {
  for (const auto& [key, value] : answer.items())
    if (key != "id" && key != "score" && key != "reason")
      return bad(fmt::format("answered with the unknown key {}; allowed are id, score, reason", shown_text(key)));
  OutsideVerdict verdict{OutsideEnd::none, std::nullopt, ""};
  const auto score = answer.find("score"), reason = answer.find("reason");
  if (score == answer.end()) return bad("answered without a 'score'; allowed: a number, or null where it has none");
  if (score->is_number() && std::abs(score->get<double>()) <= kMaxScore) {
    verdict.end = OutsideEnd::scored;
    verdict.score = score->get<double>();
  } else if (!score->is_null()) {
    return bad(fmt::format("answered with the score {}; allowed: null or a number in [{}, {}]", found(*score), -kMaxScore,
                           kMaxScore));
  }
  if (reason != answer.end() && !reason->is_null()) {
    if (!reason->is_string()) return bad(fmt::format("answered with the reason {}; allowed: a text", found(*reason)));
    verdict.reason = reason->get<std::string>();
    if (verdict.reason.size() > kMaxReason) verdict.reason = verdict.reason.substr(0, kMaxReason) + "...";
  }
  return verdict;
}

OutsideEnd end_of(const Verdict& verdict) {
  if (verdict.score) return OutsideEnd::scored;
  return verdict.missing == Missing::timeout ? OutsideEnd::timeout
         : verdict.missing == Missing::error ? OutsideEnd::error
                                             : OutsideEnd::none;
}

// Counts what it hands on.
class CountingFeed final : public TaskFeed {
 public:
  CountingFeed(TaskFeed& feed, std::array<std::atomic<int64_t>, kOutsideEnds>& ends) : feed_(feed), ends_(ends) {}
  std::optional<RewardTask> take() override { return feed_.take(); }
  bool over() override { return feed_.over(); }
  int news() const override { return feed_.news(); }
  void put(int64_t id, Verdict verdict) override {
    ++ends_[static_cast<size_t>(end_of(verdict))];
    feed_.put(id, std::move(verdict));
  }

 private:
  TaskFeed& feed_;
  std::array<std::atomic<int64_t>, kOutsideEnds>& ends_;
};

}  // namespace

Verdict to_verdict(OutsideVerdict verdict) {
  const Missing missing = verdict.end == OutsideEnd::timeout ? Missing::timeout
                          : verdict.end == OutsideEnd::error ? Missing::error
                                                             : Missing::row;
  return {verdict.score, std::move(verdict.reason), missing};
}

const char* outside_end_name(OutsideEnd end) {
  constexpr std::array<const char*, kOutsideEnds> kNames = {"scored", "none", "timeout", "error"};
  return kNames[static_cast<size_t>(end)];
}

Verdict OutsideReward::explain(const RewardInput& input) const { return verdict(input, Clock::time_point::max()); }

Verdict OutsideReward::verdict(const RewardInput& input, Clock::time_point deadline) const {
  return to_verdict(std::move(judge({&input, 1}, deadline).front()));
}

void OutsideReward::serve(TaskFeed& feed) const {
  CountingFeed counting(feed, ends_);
  ask(counting);
}

std::vector<OutsideVerdict> OutsideReward::judge(std::span<const RewardInput> inputs, Clock::time_point deadline) const {
  SpanFeed feed(inputs, deadline);
  serve(feed);
  CHECK(feed.complete(), "not all of {} completions have a verdict", inputs.size());
  std::vector<OutsideVerdict> verdicts;
  for (Verdict& verdict : feed.verdicts) verdicts.push_back({end_of(verdict), verdict.score, std::move(verdict.reason)});
  return verdicts;
}

std::array<int64_t, kOutsideEnds> OutsideReward::ends() const {
  std::array<int64_t, kOutsideEnds> counts;
  for (size_t i = 0; i < counts.size(); ++i) counts[i] = ends_[i];
  return counts;
}

Json request_json(int64_t id, const RewardInput& input) {
  Json request = {{"id", id},
                  {"prompt", input.prompt},
                  {"completion", input.completion},
                  {"finish_reason", input.finish_reason},
                  {"columns", input.columns != nullptr ? *input.columns : Json::object()}};
  if (input.messages != nullptr) request["messages"] = *input.messages;
  return request;
}

OutsideAnswer read_answer(const Json& answer) {
  if (!answer.is_object()) return {std::nullopt, bad("no JSON object")};
  const auto id = answer.find("id");
  if (id == answer.end()) return {std::nullopt, bad("no 'id'")};
  if (!id->is_number_integer() || !(*id >= 0 && *id <= INT64_MAX))
    return {std::nullopt, bad(fmt::format("the id {}", found(*id)))};
  return {id->get<int64_t>(), read_verdict(answer)};
}

std::string shown_text(std::string_view text, size_t bytes) {
  const std::string shown = dump_json(Json(text.substr(0, bytes)));
  return text.size() > bytes ? shown + "..." : shown;
}

}  // namespace cohort

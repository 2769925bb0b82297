#include "trainer/group_json.h"

#include <optional>
#include <utility>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"
#include "reward/score_json.h"

namespace cohort {
namespace {

std::optional<double> optional_of(const Json& value) { return value.is_null() ? std::nullopt : std::optional(value.get<double>()); }

}  // namespace

Json group_json(const Group& group) {
  Json rollouts = Json::array();
  for (size_t i = 0; i < group.rollouts.size(); ++i) {
    const Rollout& rollout = group.rollouts[i];
    const RewardSet::Row& row = group.scores[i];
    Json scores = Json::array(), ends = Json::array();
    for (const std::optional<double>& score : row.scores) scores.push_back(or_null(score));
    for (const ScoreEnd& end : row.ends) ends.push_back({end.missing ? static_cast<int>(*end.missing) : -1, end.outcome});
    rollouts.push_back({{"tokens", rollout.tokens},
                        {"logprobs", rollout.logprobs},
                        {"kept_mass", rollout.kept_mass},
                        {"finish_reason", static_cast<int>(rollout.finish_reason)},
                        {"scores", scores},
                        {"ends", ends},
                        {"total", or_null(row.total)}});
    if (!group.reasons.empty()) rollouts.back()["reasons"] = group.reasons[i];
  }
  return {{"problem", group.problem}, {"rollouts", rollouts}};
}

Group group_of_json(const Json& json, const Dataset& data, const Tokenizer& tokenizer) {
  Group group{.problem = json.at("problem").get<int64_t>()};
  group.prompt = data.problems.at(static_cast<size_t>(group.problem)).tokens;
  for (const Json& of : json.at("rollouts")) {
    Rollout rollout{.tokens = of.at("tokens"), .logprobs = of.at("logprobs"), .kept_mass = of.at("kept_mass"),
                    .finish_reason = static_cast<FinishReason>(of.at("finish_reason").get<int>()), .policy_version = kNoVersion};
    RewardSet::Row row{.total = optional_of(of.at("total"))};
    for (const Json& score : of.at("scores")) row.scores.push_back(optional_of(score));
    for (const Json& end : of.at("ends")) {
      const int missing = end.at(0);
      row.ends.push_back({missing < 0 ? std::nullopt : std::optional(static_cast<Missing>(missing)), end.at(1)});
    }
    group.texts.push_back(tokenizer.decode(rollout.tokens, /*skip_special_tokens=*/true));
    if (of.contains("reasons")) group.reasons.push_back(of["reasons"]);
    group.rollouts.push_back(std::move(rollout));
    group.scores.push_back(std::move(row));
  }
  return group;
}

Json write_checkpoint_json(const std::filesystem::path& folder, const char* name, const Json& content) {
  const std::string text = dump_json(content);
  write_file_atomic(folder / name, text);
  return {{"hash", fingerprint(text)}};
}

Json read_checkpoint_json(const std::filesystem::path& folder, const char* name, const Json& record) {
  const std::string where = (folder / name).string();
  const std::string text = read_file(where);
  CHECK_INPUT(record.is_object() && fingerprint(text) == get_string(record, "hash", where),
              "{}: the content does not match the hash in manifest.json: the file is corrupted; resume from another checkpoint with run.resume: PATH",
              where);
  return parse_json(text, where);
}

}  // namespace cohort

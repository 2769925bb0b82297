#include "trainer/step_batch.h"

#include <utility>

#include "core/check.h"
#include "trainer/group_json.h"

namespace cohort {
namespace {

constexpr const char* kFile = "batch.json";

}  // namespace

Json save_batch(const StepBatch& batch, const std::filesystem::path& folder) {
  CHECK(batch.complete, "a batch is saved that is not complete");
  Json groups = Json::array(), missing = Json::array();
  for (const Group& group : batch.groups) groups.push_back(group_json(group));
  for (const MissingScores& of : batch.missing) missing.push_back({of.reward, static_cast<int>(of.kind), of.count, of.reason});
  return write_checkpoint_json(folder, kFile, {{"groups", groups}, {"missing", missing}, {"metrics", batch.metrics.values()},
                                               {"num_tokens", batch.num_tokens}, {"epoch", batch.epoch}});
}

Json read_batch(const std::filesystem::path& folder, const Json& record) { return read_checkpoint_json(folder, kFile, record); }

StepBatch load_batch(const std::filesystem::path& folder, const Json& record, const Dataset& data, const Tokenizer& tokenizer) {
  const Json json = read_batch(folder, record);
  StepBatch batch{.complete = true, .num_tokens = json.at("num_tokens").get<int64_t>(), .epoch = json.at("epoch").get<double>()};
  for (const Json& group : json.at("groups")) batch.groups.push_back(group_of_json(group, data, tokenizer));
  for (const Json& of : json.at("missing"))
    batch.missing.push_back({of.at(0), static_cast<Missing>(of.at(1).get<int>()), of.at(2), of.at(3)});
  batch.metrics.set_all(json.at("metrics"));
  return batch;
}

}  // namespace cohort

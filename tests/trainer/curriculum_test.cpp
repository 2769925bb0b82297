// A curriculum passes over what is too easy or too hard now, for as long as it says, and goes through a checkpoint.
#include "trainer/curriculum.h"

#include <fstream>

#include "core/files.h"
#include "tests/core/expect_error.h"
#include "tests/trainer/model_folder.h"

namespace cohort {
namespace {

const std::vector<RewardSpec> kRewards = {{"format", 1.0, Json::object()}, {"exact", 1.0, Json::object()}};

Group scored(int64_t problem, const std::vector<std::optional<double>>& scores) {
  Group group{.problem = problem};
  for (const std::optional<double>& score : scores) group.scores.push_back({.scores = {0.5, score}, .total = 1.0, .ends = {}});
  return group;
}

struct Walk {
  Curriculum curriculum;
  int64_t problems;
  std::vector<int64_t> next(int64_t count) {
    return curriculum.next(count, [&](int64_t at) { return at % problems; });
  }
};

Walk walk(int64_t problems, CurriculumConfig config) {
  if (config.metric.empty()) config.metric = "exact";
  return {Curriculum(config, kRewards, problems), problems};
}

TEST(Curriculum, PassesOverWhatIsOutOfRangeAndComesBack) {
  Walk w = walk(4, {.min_pass_rate = 0.25, .max_pass_rate = 0.75, .skip_epochs = 2});
  EXPECT_EQ(w.next(4), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(w.curriculum.measured(), 0);
  w.curriculum.learn(std::vector<Group>{scored(0, {1, 1, 1, 1}), scored(1, {0, 0, 0, 0}), scored(2, {1, 0, 0, 0}), scored(3, {1, 1, 1, 0})});
  EXPECT_EQ(w.curriculum.measured(), 1);
  EXPECT_EQ(w.curriculum.mean_pass_rate(), 0.5);
  EXPECT_EQ(w.curriculum.set_aside(), 0.5);
  EXPECT_EQ(w.next(4), (std::vector<int64_t>{2, 3, 2, 3}));  // the bounds themselves are in
  EXPECT_EQ(w.curriculum.skipped(), 4);
  EXPECT_EQ(w.curriculum.position(), 12);
  EXPECT_EQ(w.next(3), (std::vector<int64_t>{0, 1, 2}));  // they have been passed over twice
  EXPECT_EQ(w.curriculum.skipped(), 0);
  // A problem that has become better is one like all others.
  w.curriculum.learn(std::vector<Group>{scored(1, {1, 0, 0, 1})});
  EXPECT_EQ(w.next(3), (std::vector<int64_t>{3, 0, 1}));
}

TEST(Curriculum, EvenIfNothingIsInRangeItGoesOn) {
  Walk w = walk(3, {.min_pass_rate = 0.5, .skip_epochs = 5});
  for (int64_t problem : w.next(3)) w.curriculum.learn(std::vector<Group>{scored(problem, {0, 0})});
  EXPECT_EQ(w.curriculum.set_aside(), 1);
  EXPECT_EQ(w.next(2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(w.curriculum.skipped(), 15);
}

TEST(Curriculum, PassesFromTheThresholdOnAndByItsReward) {
  Walk w = walk(3, {.pass_threshold = 0.5, .max_pass_rate = 0.5});
  w.curriculum.learn(std::vector<Group>{scored(0, {0.5, 0.7, 0.1}), scored(1, {0.49, 0.7, 0.1}), scored(2, {0.6, std::nullopt, std::nullopt})});
  EXPECT_EQ(w.next(2), (std::vector<int64_t>{1, 1}));  // 2/3, 1/3 and, of the one that was judged, 1
  Walk first = walk(2, {});
  first = {Curriculum({.pass_threshold = 0.6, .min_pass_rate = 0.1}, kRewards, 2), 2};  // format, which says 0.5
  first.curriculum.learn(std::vector<Group>{scored(0, {1, 1})});
  EXPECT_EQ(first.next(2), (std::vector<int64_t>{1, 1}));
}

TEST(Curriculum, WithoutAScoreNothingIsMeasured) {
  Walk w = walk(2, {.min_pass_rate = 0.5});
  w.curriculum.learn(std::vector<Group>{scored(0, {std::nullopt, std::nullopt})});
  EXPECT_EQ(w.curriculum.measured(), 0);
  EXPECT_EQ(w.curriculum.mean_pass_rate(), 0);
  EXPECT_EQ(w.next(2), (std::vector<int64_t>{0, 1}));
  EXPECT_ERROR(Curriculum({.metric = "length"}, kRewards, 2), kInternal, "by reward 'length', which is not there");
}

class CurriculumFile : public ModelSetup {};

TEST_F(CurriculumFile, GoesThroughACheckpoint) {
  const CurriculumConfig config{.min_pass_rate = 0.25, .max_pass_rate = 0.75, .skip_epochs = 3};
  Walk w = walk(5, config), other = walk(5, config);
  w.next(4);
  w.curriculum.learn(std::vector<Group>{scored(0, {1, 1}), scored(1, {0, 0}), scored(2, {1, 0})});
  w.next(3);
  const Json record = w.curriculum.save(folder);
  other.curriculum.load(folder, record);
  EXPECT_EQ(other.curriculum.position(), w.curriculum.position());
  EXPECT_EQ(other.curriculum.measured(), w.curriculum.measured());
  EXPECT_EQ(other.curriculum.mean_pass_rate(), w.curriculum.mean_pass_rate());
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(other.curriculum.set_aside(), w.curriculum.set_aside());
    EXPECT_EQ(other.next(2), w.next(2));
    EXPECT_EQ(other.curriculum.skipped(), w.curriculum.skipped());
  }
  Walk more = walk(6, config);
  EXPECT_ERROR(more.curriculum.load(folder, record), kInput, "5 problems, the training data have 6");
  EXPECT_ERROR(other.curriculum.load(folder, Json()), kInput, "curriculum.json: the content does not match the hash");
  std::ofstream(folder / "curriculum.json") << "{}";
  EXPECT_ERROR(other.curriculum.load(folder, record), kInput, "the file is corrupted; resume from another checkpoint");
  fs::remove(folder / "curriculum.json");
  EXPECT_ERROR(other.curriculum.load(folder, record), kInput, (folder / "curriculum.json").string());
}

}  // namespace
}  // namespace cohort

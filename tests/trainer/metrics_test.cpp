// metrics.jsonl: exact, in order, and cut back on resume.
#include "trainer/metrics.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <limits>

#include "core/files.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class MetricsFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cohort-metrics-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }
  fs::path folder;
};

TEST_F(MetricsFile, LinesKeepOrderAndEveryBit) {
  Metrics metrics;
  metrics.set("step", int64_t{3});
  metrics.set("reward", 1.0 / 3);
  metrics.set("loss", -0.0);
  metrics.append_to(folder / "m");
  const std::string text = read_file(folder / "m");
  EXPECT_EQ(text, "{\"step\":3,\"reward\":0.3333333333333333,\"loss\":-0.0}\n");
  EXPECT_EQ(parse_json(text.substr(0, text.size() - 1), "m")["reward"].get<double>(), 1.0 / 3);
  EXPECT_EQ(metrics.get("reward"), 1.0 / 3);
  EXPECT_ERROR(metrics.get("kl"), kInternal, "'kl'");
}

TEST_F(MetricsFile, ANonFiniteValueIsAFailureWithItsName) {
  Metrics metrics;
  metrics.set("grad_norm", std::numeric_limits<double>::infinity());
  EXPECT_ERROR(metrics.append_to(folder / "m"), kNonFinite, "'grad_norm'");
  EXPECT_FALSE(fs::exists(folder / "m"));
}

TEST_F(MetricsFile, ResumeDropsLaterStepsAndATornLine) {
  append_file(folder / "m", "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st");
  truncate_metrics(folder / "m", 2);
  EXPECT_EQ(read_file(folder / "m"), "{\"step\":1}\n{\"step\":2}\n");
  truncate_metrics(folder / "m", 0);
  EXPECT_EQ(read_file(folder / "m"), "");
  truncate_metrics(folder / "absent", 5);
  EXPECT_FALSE(fs::exists(folder / "absent"));
}

TEST_F(MetricsFile, ALineThatIsNoneIsToldAndKept) {
  const std::string damaged = "{\"step\":1}\n{\"loss\":1}\n{\"st\n{\"step\":3}\n{\"step\":4}\n";
  append_file(folder / "m", damaged);
  append_file(folder / "m.1", "of an earlier time");
  const std::string told = truncate_metrics(folder / "m", 3);
  EXPECT_NE(told.find("m:2: 'step' is missing"), std::string::npos) << told;
  EXPECT_NE(told.find("(and 1 more lines); the file as it was is kept as " + (folder / "m.2").string()), std::string::npos) << told;
  EXPECT_EQ(read_file(folder / "m"), "{\"step\":1}\n{\"step\":3}\n");
  EXPECT_EQ(read_file(folder / "m.2"), damaged);
  EXPECT_EQ(missing_steps(folder / "m", 1, 3), "steps 2 of 1 to 3 are missing");
  EXPECT_EQ(truncate_metrics(folder / "m", 3), "");
}

}  // namespace
}  // namespace cohort

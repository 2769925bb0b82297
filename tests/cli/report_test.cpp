// cohort report: one page, from disk, of one run or several; and texts of the model stay text.
#include "cli/report_page.h"

#include "tests/cli/run_cohort.h"
#include "trainer/report_data.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

// The value that the page's script reads, as a browser would cut it out.
Json data_of(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = page.find(open) + open.size();
  return parse_json(page.substr(begin, page.find("</script>", begin) - begin), "the page's data");
}

TEST(ReportCommand, WritesAPageIntoTheRun) {
  const TrainedModel trained;
  const Outcome outcome = run_cohort({"report", trained.run()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out.rfind(trained.run() + "/report.html  ", 0), 0u) << outcome.out;
  const std::string page = read_all(trained.run() + "/report.html");
  const Json data = data_of(page);
  EXPECT_EQ(data["runs"][0]["steps"], Json::array({1, 2, 3}));
  EXPECT_EQ(data["runs"][0]["completions"]["rows"].size(), 24u);
  EXPECT_TRUE(data["runs"][0]["completions"]["rows"][0].contains("logprobs"));
  // Nothing is fetched: no address but the name of SVG, and a policy that forbids the rest.
  std::string rest = page;
  for (size_t at; (at = rest.find("http://www.w3.org/2000/svg")) != std::string::npos;) rest.erase(at, 26);
  EXPECT_EQ(rest.find("://"), std::string::npos);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(run_cohort({"report", trained.run(), "--output", "-"}).out, page) << "the same run gives the same page";
}

TEST(ReportCommand, ComparesSeveralRuns) {
  const TrainedModel trained;
  ASSERT_EQ(run_cohort({"train", trained.config(), "run.name=other", "optim.learning_rate=1.0e-4", "--quiet"}).exit_code, 0);
  const Outcome outcome = run_cohort({"report", trained.run(), trained.folder / "runs/other", "--output", trained.folder / "both.html"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const Json data = data_of(read_all(trained.folder / "both.html"));
  EXPECT_EQ(data["runs"].size(), 2u);
  EXPECT_EQ(data["runs"][1]["name"], "other");
}

TEST(ReportCommand, WhatIsNoRunIsRefused) {
  const TemporaryFolder folder;
  EXPECT_REFUSED(run_cohort({"report", folder.str()}), 3, "config.yaml is missing");
  EXPECT_REFUSED(run_cohort({"report"}), 2, "RUN");
}

TEST(ReportPage, IsBelowThreeMegabytesWithAllThatDataMayHold) {
  const Json none = {{"runs", Json::array()}};
  EXPECT_LT(std::ssize(report_page(none)) + ReportLimits().bytes, 3000000);
}

TEST(ReportPage, TextsOfTheModelCannotLeaveTheirPlace) {
  const std::string nasty = "</script><script>alert(1)</script><!-- @STYLE@ @DATA@ \xE2\x80\xA8";
  Json data = {{"runs", Json::array()}};
  data["runs"].push_back({{"name", nasty}, {"steps", 1}});
  const std::string page = report_page(data);
  EXPECT_EQ(data_of(page)["runs"][0]["name"], nasty);
  EXPECT_EQ(page.find("alert(1)<"), std::string::npos);
  size_t scripts = 0;
  for (size_t at = 0; (at = page.find("<script", at)) != std::string::npos; ++at) ++scripts;
  EXPECT_EQ(scripts, 3u);
  EXPECT_EQ(page.find("@CHARTS@"), std::string::npos);
}

}  // namespace
}  // namespace cohort

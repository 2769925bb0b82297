// Spans nest, memory and file are bounded, and the file is a whole JSON array after every append.
#include "core/trace.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/files.h"
#include "core/json.h"
#include "tests/core/expect_error.h"

namespace cohort {
namespace {

namespace fs = std::filesystem;

class TraceTest : public ::testing::Test {
 protected:
  TraceTest() : folder(fs::path(::testing::TempDir()) / ("trace_" + std::to_string(getpid()))) { fs::create_directories(folder); }
  ~TraceTest() override { fs::remove_all(folder); }
  Json read() const { return Json::parse(read_file(folder / "trace.json")); }
  fs::path folder;
};

void outer_with_two_inner(Trace& trace) {
  const Span outer(&trace, "outer");
  { const Span first(&trace, "first"); }
  { const Span second(&trace, "second"); }
}

TEST_F(TraceTest, WritesCompleteEventsThatNest) {
  Trace trace(3);
  outer_with_two_inner(trace);
  TraceFile file(folder / "trace.json");
  EXPECT_TRUE(file.append(trace.take()));
  const Json events = read();
  ASSERT_EQ(events.size(), 3u);
  for (const Json& event : events) {
    EXPECT_EQ(event["ph"], "X");
    EXPECT_EQ(event["pid"], 3);
    EXPECT_EQ(event["tid"], 0);
    EXPECT_GE(event["dur"].get<int64_t>(), 0);
  }
  const auto start = [&](int i) { return events[i]["ts"].get<int64_t>(); };
  const auto end = [&](int i) { return start(i) + events[i]["dur"].get<int64_t>(); };
  EXPECT_EQ(events[0]["name"], "outer");
  EXPECT_LE(start(0), start(1));
  EXPECT_LE(end(1), start(2));
  EXPECT_LE(end(2), end(0));
}

TEST_F(TraceTest, WithoutATraceASpanDoesNothing) { const Span span(nullptr, "nobody"); }

TEST_F(TraceTest, NothingTakenWritesNoFile) {
  Trace trace(0);
  TraceFile file(folder / "trace.json");
  EXPECT_TRUE(file.append(trace.take()));
  EXPECT_FALSE(fs::exists(folder / "trace.json"));
}

TEST_F(TraceTest, IsAWholeArrayAfterEveryAppendAndGoesOnInALaterRun) {
  for (int run = 0; run < 2; ++run) {
    TraceFile file(folder / "trace.json");
    for (int step = 1; step <= 3; ++step) {
      Trace trace(run);
      outer_with_two_inner(trace);
      EXPECT_TRUE(file.append(trace.take()));
      EXPECT_EQ(read().size(), static_cast<size_t>(3 * (3 * run + step)));
    }
  }
}

TEST_F(TraceTest, AFileCutInTheMiddleOfAnEventIsBegunAnew) {
  std::ofstream(folder / "trace.json") << "[\n{\"name\": \"out";
  Trace trace(0);
  outer_with_two_inner(trace);
  TraceFile(folder / "trace.json").append(trace.take());
  EXPECT_EQ(read().size(), 3u);
}

TEST_F(TraceTest, BeyondItsLimitTheOuterSpansAreHeldAndTheOthersCounted) {
  Trace trace(0, 2);
  outer_with_two_inner(trace);
  TraceFile file(folder / "trace.json");
  file.append(trace.take());
  const Json events = read();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0]["name"], "outer");
  EXPECT_EQ(events[1]["name"], "first");
  EXPECT_EQ(events[2]["name"], "1 more spans, not held");
  EXPECT_EQ(events[2]["ph"], "i");
  outer_with_two_inner(trace);  // taken: there is room again
  EXPECT_NE(trace.take().find("outer"), std::string::npos);
}

TEST_F(TraceTest, AFullFileStaysWholeAndTakesNoMore) {
  Trace trace(0);
  outer_with_two_inner(trace);
  const std::string events = trace.take();
  TraceFile file(folder / "trace.json", 2 * events.size());
  EXPECT_TRUE(file.append(events));
  EXPECT_FALSE(file.append(events));
  EXPECT_FALSE(file.append(R"({"name": "small"})"));
  EXPECT_EQ(read().size(), 3u);
}

TEST_F(TraceTest, IsNotTakenInTheMiddleOfASpan) {
  Trace trace(0);
  const Span open(&trace, "open");
  EXPECT_ERROR(trace.take(), kInternal, "1 of its spans are open");
}

TEST_F(TraceTest, AFolderThatIsNotThereIsTold) {
  Trace trace(0);
  outer_with_two_inner(trace);
  TraceFile file(folder / "absent" / "trace.json");
  EXPECT_ERROR(file.append(trace.take()), kInput, "log.trace: false");
}

}  // namespace
}  // namespace cohort

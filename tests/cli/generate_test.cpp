// `cohort generate`: where completions end, what the cache may take, and being stopped in the middle.
#include <fmt/format.h>
#include <signal.h>

#include <cstring>

#include "tests/cli/run_cohort.h"

namespace cohort {
namespace {

class Generate : public testing::Test {
 protected:
  static void SetUpTestSuite() { trained_ = std::make_unique<TrainedModel>(); }
  static void TearDownTestSuite() { trained_.reset(); }
  static Outcome generate(std::vector<std::string> options, const std::string& input, const Watch& watch = {}) {
    options.insert(options.begin(), {"generate", trained_->model(), "--threads", "1", "--temperature", "2"});
    return run_cohort(options, input, watch);
  }
  static std::string prompts(int count) {
    std::string lines;
    for (int i = 0; i < count; ++i) lines += fmt::format("{{\"prompt\": \"{}+2=\", \"id\": {}}}\n", i % 10, i);
    return lines;
  }
  static std::unique_ptr<TrainedModel> trained_;
};
std::unique_ptr<TrainedModel> Generate::trained_;

TEST_F(Generate, StopStringsAndTokensEndACompletion) {
  const Outcome plain = generate({"--max-completion-length", "30"}, prompts(8));
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  // What the first completion says at its fourth byte on is a stop string; the tokens are bytes.
  const std::vector<int32_t> ids = plain.records()[0]["completions"][0]["ids"];
  size_t at = 4;
  while (at + 2 < ids.size() && (ids[at] >= 128 || ids[at + 1] >= 128 || ids[at] < 32 || ids[at + 1] < 32)) ++at;
  ASSERT_LT(at + 2, ids.size()) << "two letters that follow each other";
  const std::string stop = {static_cast<char>(ids[at]), static_cast<char>(ids[at + 1])};
  const Outcome stopped = generate({"--max-completion-length", "30", "--stop", "never there", "--stop", stop}, prompts(8));
  ASSERT_EQ(stopped.exit_code, 0) << stopped.err;
  const Json first = stopped.records()[0]["completions"][0];
  EXPECT_EQ(first["finish_reason"], "stop");
  EXPECT_LE(first["ids"].size(), at + 2);
  EXPECT_TRUE(first["text"].get<std::string>().ends_with(stop)) << first;
  const Outcome by_token = generate({"--max-completion-length", "30", "--stop-token-ids", fmt::format("300000,{}", ids[0])}, prompts(8));
  EXPECT_REFUSED(by_token, 2, "--stop-token-ids: found 300000");
  const Outcome at_once = generate({"--max-completion-length", "30", "--stop-token-ids", std::to_string(ids[0])}, prompts(8));
  EXPECT_EQ(at_once.records()[0]["completions"][0]["ids"].size(), 1u);
  EXPECT_REFUSED(generate({"--stop", "<|endoftext|>"}, prompts(1)), 2, "--stop: '<|endoftext|>' is a special token");
  EXPECT_REFUSED(generate({"--stop", "x<|endoftext|>y"}, prompts(1)), 2, "holds the special token '<|endoftext|>'");
  EXPECT_REFUSED(generate({"--stop", "\xff"}, prompts(1)), 2, "is not UTF-8");
  for (const char* ids : {"", "1,,2", "1,", "0x10", "-1", "1.5", "99999999999"})
    EXPECT_REFUSED(generate({"--stop-token-ids", ids}, prompts(1)), 2, "--stop-token-ids: found '");
}

TEST_F(Generate, TheCacheIsBoundedAndShown) {
  const std::string input = prompts(20);
  const Outcome plain = generate({"--max-completion-length", "20", "--stats"}, input);
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_NE(plain.err.find("KV cache: up to 20 sequences of "), std::string::npos) << plain.err;
  EXPECT_NE(plain.err.find("preemptions 0\n"), std::string::npos) << plain.err;
  EXPECT_NE(plain.err.find("batch occupancy "), std::string::npos) << plain.err;
  // 2 layers x 1 head of 16 numbers of 4 bytes, keys and values: a page of 64 tokens is 16 KiB.
  const Outcome small = generate({"--max-completion-length", "20", "--stats", "--kv-cache-gb", "0.00005"}, input);
  ASSERT_EQ(small.exit_code, 0) << small.err;
  EXPECT_EQ(small.out, plain.out) << "the same bits";
  EXPECT_NE(small.err.find("KV cache: 192 tokens of up to 20 sequences of "), std::string::npos) << small.err;
  EXPECT_NE(small.err.find("(--kv-cache-gb)"), std::string::npos) << small.err;
  EXPECT_REFUSED(generate({"--kv-cache-gb", "0.00001"}, input), 2, "--kv-cache-gb is 1e-05, and one sequence of up to");
  EXPECT_REFUSED(generate({"--kv-cache-gb", "nan"}, input), 2, "--kv-cache-gb");
}

TEST_F(Generate, ARecordThatIsTooLongIsAnsweredInItsPlace) {
  const Outcome longer = run_cohort({"train", trained_->config(), "--quiet", "run.name=longer", "trainer.max_steps=0",
                                     "model.init.max_positions=256"});
  ASSERT_EQ(longer.exit_code, 0) << longer.err;
  std::string input;
  for (const int length : {4, 50, 250, 3}) input += fmt::format("{{\"prompt\": \"{}\"}}\n", std::string(static_cast<size_t>(length), '1'));
  const auto answers = [&](const char* cache_gb) {
    return run_cohort({"generate", trained_->folder / "runs/longer/final", "--threads", "1", "--max-completion-length", "20",
                       "--kv-cache-gb", cache_gb}, input);
  };
  const Outcome outcome = answers("0.00002");  // one page of 64 positions
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_NE(outcome.err.find("2 records could not be served"), std::string::npos) << outcome.err;
  const std::vector<Json> records = outcome.records(), all = answers("0").records();
  ASSERT_EQ(records.size(), 4u) << outcome.out;
  for (const size_t i : {0, 3}) EXPECT_EQ(records[i], all.at(i)) << "as if the others were not there";
  const std::string cache = records[1]["error"], positions = records[2]["error"];
  EXPECT_NE(cache.find("standard input:2: --kv-cache-gb is 2e-05, and one sequence of up to 70 tokens needs"), std::string::npos) << cache;
  EXPECT_NE(positions.find("more than the model's 256 positions"), std::string::npos) << positions;
}

TEST_F(Generate, LogitsThatAreNotFiniteNameTheRecordAndTheRemedy) {
  const TemporaryFolder folder;
  std::filesystem::copy(trained_->model(), folder / "model");
  // The gains of the last norm, as the file holds them: finite, and too large to compute with.
  std::string image = read_all(folder / "model/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, image.data(), 8);
  const Json offsets = parse_json(image.substr(8, header), "header")["model.norm.weight"]["data_offsets"];
  for (uint64_t at = offsets[0]; at < offsets[1].get<uint64_t>(); at += 4) {
    const float gain = 3e38f;
    std::memcpy(image.data() + 8 + header + at, &gain, 4);
  }
  write_all(folder / "model/model.safetensors", image);
  EXPECT_REFUSED(run_cohort({"generate", folder / "model"}, fmt::format("\n{}", prompts(1))), 5, "standard input:2: the logits of token 1 of the completion",
                 "--dtype float32");
  EXPECT_REFUSED(run_cohort({"generate", folder / "model", "--prompt", "a"}), 5, "--prompt: the logits of token 1");
}

TEST_F(Generate, ACacheBeyondFreeMemoryIsRefused) {
  const TemporaryFolder folder;
  std::filesystem::copy(trained_->model(), folder / "model");
  Json config = parse_json(read_all(folder / "model/config.json"), "config.json");
  config["max_position_embeddings"] = 1 << 20;
  write_all(folder / "model/config.json", config.dump());
  // 256 bytes a position: 65,536 sequences of a million positions are 17 TB.
  std::vector<std::string> args = {"generate", folder / "model", "--num-generations", "65536", "--max-num-seqs", "65536",
                                   "--max-completion-length", "1000000", "--kv-cache-gb", "100000"};
  EXPECT_REFUSED(run_cohort(args, prompts(1)), 6, "--kv-cache-gb is 100000, and the KV cache would take", "is free for this rank");
}

TEST_F(Generate, StoppedOnRequestItWritesWhatIsThere) {
  // Long enough to be caught in the middle: the first progress is shown after two seconds.
  const std::vector<std::string> options = {"--max-completion-length", "50", "--min-completion-length", "50", "--num-generations", "64",
                                            "--max-num-seqs", "8"};
  const Outcome stopped = generate(options, prompts(4000), [](pid_t child, const std::string& err) {
    if (err.find("completions") == std::string::npos) return false;
    kill(child, SIGTERM);
    return true;
  });
  ASSERT_EQ(stopped.exit_code, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("cohort: stopped on request: "), std::string::npos) << stopped.err;
  const std::vector<Json> records = stopped.records();
  ASSERT_GT(records.size(), 0u);
  ASSERT_LT(records.size(), 4000u);
  EXPECT_NE(stopped.err.find(" of 4000 records are written"), std::string::npos) << stopped.err;
  for (size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i]["id"], i) << "in order";
    EXPECT_EQ(records[i]["completions"].size(), 64u);
  }
}

}  // namespace
}  // namespace cohort

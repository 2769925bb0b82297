// Any texts as the options of a reward and as a completion: name, options as JSON, prompt column and completion, each on a line of its own
// (the completion on the rest). Options are refused with exit code 2, by check_reward and make_reward alike; otherwise there is a finite
// score within the reward's range, the same twice, within 50 ms and 64 MB.
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "core/check.h"
#include "reward/completion_record.h"
#include "reward/judge_text.h"
#include "reward/reward.h"
#include "tests/fuzz/limits.h"
#include "tests/fuzz/seeds.h"

using namespace cohort;

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  write_seeds({"last_number\n{}\n42\nso it is 1,042.50 or -4.2e1", "exact\n{\"column\": \"answer\"}\nyes\n yes ",
               "format\n{\"tags\": \"think\", \"score\": \"share\"}\n\n<think>a</think> b", "length\n{\"min_length\": 1, \"max_length\": 9, \"unit\": \"words\"}\n\na b",
               "format\n{}\n\n<think>a</think><answer>b</answer>",
               "soft_overlong\n{\"max_length\": 10, \"buffer\": 5, \"unit\": \"characters\"}\n\nabcdefg",
               "cosine_length\n{\"max_length\": 100, \"unit\": \"words\", \"correct\": \"math\", \"max_value_wrong\": -0.1, \"mode\": \"strict\"}\n1/2\n#### 0.5",
               "repetition\n{\"n\": 2, \"max_penalty\": -2, \"unit\": \"words\"}\n\na b a b a b", "keywords\n{\"require\": [\"a\"], \"forbid\": [\"B\"], \"case\": \"insensitive\"}\n\nA",
               "language\n{\"script\": \"han\", \"part\": \"thinking\"}\n\n\xE4\xBD\xA0 a</think>b",
               "language\n{\"target\": \"de\"}\n\n\xC3\x84pfel und $x$ `code` oder f(x) = 3. The end \xE4\xBD\xA0", "similarity\n{\"tag\": \"x\"}\nabcabba\n<x>cbabac</x>",
               "math\n{\"decimals\": \"round\", \"percent\": \"either\"}\n33%\n\\boxed{1/3}", "reasoning_gym\n{\"task\": \"chain_sum\", \"extract\": \"completion\"}\n5\n5",
               "code\n{\"sandbox\": \"local\", \"language\": \"x\", \"languages\": {\"x\": {\"source\": \"a\", \"run\": [\"/bin/x\"], \"fences\": [\"x\"]}}}\n\n",
               "command\n{\"command\": [\"python3\", \"c.py\"], \"workers\": 2, \"timeout_s\": 0.5}\n\n", "http\n{\"url\": \"https://x.invalid/score\", \"batch\": 4}\n\n",
               "library\n{\"path\": \"./x.so\"}\n\n", "judge\n{\"model\": \"m\", \"template\": \"{prompt} {{ {completion} {answer}\", \"tag\": \"score\"}\n5\n<score> 7.5 </score>",
               "model\n{\"model\": \"m\"}\n\n", "record\n{\"completion\": \"x\", \"prompt\": [{\"role\": \"user\", \"content\": \"y\"}], \"ids\": [1, 2]}\n\n"});
  return 0;
}

namespace {

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

bool is_refused(const RewardSpec& spec) {
  try {
    check_reward(spec);
    return false;
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) std::abort();
    return true;
  }
}

void score_twice(const RewardSpec& spec, const RewardInput& input) {
  const std::unique_ptr<Reward> reward = make_reward(spec);
  const Verdict verdict = reward->explain(input);
  if (verdict.score && !(std::abs(*verdict.score) <= 1e6)) std::abort();
  if (reward->score(input) != verdict.score) std::abort();
  if (!reward->takes_answers()) return;
  const std::optional<std::string> answer = reward->answer(input.completion);
  if (answer && !reward->same_answer(*answer, *answer)) std::abort();
}

void read_as_judge(std::string_view text, const RewardInput& input) {
  std::string missing;
  try {
    const auto filled = JudgeTemplate::parse(text, "fuzz").fill(input, missing);
    if (filled.has_value() != missing.empty()) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) std::abort();
  }
  const std::optional<double> score = read_verdict(input.completion, "score", 1, 10);
  if (score && !(*score >= 0 && *score <= 1)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Those that need no other process, file or model: what they do without one is looked at too.
  static constexpr std::array<std::string_view, 13> kPure = {"last_number", "exact",    "format",   "math", "length",     "soft_overlong", "cosine_length",
                                                             "repetition",  "keywords", "language", "json", "similarity", "reasoning_gym"};
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string name(take_line(text));
  const std::string_view options = take_line(text), answer = take_line(text);
  try {
    const FuzzLimits limits;
    const Json columns = {{"answer", std::string(answer)}, {"metadata", {{"source_dataset", "chain_sum"}}}};
    const int32_t ids[] = {1, 2, 1, 2, 3};
    const RewardInput input{.completion = text, .columns = &columns, .opens_thinking = size % 2 == 1, .ids = ids};
    const Json parsed = parse_json(options, "fuzz");
    if (name == "record") {
      const CompletionRecord record = read_completion(parsed, "fuzz");
      if (record.input().completion != record.text) std::abort();
      return 0;
    }
    read_as_judge(options, input);
    if (!parsed.is_object()) return 0;
    const RewardSpec spec{.name = name, .options = parsed};
    if (!is_refused(spec) && std::ranges::find(kPure, name) != kPure.end()) score_twice(spec, input);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) std::abort();
  }
  return 0;
}

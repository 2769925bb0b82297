#include "reward/code/code.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

constexpr int64_t kMega = 1 << 20;

void require_opt_in(const RewardSpec& spec) {
  const auto it = spec.options.find("sandbox");
  CHECK_USAGE(it != spec.options.end() && *it == "local",
              "reward '{}' runs programs that the model writes, on this machine, and is off until the config says so: "
              "allowed is 'sandbox: local', found {}; "
              "`cohort doctor --sandbox` shows whether this machine can, docs/sandbox.md what it protects",
              spec.name, it == spec.options.end() ? "nothing" : it->dump());
}

SandboxLimits read_limits(const OptionReader& options) {
  SandboxLimits l;
  l.seconds = options.number("timeout_s");
  l.memory_bytes = kMega * options.integer("memory_mb");
  l.output_bytes = 1024 * options.integer("output_kb");
  l.scratch_bytes = kMega * options.integer("scratch_mb");
  l.processes = options.integer("processes");
  l.open_files = options.integer("open_files");
  return l;
}

// A program under root's own folder is there for us and not for the sandbox's user: better said now than by each score.
void require_language(const Language& language, SandboxPool& pool) {
  for (const auto& command : {language.compile, language.run}) {
    if (command.empty() || command[0].starts_with("/box/")) continue;
    SandboxRequest request;
    request.program.command = {"/usr/bin/test", "-x", command[0]};
    request.program.binds = language.binds;
    const SandboxResult result = pool.run(request);
    CHECK_USAGE(result.error.empty(), "language '{}': {}", language.name, result.error);
    CHECK_USAGE(result.program.end == SandboxEnd::exited && result.program.status == 0,
                "language '{}': the sandbox sees no program {} that its user may execute; it sees /usr, /bin and what "
                "'binds' names, as "
                "a user who owns nothing",
                language.name, command[0]);
  }
}

// The options of the config, and what follows from them alone.
struct CodeOptions {
  GraderOptions grader;
  std::string column, entry_point;
  bool fraction, whole_completion;
  int workers;
};

CodeOptions read_options(const RewardSpec& spec) {
  const OptionReader read(spec, code_options());
  require_opt_in(spec);
  CodeOptions options;
  GraderOptions& grader = options.grader;
  options.column = read.text("column");
  options.entry_point = read.text("entry_point");
  options.fraction = read.word("score") == "fraction";
  options.whole_completion = read.word("code") == "completion";
  const std::string compare = read.word("compare");
  options.workers = static_cast<int>(read.integer("workers"));

  grader.language = find_language(spec);
  grader.compare = compare == "lines"    ? CompareOutput::lines
                    : compare == "tokens" ? CompareOutput::tokens
                                          : CompareOutput::exact;
  grader.tolerance = read.number("tolerance");
  grader.stop_at_failure = !options.fraction;
  grader.limits = read_limits(read);
  grader.limits.address_space_bytes = kMega * grader.language.address_space_mb;
  grader.compile_limits.seconds = read.number("compile_timeout_s");
  grader.compile_limits.memory_bytes = kMega * read.integer("compile_memory_mb");
  grader.compile_limits.scratch_bytes = 256 * kMega;
  return options;
}

}  // namespace

const OptionTable& code_options() {
  const Bounds seconds{.low = 0.1, .high = 3600}, megabytes{.low = 16, .high = 1 << 20}, some{.low = 1, .high = 1 << 16};
  static const OptionTable table = {
      {.name = "sandbox", .type = OptionType::word, .help = "local: run programs on this machine, in a sandbox; the reward is off until this is written",
       .needed = true, .words = {"local"}},
      {.name = "language", .type = OptionType::text, .help = "what programs are written in", .standard = "python",
       .form = "python, cpp, or a name in languages"},
      {.name = "languages", .type = OptionType::map, .help = "more languages, or others in place of those (docs/code-reward.md)",
       .form = "a map from names to maps of source, run, fences, compile, artifact, binds, environment, address_space_mb"},
      {.name = "column", .type = OptionType::column, .help = "the data column with the test cases", .standard = "tests"},
      {.name = "entry_point", .type = OptionType::column,
       .help = "the data column with the name of the function that check(...) is called with, where there is one", .standard = "entry_point"},
      {.name = "code", .type = OptionType::word,
       .help = "block: the last closed code block with the language's tag, else the last without a tag, behind </think>; completion: all of it",
       .standard = "block", .words = {"block", "completion"}},
      {.name = "score", .type = OptionType::word, .help = "all: 1 when all cases pass, else 0; fraction: the share of cases that pass", .standard = "all",
       .words = {"all", "fraction"}},
      {.name = "compare", .type = OptionType::word,
       .help = "of outputs; lines: white space at the ends of lines and empty lines at the end aside; tokens: all white space aside",
       .standard = "lines", .words = {"lines", "tokens", "exact"}},
      {.name = "tolerance", .type = OptionType::number, .help = "absolute or relative, of numbers in outputs (tokens) and in answers to calls",
       .standard = 0.0, .bounds = {.low = 0, .high = 1}},
      {.name = "timeout_s", .type = OptionType::number, .help = "wall clock of one case", .standard = 10.0, .bounds = seconds},
      {.name = "memory_mb", .type = OptionType::integer, .help = "of all processes of a case together; the address space of each is twice that",
       .standard = 512, .bounds = megabytes},
      {.name = "output_kb", .type = OptionType::integer, .help = "of standard output and of standard error", .standard = 1024, .bounds = some},
      {.name = "scratch_mb", .type = OptionType::integer, .help = "what a case may write to files", .standard = 64, .bounds = some},
      {.name = "processes", .type = OptionType::integer, .help = "of a case at a time", .standard = 16, .bounds = {.low = 1, .high = 4096}},
      {.name = "open_files", .type = OptionType::integer, .help = "of each process", .standard = 64, .bounds = {.low = 16, .high = 4096}},
      {.name = "compile_timeout_s", .type = OptionType::number, .help = "wall clock of the compiler", .standard = 30.0, .bounds = seconds},
      {.name = "compile_memory_mb", .type = OptionType::integer, .help = "of the compiler", .standard = 2048, .bounds = megabytes},
      {.name = "workers", .type = OptionType::integer, .help = "runs at a time, of each rank", .standard = 2, .bounds = {.low = 1, .high = 1024}},
  };
  return table;
}

void check_code(const RewardSpec& spec) { read_options(spec); }

CodeReward::CodeReward(const RewardSpec& spec) {
  CodeOptions options = read_options(spec);
  grader_ = std::move(options.grader);
  column_ = std::move(options.column), entry_point_ = std::move(options.entry_point);
  fraction_ = options.fraction, whole_completion_ = options.whole_completion;
  require_installed(grader_.language);
  Nursery* nursery = find_nursery();
  CHECK(nursery != nullptr, "reward '{}': the process that runs programs was not started before threads and MPI were",
        spec.name);
  pool_ = std::make_unique<SandboxPool>(*nursery, options.workers);
  require_means(pool_->examine(), fmt::format("reward '{}'", spec.name));
  require_language(grader_.language, *pool_);
}

CodeVerdict CodeReward::find_verdict(const RewardInput& input, Clock::time_point deadline) const {
  CodeVerdict verdict;
  if (input.columns == nullptr) return verdict.why = "the row has no columns", verdict;
  const auto cases = read_cases(*input.columns, column_, entry_point_, verdict.why);
  if (!cases) return verdict;
  const bool functions = std::ranges::any_of(*cases, [](const CodeCase& c) { return c.kind != CodeCase::Kind::io; });
  if (functions && grader_.language.name != "python")
    return verdict.why = fmt::format("column '{}' tests functions, which only python programs can be", column_),
           verdict;
  const auto program = whole_completion_ ? std::optional(std::string(input.completion))
                                         : last_code_block(input.completion, grader_.language);
  if (!program || trim(*program).empty()) {
    verdict.outcome = CodeOutcome::fail, verdict.total = static_cast<int64_t>(cases->size());
    verdict.why = fmt::format("the completion has no closed block of {} code", grader_.language.name);
    return verdict;
  }
  return grade(*program, *cases, grader_, *pool_, deadline);
}

CodeVerdict CodeReward::judge(const RewardInput& input, Clock::time_point deadline) const {
  CodeVerdict verdict = find_verdict(input, deadline);
  ++outcomes_[static_cast<size_t>(verdict.outcome)];
  return verdict;
}

std::optional<double> CodeReward::score_of(const CodeVerdict& verdict) const {
  if (verdict.outcome == CodeOutcome::infra_error || verdict.outcome == CodeOutcome::not_judged) return std::nullopt;
  if (!fraction_) return verdict.outcome == CodeOutcome::pass ? 1.0 : 0.0;
  return static_cast<double>(verdict.passed) / static_cast<double>(verdict.total);
}

std::optional<double> CodeReward::score(const RewardInput& input) const { return score_of(judge(input)); }

Verdict CodeReward::verdict(const RewardInput& input, Clock::time_point deadline) const {
  CodeVerdict found = judge(input, deadline);
  Verdict verdict{score_of(found), std::move(found.why), Missing::row, static_cast<int>(found.outcome)};
  if (found.outcome == CodeOutcome::infra_error)
    verdict.missing = Clock::now() < deadline ? Missing::error : Missing::timeout;
  return verdict;
}

std::vector<std::string> CodeReward::outcome_names() const {
  std::vector<std::string> names;
  for (int i = 0; i < kCodeOutcomes; ++i) names.emplace_back(code_outcome_name(static_cast<CodeOutcome>(i)));
  return names;
}

std::array<int64_t, kCodeOutcomes> CodeReward::outcomes() const {
  std::array<int64_t, kCodeOutcomes> counts;
  for (int i = 0; i < kCodeOutcomes; ++i) counts[static_cast<size_t>(i)] = outcomes_[static_cast<size_t>(i)];
  return counts;
}

std::unique_ptr<Reward> make_code(const RewardSpec& spec) { return std::make_unique<CodeReward>(spec); }

}  // namespace cohort

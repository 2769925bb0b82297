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

SandboxLimits read_limits(const RewardSpec& spec) {
  SandboxLimits l;
  l.seconds = number_option(spec, "timeout_s", 0.1, 3600, 10);
  l.memory_bytes = kMega * whole_option(spec, "memory_mb", 16, 1 << 20, 512);
  l.output_bytes = 1024 * whole_option(spec, "output_kb", 1, 1 << 16, 1024);
  l.scratch_bytes = kMega * whole_option(spec, "scratch_mb", 1, 1 << 16, 64);
  l.processes = whole_option(spec, "processes", 1, 4096, 16);
  l.open_files = whole_option(spec, "open_files", 16, 4096, 64);
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
  check_options(spec, {"sandbox", "language", "languages", "column", "entry_point", "code", "score", "compare",
                       "tolerance", "workers", "timeout_s", "memory_mb", "output_kb", "scratch_mb", "processes",
                       "open_files", "compile_timeout_s", "compile_memory_mb"});
  require_opt_in(spec);
  CodeOptions options;
  GraderOptions& grader = options.grader;
  options.column = column_option(spec, "column", "tests");
  options.entry_point = column_option(spec, "entry_point", "entry_point");
  options.fraction = word_option(spec, "score", {"all", "fraction"}) == "fraction";
  options.whole_completion = word_option(spec, "code", {"block", "completion"}) == "completion";
  const std::string compare = word_option(spec, "compare", {"lines", "tokens", "exact"});
  options.workers = static_cast<int>(whole_option(spec, "workers", 1, 1024, 2));

  grader.language = find_language(spec);
  grader.compare = compare == "lines"    ? CompareOutput::lines
                    : compare == "tokens" ? CompareOutput::tokens
                                          : CompareOutput::exact;
  grader.tolerance = number_option(spec, "tolerance", 0, 1, 0);
  grader.stop_at_failure = !options.fraction;
  grader.limits = read_limits(spec);
  grader.limits.address_space_bytes = kMega * grader.language.address_space_mb;
  grader.compile_limits.seconds = number_option(spec, "compile_timeout_s", 0.1, 3600, 30);
  grader.compile_limits.memory_bytes = kMega * whole_option(spec, "compile_memory_mb", 16, 1 << 20, 2048);
  grader.compile_limits.scratch_bytes = 256 * kMega;
  return options;
}

}  // namespace

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

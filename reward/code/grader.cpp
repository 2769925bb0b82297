#include "reward/code/grader.h"

#include <gmpxx.h>
#include <sys/random.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <thread>

#include "core/check.h"
#include "core/text.h"
#include "reward/code/python_harness.h"
#include "reward/decimal.h"
#include "reward/options.h"

namespace cohort {
namespace {

struct CaseVerdict {
  CodeOutcome outcome = CodeOutcome::not_judged;
  std::string why;
  double seconds = 0;  // for which the program ran
};

// The last line of what the program said, for people.
std::string last_words(const ProgramResult& result) {
  std::string_view text = trim(result.err.empty() ? std::string_view() : std::string_view(result.err));
  text = text.substr(text.rfind('\n') + 1);
  return to_valid_utf8(text.substr(0, 300));
}

bool says(const ProgramResult& result, std::string_view words) { return result.err.find(words) != std::string::npos; }

// How a run that gave no right answer ended. What the program writes may choose between names here, never between
// scores: all are 0.
CaseVerdict not_passed(const ProgramResult& result, std::string why) {
  const std::string words = last_words(result);
  switch (result.end) {
    case SandboxEnd::timeout:
      return {CodeOutcome::timeout, "did not end within its time"};
    case SandboxEnd::memory:
      return {CodeOutcome::memory, "took more memory than it may"};
    case SandboxEnd::output_limit:
      return {CodeOutcome::output_limit, "wrote more than it may"};
    case SandboxEnd::infra_error:
      return {CodeOutcome::infra_error, "did not run"};
    case SandboxEnd::exited:
    case SandboxEnd::signalled:
    case SandboxEnd::stopped:
      break;
  }
  const bool ended_badly =
      result.end == SandboxEnd::signalled || (result.end == SandboxEnd::exited && result.status != 0);
  if (ended_badly && (says(result, "MemoryError") || says(result, "std::bad_alloc")))
    return {CodeOutcome::memory, words};
  if (ended_badly && (says(result, "SyntaxError:") || says(result, "IndentationError:")))
    return {CodeOutcome::compile_error, words};
  if (result.end == SandboxEnd::signalled)
    return {CodeOutcome::crashed, fmt::format("ended by signal {} ({})", result.status, strsignal(result.status))};
  if (ended_badly) why = fmt::format("{}; exit code {}{}{}", why, result.status, words.empty() ? "" : ": ", words);
  return {CodeOutcome::fail, std::move(why)};
}

std::string make_nonce() {
  uint64_t parts[2];
  CHECK(getrandom(parts, sizeof parts, 0) == sizeof parts, "getrandom gave too little");
  return fmt::format("{:016x}{:016x}", parts[0], parts[1]);
}

CaseVerdict run_io(const SandboxProgram& runnable, const CodeCase& test, const GraderOptions& options,
                   SandboxPool& pool, Clock::time_point deadline) {
  SandboxRequest request{runnable, std::nullopt};
  request.program.input = test.input;
  const SandboxResult result = pool.run(request, deadline);
  if (!result.error.empty()) return {CodeOutcome::infra_error, result.error};
  // How a program ends can only cost it its score, never win one: it may say 0 and be wrong, but not be right and fall over.
  const bool right = same_output(result.program.out, test.output, options.compare, options.tolerance);
  CaseVerdict verdict{CodeOutcome::pass, ""};
  if (!right || result.program.end != SandboxEnd::exited || result.program.status != 0)
    verdict = not_passed(result.program, right ? "the right output, but no end as it should be" : "another output than expected");
  if (right && verdict.outcome == CodeOutcome::fail) verdict.outcome = CodeOutcome::crashed;
  verdict.seconds = result.program.seconds;
  return verdict;
}

CaseVerdict read_python(const SandboxResult& result, const std::string& nonce) {
  const PythonReport report = read_python_report(result.checker->report, nonce);
  switch (report.verdict) {
    case PythonReport::Verdict::pass:
      return {CodeOutcome::pass, ""};
    case PythonReport::Verdict::broken:
      return {CodeOutcome::not_judged, fmt::format("the test cannot be run: {}", report.why)};
    case PythonReport::Verdict::unusable:
    case PythonReport::Verdict::fail: {
      CaseVerdict verdict = not_passed(result.program, report.why);
      if (verdict.outcome == CodeOutcome::fail && report.verdict == PythonReport::Verdict::unusable)
        verdict.outcome = CodeOutcome::unusable;
      // The checker passes on how calls failed, and a program that was stopped in the middle failed nothing.
      if (verdict.outcome == CodeOutcome::fail && report.why.starts_with("MemoryError"))
        verdict.outcome = CodeOutcome::memory;
      if (verdict.outcome == CodeOutcome::fail &&
          (report.why.starts_with("SyntaxError") || report.why.starts_with("IndentationError")))
        verdict.outcome = CodeOutcome::compile_error;
      return verdict;
    }
    case PythonReport::Verdict::absent:
      break;
  }
  // Without a report the checker waited for the program until the end.
  CaseVerdict verdict = not_passed(result.program, "no verdict was reached");
  if (verdict.outcome == CodeOutcome::fail && result.checker->end == SandboxEnd::timeout)
    verdict.outcome = CodeOutcome::timeout;
  return verdict;
}

CaseVerdict run_python(const std::string& program, const CodeCase& test, const GraderOptions& options,
                       SandboxPool& pool, Clock::time_point deadline) {
  const std::string nonce = make_nonce();
  const SandboxResult result =
      pool.run(python_request(program, test, options.language, options.limits, options.tolerance, nonce), deadline);
  if (!result.error.empty()) return {CodeOutcome::infra_error, result.error};
  CaseVerdict verdict = read_python(result, nonce);
  verdict.seconds = result.program.seconds;
  return verdict;
}

// The program made ready to run, or why it cannot be.
CaseVerdict prepare(const std::string& program, const GraderOptions& options, SandboxPool& pool,
                    Clock::time_point deadline, SandboxProgram& runnable) {
  const Language& language = options.language;
  const SandboxFile source{language.source, program};
  runnable = {.command = language.run,
              .files = {source},
              .binds = language.binds,
              .environment = language.environment,
              .limits = options.limits};
  if (language.compile.empty()) return {CodeOutcome::pass, ""};
  SandboxProgram compiler = runnable;
  compiler.command = language.compile;
  compiler.take = {language.artifact};
  compiler.limits = options.compile_limits;
  SandboxResult result = pool.run({compiler, std::nullopt}, deadline);
  if (!result.error.empty()) return {CodeOutcome::infra_error, result.error};
  if (result.program.end == SandboxEnd::exited && result.program.status == 0 && result.program.files.size() == 1) {
    runnable.files = {std::move(result.program.files[0])};
    runnable.files[0].executable = true;
    // Beside what it may write itself.
    runnable.limits.scratch_bytes += static_cast<int64_t>(runnable.files[0].bytes.size());
    return {CodeOutcome::pass, ""};
  }
  const bool told = result.program.end == SandboxEnd::exited;
  return {CodeOutcome::compile_error,
          told ? fmt::format("the compiler said: {}", to_valid_utf8(result.program.err.substr(0, 300)))
               : fmt::format("the compiler ended by {}", sandbox_end_name(result.program.end))};
}

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(at), text.size());
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string_view trim_end(std::string_view line) {
  const size_t last = line.find_last_not_of(" \t\r\v\f");
  return line.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

// A decimal number exactly; nothing for what is none, or too long.
std::optional<mpq_class> exact_number(std::string_view text) {
  constexpr size_t kMaxBytes = 4096;
  constexpr int64_t kMaxExponent = 4096;
  const std::optional<Decimal> number = text.size() <= kMaxBytes && text.find(',') == text.npos ? parse_decimal(text) : std::nullopt;
  if (!number) return std::nullopt;
  const int64_t exponent = number->exponent - static_cast<int64_t>(number->digits.size());
  if (std::abs(exponent) > kMaxExponent) return std::nullopt;
  mpz_class power;
  mpz_ui_pow_ui(power.get_mpz_t(), 10, static_cast<unsigned long>(std::abs(exponent)));
  const mpz_class digits(number->digits.empty() ? "0" : number->digits, 10);
  mpq_class value = exponent < 0 ? mpq_class(digits, power) : mpq_class(mpz_class(digits * power));
  value.canonicalize();
  return number->negative ? mpq_class(-value) : value;
}

// Exactly, so that no digit of a large number is lost; the tolerance is the decimal that it is written as.
bool near(std::string_view found, std::string_view expected, double tolerance) {
  const std::optional<mpq_class> a = exact_number(found), b = exact_number(expected), most = exact_number(fmt::format("{}", tolerance));
  if (!a || !b || !most) return false;
  const mpq_class size = abs(*b) > 1 ? mpq_class(abs(*b)) : mpq_class(1);
  return abs(*a - *b) <= *most * size;
}

constexpr const char* kLate = "the completion's deadline came before its turn";

// A deadline that came because of the program is no reason to leave it out: it could be had by sleeping a little less than a case may.
void charge_for_deadline(std::vector<CaseVerdict>& verdicts, double seconds_of_case, double seconds_of_all) {
  double ran = 0;
  for (const CaseVerdict& one : verdicts) ran += one.seconds;
  if (ran < seconds_of_case || ran < 0.5 * seconds_of_all) return;
  for (CaseVerdict& one : verdicts)
    if (one.outcome == CodeOutcome::infra_error)
      one = {CodeOutcome::timeout, "not judged by the completion's deadline, most of which the cases before it took"};
}

// What came of cases behind the last timeout that is tried does not count: whether they were begun depends on the workers.
void charge_for_timeouts(std::vector<CaseVerdict>& verdicts) {
  int64_t timeouts = 0;
  for (CaseVerdict& one : verdicts) {
    if (timeouts >= kMaxTimeouts) one = {CodeOutcome::timeout, "not run: cases before it did not end within their time"};
    timeouts += one.outcome == CodeOutcome::timeout;
  }
}

}  // namespace

const char* code_outcome_name(CodeOutcome outcome) {
  constexpr const char* kNames[kCodeOutcomes] = {"pass",         "fail",    "compile_error", "timeout",     "memory",
                                                 "output_limit", "crashed", "unusable",      "infra_error", "not_judged"};
  return kNames[static_cast<int>(outcome)];
}

bool same_output(std::string_view found, std::string_view expected, CompareOutput how, double tolerance) {
  if (how == CompareOutput::exact) return found == expected;
  const bool lines = how == CompareOutput::lines;
  const auto units = [&](std::string_view text) {
    std::vector<std::string_view> parts = split(text, lines ? "\n" : " \t\n\v\f\r");
    if (lines) {
      for (std::string_view& line : parts) line = trim_end(line);
      while (!parts.empty() && parts.back().empty()) parts.pop_back();
    } else {
      std::erase_if(parts, [](std::string_view part) { return part.empty(); });
    }
    return parts;
  };
  const std::vector<std::string_view> a = units(found), b = units(expected);
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && (lines || tolerance == 0 || !near(a[i], b[i], tolerance))) return false;
  return true;
}

CodeVerdict grade(const std::string& program, const std::vector<CodeCase>& cases, const GraderOptions& options,
                  SandboxPool& pool, Clock::time_point deadline) {
  CodeVerdict verdict;
  verdict.total = static_cast<int64_t>(cases.size());
  SandboxProgram runnable;
  if (CaseVerdict ready = prepare(program, options, pool, deadline, runnable); ready.outcome != CodeOutcome::pass) {
    verdict.outcome = ready.outcome, verdict.why = std::move(ready.why);
    return verdict;
  }
  std::vector<CaseVerdict> verdicts(cases.size());
  const Clock::time_point begin = Clock::now();
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::atomic<int64_t> timeouts = 0;
  const auto work = [&] {
    // Cases are taken in order: when one fails, all before it were taken and end, so the first failure is always the
    // same. So are the first timeouts.
    for (size_t i; !(options.stop_at_failure && failed) && timeouts < kMaxTimeouts && (i = next++) < cases.size();) {
      const CodeCase& test = cases[i];
      if (Clock::now() >= deadline)
        verdicts[i] = {CodeOutcome::infra_error, kLate};
      else
        verdicts[i] = test.kind == CodeCase::Kind::io ? run_io(runnable, test, options, pool, deadline)
                                                      : run_python(program, test, options, pool, deadline);
      if (verdicts[i].outcome != CodeOutcome::pass) failed = true;
      if (verdicts[i].outcome == CodeOutcome::timeout) ++timeouts;
    }
  };
  {
    std::vector<std::jthread> threads;
    // This thread and those that find a worker idle: where many completions are judged at a time there are none.
    const size_t most = std::max<size_t>(1, static_cast<size_t>(pool.idle()));
    for (size_t t = 1; t < std::min(cases.size(), most); ++t) threads.emplace_back(work);
    work();
  }
  if (Clock::now() >= deadline) charge_for_deadline(verdicts, options.limits.seconds, seconds_since(begin));
  charge_for_timeouts(verdicts);
  for (size_t i = 0; i < cases.size(); ++i) {
    const CaseVerdict& one = verdicts[i];
    if (one.outcome == CodeOutcome::pass) {
      ++verdict.passed;
      continue;
    }
    const bool first = verdict.why.empty();
    const bool masks = one.outcome == CodeOutcome::infra_error || one.outcome == CodeOutcome::not_judged;
    if (first || masks) verdict.outcome = one.outcome, verdict.why = fmt::format("case {}: {}", i + 1, one.why);
    if (options.stop_at_failure || masks) return verdict;
  }
  if (verdict.why.empty())
    verdict.outcome = CodeOutcome::pass, verdict.why = fmt::format("all {} cases passed", verdict.total);
  return verdict;
}

}  // namespace cohort

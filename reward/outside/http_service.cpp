#include "reward/outside/http_service.h"

#include <algorithm>
#include <limits>

#include "core/check.h"

namespace cohort {
namespace {

// For each request in flight so many wait for their next try: beyond that nothing new is begun, since the server has trouble enough.
constexpr size_t kWaitingJobs = 8;
constexpr size_t kProbe = std::numeric_limits<size_t>::max();  // the key of no job
constexpr auto kLook = std::chrono::seconds(1);  // so often it is seen whether the run is failing

Clock::duration as_duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

void HttpService::run() {
  while (true) {
    if (abandoned_) return give_up_all();
    expire();
    post_what_is_due();
    if (jobs_.empty() && feed_.over()) return;
    wait();
  }
}

bool HttpService::has_room() const {
  return client_.in_flight() < options_.workers && jobs_.size() < kWaitingJobs * options_.workers;
}

void HttpService::give_up_all() {
  const OutsideVerdict given_up{OutsideEnd::error, std::nullopt, "given up: the run is failing"};
  for (const auto& [key, job] : jobs_) {
    client_.cancel(key);
    for (const RewardTask& task : job.tasks) settle(task, given_up);
  }
  jobs_.clear();
  while (const std::optional<RewardTask> task = feed_.take()) settle(*task, given_up);
}

void HttpService::expire() {
  const Clock::time_point now = Clock::now();
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    std::vector<RewardTask>& tasks = job->second.tasks;
    const auto late = std::stable_partition(tasks.begin(), tasks.end(), [&](const RewardTask& task) { return now < task.deadline; });
    for (auto task = late; task != tasks.end(); ++task)
      settle(*task, {OutsideEnd::timeout, std::nullopt, fmt::format("{}: no answer by the completion's deadline", options_.settings.url)});
    tasks.erase(late, tasks.end());
    if (tasks.empty()) client_.cancel(job->first);
    job = tasks.empty() ? jobs_.erase(job) : std::next(job);
  }
}

void HttpService::post(size_t key, Job& job) {
  Json requests = Json::array();
  job.sent.clear();
  for (const RewardTask& task : job.tasks) {
    requests.push_back(request_json(static_cast<int64_t>(job.sent.size()), task.input));
    job.sent.push_back(task.id);
  }
  job.body = dump_json({{"requests", std::move(requests)}});
  client_.post(key, job.body);
  job.asked = true, job.posted_at = Clock::now();
}

void HttpService::post_what_is_due() {
  const Clock::time_point now = Clock::now();
  for (auto& [key, job] : jobs_)
    if (!job.asked && job.at <= now && client_.in_flight() < options_.workers) post(key, job);
  while (has_room()) {
    Job job;
    while (job.tasks.size() < options_.batch) {
      std::optional<RewardTask> task = feed_.take();
      if (!task) break;
      job.tasks.push_back(std::move(*task));
    }
    if (job.tasks.empty()) return;
    const size_t key = next_key_++;
    post(key, jobs_[key] = std::move(job));
  }
}

void HttpService::wait() {
  Clock::time_point until = Clock::now() + kLook;
  for (const auto& [key, job] : jobs_) {
    if (!job.asked && client_.in_flight() < options_.workers) until = std::min(until, job.at);
    for (const RewardTask& task : job.tasks) until = std::min(until, task.deadline);
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const int fd = has_room() && !feed_.over() ? feed_.news() : -1;
  for (auto& [key, result] : client_.wait(static_cast<int>(std::max<int64_t>(0, left)), fd)) handle(key, std::move(result));
}

void HttpService::handle(size_t key, HttpResult result) {
  using End = HttpResult::End;
  if (key == kProbe) {
    probing_ = false;
    if (result.end == End::ok) note_answer(probed_at_);
    return;
  }
  Job& job = jobs_.at(key);
  job.asked = false;
  if (result.end != End::unavailable) job.unavailable = 0, job.unavailable_since = {};  // the server was reached: an outage after this is another one
  if (result.end == End::ok) {
    std::string why;
    std::vector<OutsideVerdict> verdicts = read_http_answers(result.body, job.sent.size(), why);
    if (!why.empty()) return give_up(key, OutsideEnd::error, why);
    note_answer(job.posted_at);
    answered_ = std::move(job.body);
    take_answers(key, std::move(verdicts));
  } else if (result.end == End::unavailable) {
    wait_for_server(key, result);
  } else if (result.end != End::refused && job.tries < options_.retries) {
    ask_again(job, pause_after(job.tries++, options_.backoff_seconds));
  } else {
    give_up(key, result.end == End::timeout ? OutsideEnd::timeout : OutsideEnd::error, result.why);
  }
}

// Some of those that were asked about may have dropped out since.
void HttpService::take_answers(size_t key, std::vector<OutsideVerdict> verdicts) {
  const Job job = std::move(jobs_.extract(key).mapped());
  for (const RewardTask& task : job.tasks) {
    const auto place = std::ranges::find(job.sent, task.id) - job.sent.begin();
    settle(task, std::move(verdicts.at(static_cast<size_t>(place))));
  }
}

void HttpService::ask_again(Job& job, double pause) {
  job.at = Clock::now() + as_duration(pause);
  ++retries_;
}

void HttpService::note_answer(Clock::time_point posted_at) {
  answered_posted_ = std::max(answered_posted_, posted_at);
  answered_at_ = Clock::now();
}

// Either the server is away, or it says so of these completions only, whatever it does with others. That it is there is
// known by an answer to what it was asked after it had refused these: what was under way when it went away may still
// be answered.
void HttpService::wait_for_server(size_t key, const HttpResult& result) {
  Job& job = jobs_.at(key);
  const Clock::time_point now = Clock::now();
  if (job.unavailable_since == Clock::time_point{}) job.unavailable_since = now;
  const bool late = seconds_since(std::max(job.unavailable_since, answered_at_)) > options_.reconnect_seconds;
  const bool says_so = result.status != 0;  // a server that cannot be reached says nothing of a completion
  if (says_so && answered_posted_ > job.unavailable_since && (++job.refused > options_.retries || late))
    return give_up(key, OutsideEnd::error,
                   fmt::format("{}, each of {} times within {:.0f} s, while others were answered", result.why, job.unavailable + 1,
                               seconds_since(job.unavailable_since)));
  if (late)
    fail(ExitCode::kRankFailed, "reward '{}': {} is not available, asked {} times within {:.0f} s: {}", options_.name,
         options_.settings.url, job.unavailable + 1, seconds_since(job.unavailable_since), result.why);
  if (says_so && job.unavailable >= options_.retries) {
    if (job.tasks.size() > 1) return split(key);
    probe();
  }
  ask_again(job, pause_after(job.unavailable++, options_.backoff_seconds));
}

// One of them may be why the server refuses all.
void HttpService::split(size_t key) {
  const Job job = std::move(jobs_.extract(key).mapped());
  const auto middle = job.tasks.begin() + static_cast<std::ptrdiff_t>(job.tasks.size() / 2);
  for (std::vector<RewardTask> half : {std::vector(job.tasks.begin(), middle), std::vector(middle, job.tasks.end())}) {
    Job& part = jobs_[next_key_++];
    part.tasks = std::move(half), part.unavailable_since = job.unavailable_since;
  }
  ++retries_;
}

// Is the server there? Nothing else may be left to be asked.
void HttpService::probe() {
  if (probing_ || answered_.empty()) return;
  client_.post(kProbe, answered_);
  probing_ = true, probed_at_ = Clock::now();
}

// Of a batch, nobody knows whose fault it was.
void HttpService::give_up(size_t key, OutsideEnd end, const std::string& why) {
  Job job = std::move(jobs_.extract(key).mapped());
  if (job.sent.size() == 1) return settle(job.tasks[0], {end, std::nullopt, fmt::format("{}: {}", options_.settings.url, why)});
  for (RewardTask& task : job.tasks) jobs_[next_key_++].tasks.push_back(std::move(task));
}

}  // namespace cohort

#include "trainer/trackers.h"

#include "core/check.h"
#include "reward/outside/launcher.h"

namespace cohort {

Trackers::Trackers(const LogSection& log, const std::filesystem::path& run) {
  if (log.tensorboard) events_.emplace(run);
  if (log.hooks.empty()) return;
  Launcher* launcher = find_launcher();
  CHECK(launcher != nullptr, "log.hooks: no process that starts programs");
  hooks_.emplace(*launcher, log.hooks, log.hooks_timeout_s);
}

void Trackers::drop_after(int64_t step) {
  if (events_) events_->drop_after(step);
}

void Trackers::write(const Metrics& metrics) {
  if (events_) {
    std::vector<std::pair<std::string, float>> values;
    for (const auto& [name, value] : metrics.values().items())
      if (name != "step") values.emplace_back(name, value.get<float>());
    events_->append(static_cast<int64_t>(metrics.get("step")), values);
  }
  if (hooks_) hooks_->send(dump_json(metrics.values()));
}

void Trackers::finish(const std::function<bool()>& hurry) {
  if (hooks_) hooks_->finish(hurry);
}

std::vector<std::string> Trackers::take_warnings() { return hooks_ ? hooks_->take_warnings() : std::vector<std::string>(); }

}  // namespace cohort

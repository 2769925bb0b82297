// cohort watch: the report of a run in progress, served to this machine's browser until Ctrl-C.
#include <fmt/format.h>
#include <pthread.h>

#include <csignal>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/watch_page.h"
#include "cli/watch_server.h"

namespace cohort {
namespace {

struct Options {
  std::vector<std::string> runs;
  int port = 0;
};

int run(const Options& o) {
  // Before there is another thread: they are taken here alone.
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM}) sigaddset(&ends, signal);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  WatchedRuns runs({o.runs.begin(), o.runs.end()});
  const std::string token = random_token();
  const WatchServer server(o.port, [&](const WatchRequest& request) { return watch_answer(request, token, runs); });
  tell_result(fmt::format("http://127.0.0.1:{}/?token={}\n", server.port(), token));
  if (const std::string waiting = runs.state().data["waiting"]; !waiting.empty()) tell(fmt::format("cohort: {}: the page waits for it\n", waiting));
  tell(fmt::format("cohort: only this machine can open it (from another one: ssh -L {0}:127.0.0.1:{0} HOST); Ctrl-C ends it\n", server.port()));
  int signal = 0;
  sigwait(&ends, &signal);
  return 0;
}

}  // namespace

Action add_watch(App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("RUN", o->runs, "run directories, also in progress or not there yet; several are compared").required().values(1, 7);
  app.add_option("--port", o->port, "of 127.0.0.1; 0: any that is free").range(0, 65535).show_default();
  app.footer(
      "Prints an address with a token, without which nothing is served. The page is that of `cohort report`, and follows the run. Only this machine\n"
      "can open it. Nothing is written, and no file is served but what the report shows. Ctrl-C (or SIGTERM) ends it.");
  return [o] { return run(*o); };
}

}  // namespace cohort

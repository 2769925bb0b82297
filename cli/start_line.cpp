#include "cli/start_line.h"

#include <fmt/format.h>

#include <cstdlib>
#include <set>

#include "comm/environment.h"

namespace cohort {

std::string start_line(const RunLayout& layout) {
  const auto count = [](int n, const char* what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
  const int threads = layout.threads.threads;
  const std::string places = layout.threads.cpus.empty() ? "" : threads == 1 ? " on a core of its own" : " on cores of their own";
  if (layout.ranks == 1) return fmt::format("1 rank, {}{}", count(threads, "thread"), places);
  std::string text = fmt::format("{} on {}, {} each{}; {}", count(layout.ranks, "rank"), count(layout.hosts, "host"), count(threads, "thread"),
                                 places, layout.mpi);
  if (layout.hosts < layout.ranks) text += layout.reads_processes ? " through shared memory" : " through shared memory, each byte copied twice";
  if (layout.hosts > 1) {
    text += layout.hosts < layout.ranks ? ", between hosts" : " between hosts";
    text += layout.networks.empty() ? " through the networks that it finds" : fmt::format(" through {} (OMPI_MCA_btl_tcp_if_include)", layout.networks);
  }
  return text;
}

RunLayout run_layout(Comm& comm, const ThreadPlan& threads) {
  RunLayout layout{.ranks = comm.size(), .threads = threads};
  if (comm.size() == 1) return layout;
  const std::string host = comm.host();
  std::set<std::string> hosts;
  for (const auto& bytes : comm.all_gather(std::as_bytes(std::span(host)), "hosts"))
    hosts.emplace(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  layout.hosts = static_cast<int>(hosts.size());
  layout.mpi = mpi_version();
  if (const char* networks = std::getenv("OMPI_MCA_btl_tcp_if_include")) layout.networks = networks;
  layout.reads_processes = may_read_processes();
  return layout;
}

}  // namespace cohort

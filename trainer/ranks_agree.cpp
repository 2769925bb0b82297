#include "trainer/ranks_agree.h"

#include <span>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "core/files.h"
#include "core/hash.h"

namespace cohort {
namespace {

std::vector<std::string> gather(std::string_view mine, Comm& comm, const char* name) {
  std::vector<std::string> texts;
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span(mine)), name))
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return texts;
}

// Lines "key: value  # help" below their sections, as "section.key: value"; sections within sections by their last name.
std::vector<std::string> entries(std::string_view yaml) {
  std::vector<std::string> lines;
  std::string section;
  while (!yaml.empty()) {
    const size_t end = yaml.find('\n');
    std::string_view line = yaml.substr(0, yaml.find("  #"));
    line = line.substr(0, std::min(line.find('\n'), line.size()));
    yaml.remove_prefix(end == std::string_view::npos ? yaml.size() : end + 1);
    const size_t margin = std::min(line.find_first_not_of(" -"), line.size());
    while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
    if (margin == 0) section = line.substr(0, line.find(':'));
    lines.push_back(margin == 0 ? std::string(line) : fmt::format("{}.{}", section, line.substr(std::min(margin, line.size()))));
  }
  return lines;
}

// The first entry in which two configs differ, of each.
std::pair<std::string, std::string> first_difference(const std::string& a, const std::string& b) {
  const std::vector<std::string> one = entries(a), other = entries(b);
  size_t at = 0;
  while (at < one.size() && at < other.size() && one[at] == other[at]) ++at;
  const auto entry = [at](const std::vector<std::string>& lines) { return at < lines.size() ? lines[at] : std::string("nothing more"); };
  return {entry(one), entry(other)};
}

}  // namespace

void check_same_start(const Config& config, Comm& comm) {
  if (comm.size() == 1) return;
  const MappedFile program("/proc/self/exe");
  const std::vector<std::string> programs = gather(fingerprint(program.bytes()), comm, "program");
  for (size_t rank = 1; rank < programs.size(); ++rank)
    CHECK_USAGE(programs[rank] == programs[0], "rank {} runs another program file than rank 0 (fingerprints {} and {}); start the same build on every host",
                rank, programs[rank], programs[0]);
  Config mine = config;
  mine.run.threads = 0;
  mine.comm.interface.clear();
  const std::vector<std::string> configs = gather(config_to_yaml(mine), comm, "config");
  for (size_t rank = 1; rank < configs.size(); ++rank) {
    if (configs[rank] == configs[0]) continue;
    const auto [theirs, first] = first_difference(configs[rank], configs[0]);
    fail(ExitCode::kUsage, "rank {} was started with another config than rank 0: '{}' there, '{}' on rank 0; give every rank the same file and the same "
         "section.key=value", rank, theirs, first);
  }
}

void check_same_input(const std::string& fingerprint, const std::string& what, const std::string& files, Comm& comm) {
  if (comm.size() == 1) return;
  const std::vector<std::string> prints = gather(fingerprint, comm, "input");
  for (size_t rank = 1; rank < prints.size(); ++rank)
    CHECK_INPUT(prints[rank] == prints[0], "rank {} has read another content of {} than rank 0 (fingerprints {} and {}): {}; give every host the same files",
                rank, what, prints[rank], prints[0], files);
}

}  // namespace cohort

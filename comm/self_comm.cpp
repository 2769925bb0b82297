// The Comm of a single process: every collective is a copy to itself.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "comm/comm.h"
#include "core/check.h"

namespace cohort {
namespace {

class SelfComm final : public Comm {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  std::string host() const override {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
  }

  void barrier(const char*) override {}
  void broadcast(std::span<std::byte>, int root, const char* name) override {
    CHECK(root == 0, "broadcast({}) from rank {} of 1", name, root);
  }
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> mine,
                                                 const char*) override {
    return {std::vector<std::byte>(mine.begin(), mine.end())};
  }
  void all_gather_spans(std::span<std::byte> data, std::span<const int64_t> offsets,
                        const char* name) override {
    CHECK(offsets.size() == 2 && 0 <= offsets[0] && offsets[0] <= offsets[1] &&
              offsets[1] <= static_cast<int64_t>(data.size()),
          "all_gather_spans({}): bad offsets for {} bytes on 1 rank", name, data.size());
  }
  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive, const char* name) override {
    CHECK(send.size() == 1 && receive.size() == 1 && send[0].size() == receive[0].size(),
          "all_to_all({}): sends and receives do not match on 1 rank", name);
    if (!send[0].empty()) std::memmove(receive[0].data(), send[0].data(), send[0].size());
  }
  bool any(bool flag, const char*) override { return flag; }

  void post(int to, std::span<const std::byte>) override { fail(ExitCode::kInternal, "a message to rank {} of 1", to); }
  std::optional<Message> poll() override { return std::nullopt; }
  Message receive(std::span<const int>, const char* name) override { fail(ExitCode::kInternal, "receive({}) on 1 rank", name); }

  void set_deadline(std::chrono::milliseconds) override {}
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }
};

}  // namespace

std::unique_ptr<Comm> make_self_comm() { return std::make_unique<SelfComm>(); }

}  // namespace cohort

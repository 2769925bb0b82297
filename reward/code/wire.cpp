#include "reward/code/wire.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace cohort {
namespace {

class Out {
 public:
  template <typename T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(const std::string& text) {
    number<uint64_t>(text.size());
    bytes += text;
  }
  void put(const SandboxFile& file) {
    put(file.name);
    put(file.bytes);
    number<uint8_t>(file.executable);
  }
  template <typename T>
  void put(const std::vector<T>& items) {
    number<uint64_t>(items.size());
    for (const T& item : items) put(item);
  }
  void put(const SandboxLimits& l) {
    number(l.seconds);
    for (const int64_t value :
         {l.memory_bytes, l.address_space_bytes, l.output_bytes, l.scratch_bytes, l.processes, l.open_files})
      number(value);
  }
  void put(const SandboxProgram& p) {
    put(p.command), put(p.files), put(p.input), put(p.take), put(p.binds), put(p.environment), put(p.limits);
  }
  void put(const ProgramResult& r) {
    number<uint8_t>(static_cast<uint8_t>(r.end));
    number<int32_t>(r.status);
    put(r.out), put(r.err), put(r.report), put(r.files);
    number(r.seconds), number(r.cpu_seconds);
  }
  template <typename T>
  void put(const std::optional<T>& item) {
    number<uint8_t>(item.has_value());
    if (item) put(*item);
  }
  std::string bytes;
};

// After a failure everything reads as zero and `ok` stays false.
class In {
 public:
  explicit In(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T number() {
    T value{};
    if (bytes_.size() < sizeof value) return ok = false, T{};
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
    return value;
  }
  bool flag() {
    const auto value = number<uint8_t>();
    if (value > 1) ok = false;
    return value == 1;
  }
  void get(std::string& text) {
    const auto size = number<uint64_t>();
    if (size > bytes_.size()) return void(ok = false);
    text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }
  void get(SandboxFile& file) {
    get(file.name), get(file.bytes);
    file.executable = flag();
  }
  template <typename T>
  void get(std::vector<T>& items) {
    const auto count = number<uint64_t>();
    if (count > bytes_.size()) return void(ok = false);  // an item takes at least a byte
    for (uint64_t i = 0; i < count && ok; ++i) get(items.emplace_back());
  }
  void get(SandboxLimits& l) {
    l.seconds = number<double>();
    for (int64_t* value :
         {&l.memory_bytes, &l.address_space_bytes, &l.output_bytes, &l.scratch_bytes, &l.processes, &l.open_files})
      *value = number<int64_t>();
  }
  void get(SandboxProgram& p) {
    get(p.command), get(p.files), get(p.input), get(p.take), get(p.binds), get(p.environment), get(p.limits);
  }
  void get(ProgramResult& r) {
    const auto end = number<uint8_t>();
    if (end > static_cast<uint8_t>(SandboxEnd::infra_error)) ok = false;
    r.end = static_cast<SandboxEnd>(end);
    r.status = number<int32_t>();
    get(r.out), get(r.err), get(r.report), get(r.files);
    r.seconds = number<double>(), r.cpu_seconds = number<double>();
  }
  template <typename T>
  void get(std::optional<T>& item) {
    if (flag()) get(item.emplace());
  }
  bool complete() const { return ok && bytes_.empty(); }
  bool ok = true;

 private:
  std::string_view bytes_;
};

// Waits for `events`; false when the deadline passes. Errors of the other side show in the next read or write.
bool wait_for(int fd, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int timeout = static_cast<int>(std::clamp<int64_t>(left + 1, 0, 60'000));
    const int ready = poll(&entry, 1, timeout);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (Clock::now() >= deadline) return false;
  }
}

bool transfer(int socket, char* data, size_t size, bool sending, Clock::time_point deadline) {
  while (size > 0) {
    const ssize_t moved =
        sending ? send(socket, data, size, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(socket, data, size, MSG_DONTWAIT);
    if (moved > 0) {
      data += moved, size -= static_cast<size_t>(moved);
      continue;
    }
    if (moved == 0 || (errno != EAGAIN && errno != EINTR)) return false;
    if (errno == EAGAIN && !wait_for(socket, sending ? POLLOUT : POLLIN, deadline)) return false;
  }
  return true;
}

}  // namespace

const char* sandbox_end_name(SandboxEnd end) {
  switch (end) {
    case SandboxEnd::exited:
      return "exited";
    case SandboxEnd::signalled:
      return "signalled";
    case SandboxEnd::stopped:
      return "stopped";
    case SandboxEnd::timeout:
      return "timeout";
    case SandboxEnd::memory:
      return "memory";
    case SandboxEnd::output_limit:
      return "output_limit";
    case SandboxEnd::infra_error:
      return "infra_error";
  }
  return "?";
}

std::string encode(const SandboxRequest& request) {
  Out out;
  out.put(request.program), out.put(request.checker);
  return std::move(out.bytes);
}

std::string encode(const SandboxResult& result) {
  Out out;
  out.put(result.program), out.put(result.checker), out.put(result.error);
  return std::move(out.bytes);
}

std::optional<SandboxRequest> decode_request(std::string_view bytes) {
  In in(bytes);
  SandboxRequest request;
  in.get(request.program), in.get(request.checker);
  if (!in.complete()) return std::nullopt;
  return request;
}

std::optional<SandboxResult> decode_result(std::string_view bytes) {
  In in(bytes);
  SandboxResult result;
  in.get(result.program), in.get(result.checker), in.get(result.error);
  if (!in.complete()) return std::nullopt;
  return result;
}

bool send_message(int socket, std::string_view bytes, Clock::time_point deadline) {
  uint64_t size = bytes.size();
  return transfer(socket, reinterpret_cast<char*>(&size), sizeof size, true, deadline) &&
         transfer(socket, const_cast<char*>(bytes.data()), bytes.size(), true, deadline);
}

std::optional<std::string> receive_message(int socket, Clock::time_point deadline) {
  uint64_t size = 0;
  if (!transfer(socket, reinterpret_cast<char*>(&size), sizeof size, false, deadline) || size > kMaxMessage)
    return std::nullopt;
  std::string bytes(size, '\0');
  if (!transfer(socket, bytes.data(), size, false, deadline)) return std::nullopt;
  return bytes;
}

std::pair<Fd, Fd> socket_pair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0)
    fail(ExitCode::kResources, "socketpair: {}", std::strerror(errno));
  return {Fd(fds[0]), Fd(fds[1])};
}

std::pair<Fd, Fd> make_pipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) fail(ExitCode::kResources, "pipe: {}", std::strerror(errno));
  return {Fd(fds[0]), Fd(fds[1])};
}

bool send_fd(int socket, int fd) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

Fd receive_fd(int socket, Clock::time_point deadline) {
  if (!wait_for(socket, POLLIN, deadline)) return Fd();
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof control;
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) return Fd();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int))) return Fd();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

}  // namespace cohort

// Requests and results as bytes, and messages over a socket: length first, bounded, with a deadline.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/fd.h"
#include "reward/code/sandbox.h"

namespace cohort {

constexpr size_t kMaxMessage = size_t{1} << 30;

std::string encode(const SandboxRequest& request);
std::string encode(const SandboxResult& result);
// Nothing when the bytes are not what encode() writes: shorter, longer, or with impossible counts.
std::optional<SandboxRequest> decode_request(std::string_view bytes);
std::optional<SandboxResult> decode_result(std::string_view bytes);

// False when the other side is gone or the deadline passes. Never raises SIGPIPE. The socket may be blocking or not.
bool send_message(int socket, std::string_view bytes, Clock::time_point deadline);
// Nothing when the other side is gone, announces more than kMaxMessage, or the deadline passes.
std::optional<std::string> receive_message(int socket, Clock::time_point deadline);

// Two connected stream sockets, closed on exec. Throws (exit code 6) when the system has none left.
std::pair<Fd, Fd> socket_pair(int type);
std::pair<Fd, Fd> make_pipe();  // reading end, writing end; the same promises

// One descriptor over a socket, with a byte of its own. False, nothing: as for messages.
bool send_fd(int socket, int fd);
Fd receive_fd(int socket, Clock::time_point deadline);

}  // namespace cohort

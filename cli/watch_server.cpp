#include "cli/watch_server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "core/check.h"

namespace cohort {

namespace {

using Answer = std::function<WatchAnswer(const WatchRequest&)>;

constexpr unsigned kConnections = 32, kSilentSeconds = 10;
constexpr size_t kRequestBytes = 16 << 10;

MHD_Result add_host(void* hosts, MHD_ValueKind, const char* key, const char* value) {
  if (strcasecmp(key, "host") == 0) static_cast<std::vector<std::string>*>(hosts)->emplace_back(value != nullptr ? value : "");
  return MHD_YES;
}

std::optional<std::string> argument(MHD_Connection* connection, const char* name) {
  const char* value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

// For the answer to a page with texts that a model wrote: no other origin's, not framed, not kept.
constexpr std::pair<const char*, const char*> kHeaders[] = {
    {"Cache-Control", "no-store"},
    {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},  // the address holds the token
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
};

MHD_Result send(MHD_Connection* connection, const WatchAnswer& answer) {
  MHD_Response* response =
      MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  for (const auto& [name, value] : kHeaders) MHD_add_response_header(response, name, value);
  if (!answer.type.empty()) MHD_add_response_header(response, "Content-Type", answer.type.c_str());
  if (answer.status == 405) MHD_add_response_header(response, "Allow", "GET");
  const MHD_Result queued = MHD_queue_response(connection, static_cast<unsigned>(answer.status), response);
  MHD_destroy_response(response);
  return queued;
}

// Answers as soon as the head is there: of a request with a body, that is not read, and the connection ends. What is thrown must not reach C.
MHD_Result handle(void* context, MHD_Connection* connection, const char* url, const char* method, const char*, const char*, size_t*, void**) {
  WatchAnswer answer{500, "text/plain; charset=utf-8", "internal error\n"};
  try {
    WatchRequest request{.method = method, .path = url, .token = argument(connection, "token"), .have = argument(connection, "have")};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add_host, &request.hosts);
    answer = (*static_cast<const Answer*>(context))(request);
  } catch (const std::exception& error) {
    try {
      answer.body = std::string("internal error: ") + error.what() + "\n";
    } catch (const std::exception&) {  // no memory for the words
    }
  }
  return send(connection, answer);
}

}  // namespace

struct WatchServer::Impl {
  Answer answer;
  MHD_Daemon* daemon = nullptr;
};

WatchServer::WatchServer(int port, std::function<WatchAnswer(const WatchRequest&)> answer) : impl_(std::make_unique<Impl>()) {
  impl_->answer = std::move(answer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  errno = 0;
  impl_->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, static_cast<uint16_t>(port), nullptr, nullptr, handle, &impl_->answer,
                                   MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, kConnections, MHD_OPTION_CONNECTION_TIMEOUT,
                                   kSilentSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, kRequestBytes, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
  CHECK_USAGE(impl_->daemon != nullptr, "--port {}: 127.0.0.1 cannot be served there: {}; --port 0 takes any port that is free", port, std::strerror(errno));
}

WatchServer::~WatchServer() { MHD_stop_daemon(impl_->daemon); }

int WatchServer::port() const {
  const MHD_DaemonInfo* info = MHD_get_daemon_info(impl_->daemon, MHD_DAEMON_INFO_BIND_PORT);
  CHECK(info != nullptr && info->port != 0, "the server's port is not known");
  return info->port;
}

}  // namespace cohort

// A small HTTP server on loopback, for tests: what it answers, a function says.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/json.h"
#include "core/fd.h"

namespace cohort {

struct HttpRequest {
  std::string head;  // the request's line and its headers
  std::string body;
};
struct HttpReply {
  int status = 200;
  std::string body, headers;  // headers end with CRLF each
  enum class Kind { whole, hang, drop, half, raw } kind = Kind::whole;  // half: a part of the body, then the end; raw: the body alone
};

class HttpServer {
 public:
  // `handler` is called by several threads.
  explicit HttpServer(std::function<HttpReply(const HttpRequest&)> handler) : handler_(std::move(handler)) {
    listener_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_.get(), raw, size) != 0 || listen(listener_.get(), 64) != 0 || getsockname(listener_.get(), raw, &size) != 0)
      throw std::runtime_error("no loopback port");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~HttpServer() { stop(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/score"; }
  // Ends all connections; nobody listens any more.
  void stop() {
    if (stopped_.exchange(true)) return;
    shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : connections_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int fd : connections_) close(fd);
    listener_.reset();
  }

 private:
  void accept_all() {
    while (true) {
      const int fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0 || stopped_) {
        if (fd >= 0) close(fd);
        return;
      }
      const std::lock_guard lock(mutex_);
      connections_.push_back(fd);
      threads_.emplace_back([this, fd] { serve(fd); });
    }
  }

  void serve(int fd) {
    std::string held;
    while (true) {
      HttpRequest request;
      if (!read_until(fd, held, [&] { return held.find("\r\n\r\n") != std::string::npos; })) break;
      const size_t head_end = held.find("\r\n\r\n") + 4;
      request.head = held.substr(0, head_end);
      const size_t length_at = request.head.find("Content-Length: ");
      const size_t length = length_at == std::string::npos ? 0 : std::stoul(request.head.substr(length_at + 16));
      if (!read_until(fd, held, [&] { return held.size() >= head_end + length; })) break;
      request.body = held.substr(head_end, length);
      held.erase(0, head_end + length);
      const HttpReply reply = handler_(request);
      if (reply.kind == HttpReply::Kind::drop) break;
      if (reply.kind == HttpReply::Kind::hang) {
        read_until(fd, held, [] { return false; });  // until the other side or stop() ends it
        break;
      }
      std::string bytes = "HTTP/1.1 " + std::to_string(reply.status) + " x\r\n" + reply.headers +
                          "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
      if (reply.kind == HttpReply::Kind::half) bytes.resize(bytes.size() - reply.body.size() / 2);
      if (reply.kind == HttpReply::Kind::raw) bytes = reply.body;
      if (!write_all(fd, bytes) || reply.kind != HttpReply::Kind::whole) break;
    }
    shutdown(fd, SHUT_RDWR);
  }

  template <typename Condition>
  static bool read_until(int fd, std::string& held, Condition done) {
    char part[65536];
    while (!done()) {
      const ssize_t got = recv(fd, part, sizeof part, 0);
      if (got <= 0) return false;
      held.append(part, static_cast<size_t>(got));
    }
    return true;
  }
  static bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  std::function<HttpReply(const HttpRequest&)> handler_;
  Fd listener_;
  int port_ = 0;
  std::atomic<bool> stopped_ = false;
  std::thread acceptor_;
  std::mutex mutex_;
  std::vector<int> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace cohort

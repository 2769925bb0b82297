// cohort watch: only for who has the token and names this machine; whatever comes over the wire; and runs that are not there yet.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "cli/report_page.h"
#include "cli/watch_page.h"
#include "core/fd.h"
#include "tests/cli/run_cohort.h"
#include "tests/cli/screen.h"

namespace cohort {
namespace {

Fd connect_to(int port) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  const timeval patience{20, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return fd;
}

// The whole answer to bytes that are sent as they are; the server is told that no more come.
std::string exchange(int port, const std::string& bytes) {
  const Fd fd = connect_to(port);
  if (!fd) return "no connection";
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t now = send(fd.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) break;  // it does not want to hear more
    sent += static_cast<size_t>(now);
  }
  shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char buffer[65536];
  for (ssize_t got; (got = read(fd.get(), buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<size_t>(got));
  return answer;
}
int status_of(const std::string& answer) { return answer.starts_with("HTTP/1.") ? std::stoi(answer.substr(9, 3)) : 0; }
std::string body_of(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

class Watch : public testing::Test {
 protected:
  static constexpr const char* kToken = "0123456789abcdef0123456789abcdef";
  TemporaryFolder folder;
  const std::string run = folder / "runs/tiny";
  WatchedRuns runs{{run}};
  WatchServer server{0, [this](const WatchRequest& request) { return watch_answer(request, kToken, runs); }};

  std::string request(const std::string& target, const std::string& host = "127.0.0.1", const std::string& method = "GET") const {
    return exchange(server.port(), method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
  }
  std::string with_token(const std::string& path) const { return path + "?token=" + kToken; }
  Json data() const { return parse_json(body_of(request(with_token("/data"))), "data"); }
  void write_step(int64_t step) const {
    std::filesystem::create_directories(run);
    if (!std::filesystem::exists(run + "/config.yaml")) write_all(run + "/config.yaml", "run: {name: tiny}\n");
    std::ofstream(run + "/metrics.jsonl", std::ios::app) << "{\"step\":" << step << ",\"reward\":0.5}\n";
  }
};

TEST_F(Watch, WithoutTheTokenThereIsNothing) {
  write_step(1);
  EXPECT_EQ(status_of(request(with_token("/"))), 200);
  EXPECT_EQ(status_of(request(with_token("/data"))), 200);
  const std::string almost = std::string(kToken).substr(0, 31) + "0";
  for (const std::string& target : {std::string("/"), std::string("/data"), std::string("/?token="), "/?token=" + almost, "/?token=" + std::string(kToken).substr(1),
                                    "/?token=" + std::string(kToken) + "0", "/?token=%00" + std::string(kToken), "/?tokens=" + std::string(kToken)}) {
    const std::string answer = request(target);
    EXPECT_EQ(status_of(answer), 403) << target;
    EXPECT_EQ(answer.find("tiny"), std::string::npos) << "nothing of the run: " << answer;
  }
}

TEST_F(Watch, AnotherSitesNameForThisMachineIsRefused) {
  write_step(1);
  for (const char* host : {"127.0.0.1", "localhost", "127.0.0.1:8080", "localhost:1", "[::1]:65535"}) EXPECT_EQ(status_of(request(with_token("/"), host)), 200) << host;
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.1:x", "127.0.0.1:", "127.0.0.1:123456", "localhost:80@evil", "0.0.0.0", ""})
    EXPECT_NE(status_of(request(with_token("/"), host)), 200) << host;
  EXPECT_EQ(status_of(request(with_token("/"), "evil.example")), 403);
  const std::string target = "GET " + with_token("/") + " HTTP/1.1\r\n";
  EXPECT_NE(status_of(exchange(server.port(), target + "Host: localhost\r\nHost: evil.example\r\n\r\n")), 200);
  EXPECT_NE(status_of(exchange(server.port(), target + "\r\n")), 200) << "no Host at all";
  EXPECT_NE(status_of(exchange(server.port(), "GET " + with_token("/") + " HTTP/1.0\r\n\r\n")), 200);
}

TEST_F(Watch, OnlyGetOfTwoPaths) {
  write_step(1);
  write_all(folder / "secret", "secret");
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"}) {
    const std::string answer = request(with_token("/"), "localhost", method);
    EXPECT_TRUE(status_of(answer) == 405 || status_of(answer) == 403 || status_of(answer) == 400) << method << ": " << answer.substr(0, 100);
  }
  for (const char* path : {"/config.yaml", "/metrics.jsonl", "/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/data/../../secret", "/data/", "/final/"}) {
    const std::string answer = request(with_token(path));
    EXPECT_EQ(status_of(answer), 404) << path;
    EXPECT_EQ(answer.find("secret\n"), std::string::npos);
  }
}

TEST_F(Watch, AnswersAreForNoOtherSite) {
  write_step(1);
  const std::string answer = request(with_token("/"));
  for (const char* header : {"Cache-Control: no-store\r\n", "Cross-Origin-Resource-Policy: same-origin\r\n", "Referrer-Policy: no-referrer\r\n", "X-Content-Type-Options: nosniff\r\n",
                             "frame-ancestors 'none'", "Content-Type: text/html; charset=utf-8\r\n"})
    EXPECT_NE(answer.find(header), std::string::npos) << header;
  EXPECT_EQ(answer.find("Access-Control"), std::string::npos);
  EXPECT_NE(body_of(answer).find("connect-src 'self'"), std::string::npos);
  EXPECT_EQ(report_page({{"runs", Json::array()}}).find("connect-src"), std::string::npos) << "a page on disk fetches nothing";
}

// What is no request, is too long, or never comes whole: the connection ends, and the server goes on.
TEST_F(Watch, WhateverComesOverTheWire) {
  write_step(1);
  const std::string target = with_token("/");
  EXPECT_NE(status_of(exchange(server.port(), "nonsense\r\n\r\n")), 200);
  EXPECT_NE(status_of(exchange(server.port(), std::string(100, '\0'))), 200);
  EXPECT_NE(status_of(exchange(server.port(), "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n")), 200);
  EXPECT_NE(status_of(exchange(server.port(), "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(1000000, 'a') + "\r\n\r\n")), 200);
  std::string many = "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  for (int i = 0; i < 10000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_NE(status_of(exchange(server.port(), many + "\r\n")), 200);
  EXPECT_NE(status_of(exchange(server.port(), "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + std::string(1000000, 'a'))), 200);
  EXPECT_NE(status_of(exchange(server.port(), "GET " + target)), 200);
  std::vector<Fd> silent;  // fewer than it takes, and they say nothing
  for (int i = 0; i < 20; ++i) silent.push_back(connect_to(server.port()));
  EXPECT_EQ(status_of(request(target)), 200);
}

TEST_F(Watch, FollowsARunFromBeforeItIsThere) {
  EXPECT_EQ(data()["waiting"], run + " is not there yet");
  EXPECT_EQ(data()["runs"], Json::array());
  EXPECT_EQ(status_of(request(with_token("/"))), 200);
  write_step(1);
  std::ofstream(run + "/metrics.jsonl", std::ios::app) << "{\"step\":2,\"rew";  // as it is being written
  Json shown;
  for (int i = 0; i < 100 && (shown = data())["runs"].empty(); ++i) usleep(50000);  // it looks once a second
  EXPECT_EQ(shown["runs"][0]["steps"], Json::array({1}));
  EXPECT_EQ(shown["waiting"], "");
  EXPECT_EQ(status_of(request(with_token("/data") + "&have=" + shown["version"].get<std::string>())), 204);
  EXPECT_EQ(status_of(request(with_token("/data") + "&have=0")), 200);
  write_all(run + "/metrics.jsonl", "nonsense\n");  // damaged: told, and the server goes on
  for (int i = 0; i < 100 && (shown = data())["waiting"] == ""; ++i) usleep(50000);
  EXPECT_NE(shown["waiting"].get<std::string>().find("metrics.jsonl:1"), std::string::npos) << shown["waiting"];
  std::filesystem::remove_all(run);
  for (int i = 0; i < 100 && (shown = data())["waiting"] != run + " is not there yet"; ++i) usleep(50000);
  EXPECT_EQ(shown["waiting"], run + " is not there yet");
}

TEST_F(Watch, APortThatIsTakenIsRefused) {
  const Outcome outcome = run_cohort({"watch", run, "--port", std::to_string(server.port())});
  EXPECT_REFUSED(outcome, 2, "--port " + std::to_string(server.port()), "Address already in use", "--port 0");
  EXPECT_REFUSED(run_cohort({"watch", run, "--port", "65536"}), 2, "--port");
  EXPECT_REFUSED(run_cohort({"watch"}), 2, "RUN");
}

TEST(WatchCommand, PrintsItsAddressAndEndsWithCtrlC) {
  const TemporaryFolder folder;
  OnTerminal watch({COHORT_BINARY, "watch", folder / "later"}, 200, 24);
  ASSERT_TRUE(watch.until_shown("Ctrl-C ends it")) << watch.screen().text();
  const std::string text = watch.screen().text();
  EXPECT_NE(text.find("later is not there yet: the page waits for it"), std::string::npos) << text;
  const size_t begin = text.find("http://127.0.0.1:"), port = begin + 17, query = text.find("/?token=", begin);
  ASSERT_NE(query, std::string::npos) << text;
  const std::string target = text.substr(query, text.find('\n', query) - query);
  EXPECT_EQ(target.size(), 8u + 32u);
  EXPECT_EQ(status_of(exchange(std::stoi(text.substr(port)), "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), 200);
  EXPECT_EQ(status_of(exchange(std::stoi(text.substr(port)), "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), 403);
  watch.type("\x03");
  EXPECT_EQ(watch.end(), 0);
  EXPECT_NE(random_token(), random_token());
}

}  // namespace
}  // namespace cohort

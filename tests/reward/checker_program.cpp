// The program that the tests of the reward `command` run: a checker that does what the completions tell it to, also to itself.
//
// usage: checker_program START [MARK]   START: how it begins, see main(); MARK: not read, tells whose process it is
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "core/json.h"

namespace {

using cohort::Json;

void say(const std::string& line) { std::cout << line << std::endl; }
void answer(const Json& id, double score, const std::string& reason = "as told") {
  say(Json{{"id", id}, {"score", score}, {"reason", reason}}.dump());
}
[[noreturn]] void hang() {
  while (true) pause();
}

// A grandchild in a session of its own, whose parent is gone.
void leave_daemon() {
  if (fork() != 0) return;
  setsid();
  if (fork() != 0) _exit(0);
  std::signal(SIGTERM, SIG_IGN);
  hang();
}

// Whatever the completion says, a fault or a score that it alone decides.
void serve_noise(const Json& request) {
  int sum = 0;
  for (const char c : request["completion"].get<std::string>()) sum += static_cast<unsigned char>(c);
  if (sum % 8 == 0) _exit(3);
  if (sum % 8 == 1) say("noise");
  if (sum % 8 == 2) answer(request["id"], 0.5);
  answer(request["id"], sum % 100 / 100.0);
}

void serve(const Json& request) {
  const std::string text = request["completion"];
  const Json& id = request["id"];
  const std::string word = text.substr(0, text.find(' '));
  const std::string rest = word.size() == text.size() ? "" : text.substr(word.size() + 1);
  if (word == "score") return answer(id, std::stod(rest));
  if (word == "null") return say(Json{{"id", id}, {"score", nullptr}, {"reason", "no gold answer"}}.dump());
  if (word == "plain") return say(Json{{"id", id}, {"score", 0.5}}.dump());
  if (word == "echo") return answer(id, 1, request.dump());
  if (word == "pid") return answer(id, getpid() % 100'000);
  if (word == "environment") return answer(id, 1, std::getenv(rest.c_str()) == nullptr ? "unset" : std::getenv(rest.c_str()));
  if (word == "line") return say(rest);
  if (word == "answer") return say(fmt::format(R"({{"id": {}, {}}})", id.dump(), rest));  // with members of its own
  if (word == "hang") hang();
  if (word == "stop") std::raise(SIGSTOP);
  if (word == "half") std::cout << R"({"id": )" << std::flush, hang();
  if (word == "half_dead") std::cout << R"({"id": )" << std::flush, _exit(0);
  if (word == "dead") _exit(3);
  if (word == "killed") std::raise(SIGKILL);
  if (word == "last_words") {
    std::cerr << "Traceback\n\x1b[31mValueError\n" << std::flush;
    _exit(1);
  }
  if (word == "long_line") while (true) std::cout << std::string(10'000, 'x') << std::flush;
  if (word == "flood") while (true) std::cerr << std::string(99, 'x') << '\n';
  if (word == "closed") close(1), hang();
  if (word == "deaf") close(0), hang();
  if (word == "daemon") leave_daemon(), hang();
  if (word == "stop_supervisor") kill(getppid(), SIGSTOP), leave_daemon(), hang();
  if (word == "kill_supervisor") prctl(PR_SET_PDEATHSIG, 0), leave_daemon(), kill(getppid(), SIGKILL), hang();
  if (word == "two_pieces") {
    const std::string line = Json{{"id", id}, {"score", 0.25}}.dump();
    std::cout << line.substr(0, 5) << std::flush << line.substr(5) << "\r\n" << std::flush;
  }
  if (word == "twice") answer(id, 1), answer(id, 0);
  if (word == "other_id") answer(id.get<int64_t>() + 1000, 1);
  if (word == "then_dead") answer(id, 1), _exit(0);
  if (word == "then_noise") answer(id, 1), say("noise");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string start = argc > 1 ? argv[1] : "";
  if (start == "silent") hang();
  if (start == "banner") say("Loading the model...");
  if (start == "broken") {
    std::cerr << "ModuleNotFoundError: No module named 'checker'\n";
    return 1;
  }
  // The first process in this folder works, later ones do not.
  if (start.starts_with("once:") && mkdir(start.c_str() + 5, 0700) != 0) return 1;
  say(start == "newer" ? R"({"ready": 2})" : R"({"ready": 1})");
  if (start == "short_lived") return 0;
  const size_t together = start.starts_with("reverse:") ? std::stoul(start.substr(8)) : 1;
  std::vector<Json> requests;
  for (std::string line; std::getline(std::cin, line);) {
    requests.push_back(cohort::parse_json(line, "a request"));
    if (requests.size() < together) continue;
    // The last one first.
    for (; !requests.empty(); requests.pop_back()) start == "noise" ? serve_noise(requests.back()) : serve(requests.back());
  }
}

// Requests and results survive as bytes; bytes that are none are refused.
#include "reward/code/wire.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

namespace cohort {
namespace {

using namespace std::chrono_literals;

SandboxRequest a_request() {
  SandboxProgram program{.command = {"/bin/x", std::string("a\0b", 3)},
                         .files = {{"f", "bytes", true}, {"", "", false}},
                         .input = "in",
                         .take = {"t"}};
  program.binds = {"/opt"}, program.environment = {"A=b"};
  program.limits = {.seconds = 1.5,
                    .memory_bytes = 1,
                    .address_space_bytes = 2,
                    .output_bytes = 3,
                    .scratch_bytes = 4,
                    .processes = 5,
                    .open_files = 6};
  SandboxRequest request{program, program};
  request.checker->input.clear();
  return request;
}

SandboxResult a_result() {
  SandboxResult result;
  result.program = {.end = SandboxEnd::memory,
                    .status = -3,
                    .out = "o",
                    .err = "e",
                    .report = "r",
                    .files = {{"f", "b", false}},
                    .seconds = 2,
                    .cpu_seconds = 3};
  result.checker = ProgramResult{};
  result.error = "why";
  return result;
}

TEST(Wire, RequestsAndResultsComeBackEqual) {
  EXPECT_EQ(decode_request(encode(a_request())), a_request());
  EXPECT_EQ(decode_result(encode(a_result())), a_result());
  SandboxRequest plain = a_request();
  plain.checker.reset();
  EXPECT_EQ(decode_request(encode(plain)), plain);
}

TEST(Wire, EveryCutAndEveryAdditionIsRefused) {
  for (std::string bytes : {encode(a_request()), encode(a_result())}) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decode_request(std::string_view(bytes).substr(0, size)));
      EXPECT_FALSE(decode_result(std::string_view(bytes).substr(0, size)));
    }
    EXPECT_FALSE(decode_request(bytes + "x"));
    EXPECT_FALSE(decode_result(bytes + "x"));
  }
}

TEST(Wire, ChangedBytesAreReadOrRefusedButNothingElse) {
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  SCOPED_TRACE(seed);
  for (const std::string& good : {encode(a_request()), encode(a_result())}) {
    for (int i = 0; i < 20'000; ++i) {
      std::string bytes = good;
      for (int changes = 0; changes < 3; ++changes) bytes[random() % bytes.size()] = static_cast<char>(random());
      decode_request(bytes);
      decode_result(bytes);
    }
  }
}

TEST(Wire, MessagesLargerThanTheSocketHoldsArrive) {
  auto [one, two] = socket_pair(SOCK_STREAM);
  const std::string text(5 << 20, 'x');
  std::jthread sender([&, &one = one] { EXPECT_TRUE(send_message(one.get(), text, Clock::now() + 60s)); });
  EXPECT_EQ(receive_message(two.get(), Clock::now() + 60s), text);
}

TEST(Wire, NoMessageMeansNothingInTime) {
  auto [one, two] = socket_pair(SOCK_STREAM);
  EXPECT_FALSE(receive_message(two.get(), Clock::now() + 10ms));
  EXPECT_FALSE(send_message(one.get(), std::string(64 << 20, 'x'), Clock::now() + 10ms));  // nobody reads
  one.reset();
  EXPECT_FALSE(receive_message(two.get(), Clock::now() + 60s));  // half a message
  EXPECT_FALSE(send_message(two.get(), "x", Clock::now() + 60s));
}

TEST(Wire, AMessageThatAnnouncesTooMuchIsNotReceived) {
  auto [one, two] = socket_pair(SOCK_STREAM);
  const uint64_t size = kMaxMessage + 1;
  ASSERT_EQ(write(one.get(), &size, sizeof size), static_cast<ssize_t>(sizeof size));
  EXPECT_FALSE(receive_message(two.get(), Clock::now() + 60s));
}

TEST(Wire, DescriptorsPass) {
  auto [one, two] = socket_pair(SOCK_SEQPACKET);
  auto [reading, writing] = make_pipe();
  ASSERT_TRUE(send_fd(one.get(), writing.get()));
  const Fd got = receive_fd(two.get(), Clock::now() + 60s);
  ASSERT_TRUE(got);
  EXPECT_EQ(write(got.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(reading.get(), &byte, 1), 1);
  EXPECT_FALSE(receive_fd(two.get(), Clock::now() + 10ms));
  ASSERT_EQ(send(one.get(), "y", 1, 0), 1);  // a byte without one
  EXPECT_FALSE(receive_fd(two.get(), Clock::now() + 60s));
}

}  // namespace
}  // namespace cohort

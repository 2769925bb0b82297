#include "reward/outside/library.h"

#include <dlfcn.h>

#include <cmath>
#include <cstring>
#include <exception>

#include "core/check.h"
#include "core/text.h"
#include "reward/options.h"
#include "reward/rewards.h"

namespace cohort {
namespace {

cohort_text text_of(std::string_view text) { return {text.data(), text.size()}; }

// What the library wrote, safe to print, whether it ended it or not.
template <size_t N>
std::string read_text(const char (&buffer)[N]) {
  return printable(to_valid_utf8(std::string_view(buffer, strnlen(buffer, N))));
}

struct LibraryOptions {
  std::string path;
  bool many_threads;
  Json own;  // the library's
};

LibraryOptions read_options(const RewardSpec& spec) {
  const OptionReader read(spec, library_options());
  const Json* const own = read.value("options");
  LibraryOptions options{read.text("path"), read.word("threads") == "many", own == nullptr ? Json::object() : *own};
  CHECK_USAGE(options.own.is_object(), "reward '{}': 'options' is {}; allowed is a map, which the library gets", spec.name,
              options.own.dump());
  return options;
}

}  // namespace

const OptionTable& library_options() {
  static const OptionTable table = {
      {.name = "path", .type = OptionType::text, .help = "the shared library; without a / in it, in the working folder", .needed = true},
      {.name = "options", .type = OptionType::map, .help = "what the library gets, as JSON", .standard = Json::object(),
       .form = "a map; which, the library says"},
      {.name = "threads", .type = OptionType::word, .help = "one: calls come one at a time; many: from several threads at once", .standard = "one",
       .words = {"one", "many"}},
  };
  return table;
}

void check_library(const RewardSpec& spec) { read_options(spec); }

LibraryReward::LibraryReward(const RewardSpec& spec) : library_(nullptr, dlclose) {
  const LibraryOptions options = read_options(spec);
  path_ = options.path;
  many_threads_ = options.many_threads;

  // A name without a folder would be looked for among the system's libraries.
  library_.reset(dlopen((path_.find('/') == std::string::npos ? "./" + path_ : path_).c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library_) fail(ExitCode::kUsage, "reward '{}': {} cannot be loaded: {}", spec.name, path_, printable(dlerror()));
  const auto find = [&](const char* name) {
    void* const symbol = dlsym(library_.get(), name);
    CHECK_USAGE(symbol != nullptr, "reward '{}': {} has no function '{}'; reward/outside/abi.h says which there must be", spec.name,
                path_, name);
    return symbol;
  };
  const auto abi = reinterpret_cast<decltype(&cohort_reward_abi)>(find("cohort_reward_abi"));
  const uint32_t version = abi();
  CHECK_USAGE(version == COHORT_REWARD_ABI,
              "reward '{}': {} has version {} of reward/outside/abi.h; allowed is {}: build it with that file", spec.name, path_,
              version, COHORT_REWARD_ABI);
  const auto open = reinterpret_cast<decltype(&cohort_reward_open)>(find("cohort_reward_open"));
  score_ = reinterpret_cast<decltype(&cohort_reward_score)>(find("cohort_reward_score"));
  close_ = reinterpret_cast<decltype(&cohort_reward_close)>(find("cohort_reward_close"));
  char error[COHORT_REWARD_ERROR_SIZE] = "";
  reward_ = open(text_of(dump_json(options.own)), error);
  CHECK_USAGE(reward_ != nullptr, "reward '{}': {} refuses its options: {}", spec.name, path_,
              error[0] == '\0' ? "it gives no reason" : read_text(error));
}

LibraryReward::~LibraryReward() {
  if (reward_ != nullptr) close_(reward_);
}

OutsideVerdict LibraryReward::ask_one(const RewardInput& input) const {
  const std::string columns = dump_json(input.columns != nullptr ? *input.columns : Json::object());
  const std::string messages = input.messages != nullptr ? dump_json(*input.messages) : "";
  const cohort_reward_input in{.prompt = text_of(input.prompt),
                               .completion = text_of(input.completion),
                               .finish_reason = text_of(input.finish_reason),
                               .columns = text_of(columns),
                               .messages = text_of(messages),
                               .ids = input.ids.data(),
                               .num_ids = input.ids.size(),
                               .opens_thinking = input.opens_thinking};
  cohort_reward_output out{};
  int result = COHORT_REWARD_FAILED;
  std::string thrown;  // which C does not, but a library in C++ may
  {
    std::unique_lock<std::mutex> one(mutex_, std::defer_lock);
    if (!many_threads_) one.lock();
    try {
      result = score_(reward_, &in, &out);
    } catch (const std::exception& error) {
      thrown = printable(to_valid_utf8(std::string_view(error.what()).substr(0, COHORT_REWARD_REASON_SIZE)));
    } catch (...) {
      thrown = "something that is no std::exception";
    }
  }
  const auto failed = [&](std::string why) {
    return OutsideVerdict{OutsideEnd::error, std::nullopt, fmt::format("{} {}", path_, why)};
  };
  if (!thrown.empty()) return failed("threw: " + thrown);
  std::string reason = read_text(out.reason);
  switch (result) {
    case COHORT_REWARD_SCORED:
      if (!(std::abs(out.score) <= kMaxScore))  // true for NaN
        return failed(fmt::format("gave the score {}; allowed is a number in [{}, {}]", out.score, -kMaxScore, kMaxScore));
      return {OutsideEnd::scored, out.score, std::move(reason)};
    case COHORT_REWARD_NONE:
      return {OutsideEnd::none, std::nullopt, std::move(reason)};
    case COHORT_REWARD_FAILED:
      return failed(reason.empty() ? "failed without a reason" : "failed: " + reason);
    default:
      return failed(fmt::format("returned {}; allowed are the values of cohort_reward_result", result));
  }
}

void LibraryReward::ask(TaskFeed& feed) const {
  while (const std::optional<RewardTask> task = feed.take()) feed.put(task->id, to_verdict(ask_one(task->input)));
}

std::unique_ptr<Reward> make_library(const RewardSpec& spec) { return std::make_unique<LibraryReward>(spec); }

}  // namespace cohort

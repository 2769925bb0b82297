// The text form of the settings (settings.h).
#include <cstdlib>
#include <map>
#include <string>

#include "state.h"

namespace emulated {
namespace {

uint64_t number_of(const std::string& name, const std::string& value) {
  char* end = nullptr;
  const uint64_t number = std::strtoull(value.c_str(), &end, 10);
  if (value.empty() || *end != '\0') fault("EMULATED_CUDA: %s=%s is no number", name.c_str(), value.c_str());
  return number;
}

// One of the words, with what follows a colon as the seed.
template <typename Choice>
Choice choice_of(const std::string& name, const std::string& value, const std::map<std::string, Choice>& words,
                 uint64_t& seed) {
  const size_t colon = value.find(':');
  const auto found = words.find(value.substr(0, colon));
  if (found == words.end()) fault("EMULATED_CUDA: %s=%s is not known", name.c_str(), value.c_str());
  if (colon != std::string::npos) seed = number_of(name, value.substr(colon + 1));
  return found->second;
}

void set(Settings& s, const std::string& name, const std::string& value) {
  if (name == "order") {
    s.order = choice_of<Order>(
        name, value, {{"forward", Order::forward}, {"reverse", Order::reverse}, {"random", Order::random}}, s.order_seed);
  } else if (name == "streams") {
    s.streams = choice_of<Streams>(
        name, value, {{"eager", Streams::eager}, {"lazy", Streams::lazy}, {"random", Streams::random}}, s.streams_seed);
  } else if (name == "late_copies") {
    s.late_copies = number_of(name, value) != 0;
  } else if (name == "implicit_waits") {
    s.implicit_waits = number_of(name, value) != 0;
  } else if (name == "fence") {
    s.fence = number_of(name, value) != 0;
  } else if (name == "devices") {
    s.devices = static_cast<int>(number_of(name, value));
  } else if (name == "first_device") {
    s.first_device = static_cast<int>(number_of(name, value));
  } else if (name == "driver_hang") {
    s.driver_hang = number_of(name, value) != 0;
  } else if (name == "old_driver") {
    s.old_driver = number_of(name, value) != 0;
  } else if (name == "memory") {
    s.memory = number_of(name, value);
  } else if (name == "other_products") {
    s.other_products = number_of(name, value) != 0;
  } else if (name == "fail_launch") {
    s.fail_launch = number_of(name, value);
  } else if (name == "fail_malloc") {
    s.fail_malloc = number_of(name, value);
  } else if (name == "graphs") {
    s.graphs = number_of(name, value) != 0;
  } else if (name == "fail_capture") {
    s.fail_capture = number_of(name, value);
  } else if (name == "fail_instantiate") {
    s.fail_instantiate = number_of(name, value);
  } else if (name == "fail_graph_launch") {
    s.fail_graph_launch = number_of(name, value);
  } else if (name == "nccl_hang") {
    s.nccl_hang = number_of(name, value);
  } else if (name == "nccl_error") {
    s.nccl_error = number_of(name, value);
  } else if (name == "nccl_spoil") {
    s.nccl_spoil = number_of(name, value);
  } else if (name == "nccl_init_hang") {
    s.nccl_init_hang = number_of(name, value) != 0;
  } else if (name != "rank") {
    fault("EMULATED_CUDA: there is no setting %s", name.c_str());
  }
}

}  // namespace

Settings parse_settings(const std::string& text, const Settings& base) {
  Settings settings = base;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string one = text.substr(begin, end - begin);
    const size_t equals = one.find('=');
    if (equals == std::string::npos) fault("EMULATED_CUDA: %s has no value", one.c_str());
    const std::string name = one.substr(0, equals), value = one.substr(equals + 1);
    set(settings, name, value);
    const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
    if (name == "rank" && (rank == nullptr || number_of(name, rank) != number_of(name, value))) return base;
    begin = end + 1;
  }
  return settings;
}

}  // namespace emulated

// Answers to names that are no keys: the right section, our name for a peer's, or the nearest of
// our own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cohort {

// What another framework calls a key of ours, or something that needs no key here.
struct PeerName {
  std::string name;  // the last part or parts of its path: "clip_ratio_high", "rollout.n"
  std::string ours;  // "algorithm.epsilon_high"; "": cohort has no such key
  std::string note;  // how the meaning differs, or why there is none
};
const std::vector<PeerName>& peer_names();
// The one that is the longest end of `path`, or null.
const PeerName* find_peer_name(std::string_view path);

// `path` is no key of the config: "unknown key 'rollout.num_generation'; did you mean
// 'num_generations'?". A section is a path without a dot.
std::string explain_unknown(std::string_view path);

}  // namespace cohort

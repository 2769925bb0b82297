// Putting sequences into packs (transformer.h).
#include "model/transformer.h"

namespace cohort {

void append_run(TokenPack& pack, std::span<const int32_t> tokens) {
  pack.runs.push_back({static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(tokens.size()), 0, 0});
  pack.tokens.insert(pack.tokens.end(), tokens.begin(), tokens.end());
  for (size_t i = 0; i < tokens.size(); ++i) pack.positions.push_back(static_cast<int32_t>(i));
}

void append_run_behind(TokenPack& pack, std::span<const int32_t> tokens, int64_t prefix_begin, int64_t prefix) {
  if (tokens.empty()) return;
  pack.runs.push_back({static_cast<int64_t>(pack.tokens.size()), static_cast<int64_t>(tokens.size()), prefix > 0 ? prefix_begin : 0, prefix});
  pack.tokens.insert(pack.tokens.end(), tokens.begin(), tokens.end());
  for (size_t i = 0; i < tokens.size(); ++i) pack.positions.push_back(static_cast<int32_t>(prefix + static_cast<int64_t>(i)));
}

void append_text(TokenPack& pack, std::span<const int32_t> tokens) {
  const auto begin = static_cast<int32_t>(pack.tokens.size());
  append_run(pack, tokens);
  for (size_t i = 0; i + 1 < tokens.size(); ++i) {
    pack.rows.push_back(begin + static_cast<int32_t>(i));
    pack.targets.push_back(tokens[i + 1]);
  }
}

void append_pack(TokenPack& to, const TokenPack& from) {
  const auto begin = static_cast<int64_t>(to.tokens.size());
  to.tokens.insert(to.tokens.end(), from.tokens.begin(), from.tokens.end());
  to.positions.insert(to.positions.end(), from.positions.begin(), from.positions.end());
  for (PackRun run : from.runs) {
    run.begin += begin;
    run.prefix_begin += begin;
    to.runs.push_back(run);
  }
  for (int32_t row : from.rows) to.rows.push_back(row + static_cast<int32_t>(begin));
  to.targets.insert(to.targets.end(), from.targets.begin(), from.targets.end());
}

}  // namespace cohort

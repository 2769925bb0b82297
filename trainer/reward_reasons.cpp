#include "trainer/reward_reasons.h"

#include "core/check.h"
#include "core/text.h"

namespace cohort {
namespace {

constexpr std::string_view kCut = "...";

std::string shortened(const std::string& reason) {
  // Cut before bytes are replaced, which may be the text of a whole completion; what is replaced grows.
  std::string text = to_valid_utf8(std::string_view(reason).substr(0, kLongestReason + 1));
  if (text.size() <= kLongestReason) return text;
  size_t end = kLongestReason - kCut.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // inside a character
  text.resize(end);
  return text.append(kCut);
}

}  // namespace

std::vector<std::string> short_reasons(std::span<const Verdict> verdicts) {
  std::vector<std::string> reasons;
  reasons.reserve(verdicts.size());
  for (const Verdict& verdict : verdicts) reasons.push_back(shortened(verdict.reason));
  return reasons;
}

Json reasons_by_name(std::span<const std::string> reasons, const std::vector<RewardSpec>& specs) {
  CHECK(reasons.empty() || reasons.size() == specs.size(), "{} reasons of {} rewards", reasons.size(), specs.size());
  Json by_name = Json::object();
  for (size_t r = 0; r < reasons.size(); ++r)
    if (!reasons[r].empty()) by_name[specs[r].name] = reasons[r];
  return by_name;
}

}  // namespace cohort

// Reads {"gold", "completion"} a line, writes {"score", "reason"} a line: what scripts/oracles/compare_math.py
// compares.
#include <iostream>
#include <string>

#include "core/json.h"
#include "reward/math/judge.h"

int main() {
  using namespace cohort;
  const math::JudgeOptions options;
  size_t number = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const std::string where = "line " + std::to_string(++number);
    const Json record = parse_json(line, where);
    const Verdict verdict =
        math::judge(get_string(record, "completion", where), get_string(record, "gold", where), options);
    Json out;
    out["score"] = verdict.score ? Json(*verdict.score) : Json(nullptr);
    out["reason"] = verdict.reason;
    std::cout << dump_json(out) << '\n';
  }
}

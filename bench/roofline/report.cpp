#include "bench/roofline/report.h"

#include <map>
#include <utility>

#include "bench/roofline/expect.h"
#include "bench/roofline/results.h"

namespace cohort::roofline {
namespace {

std::string op_row(const Measured& m) {
  const Sums sums = sums_of(work_of(m.op));
  return fmt::format("| {} | {} | {} | {:.1f} | {} | {:.0f} | {:.2f} | {:.1f} | {} | {:.0f} %{} |\n", op_text(m.op), shape_text(m.op), m.op.times, m.us,
                     m.us_fast ? fmt::format("{:.1f}", *m.us_fast) : "", sums.bytes / (m.us * 1e3), sums.flops / (m.us * 1e6), m.bound.us, m.bound.by,
                     100 * m.share(), m.share() < kWantedShare ? " **below**" : "");
}

Json op_line(const std::string& shape, const char* step, const Measured& m) {
  const Sums sums = sums_of(work_of(m.op));
  Json line = {{"shape", shape}, {"step", step}, {"op", op_text(m.op)}, {"on", shape_text(m.op)}, {"times", m.op.times}, {"us", m.us}};
  if (m.us_fast) line["us_fast"] = *m.us_fast;
  line["gb_s"] = sums.bytes / (m.us * 1e3);
  line["tflop_s"] = sums.flops / (m.us * 1e6);
  line["bound_us"] = m.bound.us;
  line["bound_by"] = m.bound.by;
  line["share"] = m.share();
  line["below"] = m.share() < kWantedShare;
  return line;
}

}  // namespace

Json limits_json(const Limits& l) {
  return {{"device", l.name}, {"copy_gb_s", l.memory_gb_s}, {"bf16_tflop_s", l.bf16_tflops}, {"launch_us", l.launch_us},
          {"multiprocessors", l.multiprocessors}, {"clock_ghz", l.clock_ghz}, {"l2_mb", l.l2_mb}};
}

std::string limits_text(const Limits& l) {
  return fmt::format("{}: copies {:.0f} GB/s, a large bf16 product {:.0f} TFLOP/s, a launch {:.1f} us (measured); {:.0f} multiprocessors at {:.2f} GHz, {:.0f} MB L2.\n",
                     l.name, l.memory_gb_s, l.bf16_tflops, l.launch_us, l.multiprocessors, l.clock_ghz, l.l2_mb);
}

Report measure_shape(const Shape& shape, Meter& meter, const std::function<void(const Json&)>& line) {
  Report report;
  const std::pair<const char*, std::vector<Op>> lists[] = {
      {"decode step", merged(decode_step(shape))}, {"update pass", merged(update_pass(shape))}, {"optimizer", optimizer_step(shape)}, {"other", other_ops(shape)}};
  std::map<std::string, Measured> known;  // an op of several lists is measured once
  for (const auto& [step, ops] : lists) {
    report.markdown += fmt::format("\n{}, {}:\n\n| op | on | times | us | us, fast | GB/s | TFLOP/s | bound, us | by | share |\n|---|---|---|---|---|---|---|---|---|---|\n", shape.name, step);
    Json total = {{"shape", shape.name}, {"step", step}};
    double us = 0, us_fast = 0, bound_us = 0;
    bool whole = true;
    const Total counts = total_of(ops, meter.limits());
    for (const Op& op : ops) {
      auto at = known.find(op_key(op));
      if (at == known.end()) {
        std::string why;
        const std::optional<Measured> measured = meter.measure(op, why);
        if (!measured) {
          line({{"shape", shape.name}, {"step", step}, {"op", op_text(op)}, {"left_out", why}});
          report.markdown += fmt::format("| {} | {} | {} | left out: {} | | | | | | |\n", op_text(op), shape_text(op), op.times, why);
          whole = false;
          continue;
        }
        at = known.emplace(op_key(op), *measured).first;
      }
      Measured measured = at->second;
      measured.op.times = op.times;
      line(op_line(shape.name, step, measured));
      report.markdown += op_row(measured);
      const double times = static_cast<double>(op.times);
      us += times * measured.us, us_fast += times * measured.us_fast.value_or(measured.us), bound_us += times * measured.bound.us;
    }
    if (!whole || step == std::string("other")) continue;
    total["us"] = us, total["us_fast"] = us_fast, total["bound_us"] = bound_us;
    total["launches"] = counts.sums.launches, total["products"] = counts.sums.products;
    line(total);
    report.markdown += fmt::format("| **all of them** | | | {:.0f} | {:.0f} | | | {:.0f} | | {:.0f} % |\n", us, us_fast, bound_us, 100 * bound_us / us);
  }
  return report;
}

}  // namespace cohort::roofline

#include "bench/roofline/expect.h"

#include <map>

#include "core/check.h"

namespace cohort::roofline {
namespace {

constexpr const char* kHead = R"(# GPU roofline: what each kernel should take

**Not yet run on hardware.** These are times that no kernel can be faster than, to be held against the first measurements: `scripts/gpu_check.sh` measures each of these ops and prints its share of the bound
that follows from the device's own measured limits. This page is what `gpu_kernels --expect` prints (`bench/roofline`): the formulas are those of `work.cpp`, the lists of ops those of `steps.cpp`, which the tests compare with what the
program launches.

## How the times come about

An op is one kernel or a few, one after the other. A kernel takes at least the longest of

- **memory**: each number that it reads or writes, once, at the device's bandwidth. Logits of the head, which exist 4,096 columns at a time, count only where such a chunk is larger than the L2 cache;
- **products**: two FLOPs for each multiply-add on tensor cores, in bf16 with f32 sums. Attention counts those that the kernels make: only pairs that the causal mask leaves, three products for dq and four for dk and dv;
- **shared memory**: attention's operands, 128 bytes a clock and multiprocessor ([gpu.md](gpu.md#attention-and-what-it-should-take));
- **instructions**: of sampling and of the head's statistics, counted per logit in the compiled code, at 128 threads' a clock and multiprocessor;
- **launches**: a time that is assumed for each kernel, product of cuBLASLt and memset. A graph makes it shorter.

Bytes of small ops are in the L2 cache as a rule, so that launches are what they cost; a tensor of a training pass may be there too, and a bound by memory be beaten. Waits for the host, copies of tokens, plans and log-probs to and from the device, and communication are not in these times.
)";

std::string row(std::span<const std::string> cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + cell + " |";
  return line + "\n";
}

std::string figure(double value) {
  return value >= 100 ? fmt::format("{:.0f}", value) : value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

std::string header(std::span<const char* const> titles) {
  std::string first = "|", second = "|";
  for (const char* title : titles) first += fmt::format(" {} |", title), second += "---|";
  for (const Limits& limits : datasheets()) first += fmt::format(" {}, us |", limits.name), second += "---|";
  return first + "\n" + second + "\n";
}

std::string op_table(const std::vector<Op>& list) {
  const std::vector<Op> ops = merged(list);
  constexpr const char* kTitles[] = {"op", "on", "times", "MB", "GFLOP", "longest on an H100"};
  std::string text = header(kTitles);
  for (const Op& op : ops) {
    const Work work = work_of(op);
    const Sums sums = sums_of(work);
    std::vector<std::string> cells = {op_text(op), shape_text(op), fmt::format("{}", op.times), figure(sums.bytes * 1e-6),
                                      sums.flops > 0 ? figure(sums.flops * 1e-9) : "", bound_of(work, datasheets()[0]).by};
    for (const Limits& limits : datasheets()) cells.push_back(figure(bound_of(work, limits).us));
    text += row(cells);
  }
  return text;
}

std::string limits_table() {
  std::string text = "| | memory, GB/s | bf16 products, TFLOP/s | multiprocessors x GHz | L2, MB | launch, us |\n|---|---|---|---|---|---|\n";
  for (const Limits& l : datasheets())
    text += fmt::format("| {} | {:.0f} | {:.0f} | {:.0f} x {} | {:.0f} | {:.0f} |\n", l.name, l.memory_gb_s, l.bf16_tflops, l.multiprocessors,
                        l.clock_ghz, l.l2_mb, l.launch_us);
  return text;
}

std::string steps_table(const Shape& shape) {
  const Sequences &d = shape.decode, &p = shape.pass;
  std::string text = header({});
  text.replace(0, 1, "| |"), text.replace(text.find("\n|") + 1, 1, "|---|");
  const auto line = [&](const std::string& name, const auto& value) {
    std::vector<std::string> cells = {name};
    for (const Limits& limits : datasheets()) cells.push_back(value(expected(shape, limits)));
    text += row(cells);
  };
  line(fmt::format("decode step, {} x {}: weights, keys and values once", d.count(), d.context()), [](const Expected& e) { return figure(e.decode_floor_us); });
  line("the same, every op", [](const Expected& e) { return figure(e.decode_work_us); });
  line("the same, with launches", [](const Expected& e) { return figure(e.decode_us); });
  line("tokens/s: at most", [](const Expected& e) { return fmt::format("{:.0f}k", e.decode_tokens / e.decode_floor_us * 1e3); });
  line("tokens/s: every op, with launches", [](const Expected& e) { return fmt::format("{:.0f}k", e.decode_tokens / e.decode_us * 1e3); });
  line(fmt::format("update of {} x {} completions of {}, with launches", shape.passes, p.samples * p.prompts, p.completion),
       [](const Expected& e) { return figure(e.update_us); });
  line("tokens/s", [](const Expected& e) { return fmt::format("{:.0f}k", e.update_tokens / e.update_us * 1e3); });
  return text;
}

std::string share_text(double expected_tokens, double wanted) {
  return fmt::format("{:.0f} % of the {:.0f}k tokens/s that all ops and launches allow", 100 * wanted / expected_tokens, expected_tokens * 1e-3);
}

// The goals for one H100, held against these times.
std::string goals_text() {
  const Shape shape = find_shape(kPublished[0]);
  const Expected e = expected(shape, datasheets()[0]);
  const double limit = e.decode_tokens / e.decode_floor_us * 1e6, decode = e.decode_tokens / e.decode_us * 1e6, update = e.update_tokens / e.update_us * 1e6;
  const double weights = 2e-6 * static_cast<double>(parameters(shape.config));
  return fmt::format(
      "One H100, {}: a decode step reads {:.0f} MB of weights and {:.0f} MB of keys and values, {:.2f} ms and **{:.0f}k tokens/s at most**, as nothing but memory allows. "
      "At least 60k tokens/s is {}; the goal of 100k is {:.0f} %. "
      "At least 100k tokens/s of the update is {}.\n",
      shape.name, weights, decode_bytes(shape) * 1e-6 - weights, e.decode_floor_us * 1e-3, limit * 1e-3, share_text(decode, 60e3), 100 * 100e3 / decode,
      share_text(update, 100e3));
}

}  // namespace

std::vector<Op> merged(const std::vector<Op>& ops) {
  std::vector<Op> list;
  std::map<std::string, size_t> places;
  for (const Op& op : ops) {
    const auto [at, is_new] = places.emplace(op_key(op), list.size());
    is_new ? list.push_back(op) : void(list[at->second].times += op.times);
  }
  return list;
}

std::string op_key(const Op& op) {
  return fmt::format("{}: {}, {}{}{}, {} to {}{}", kind_name(op.kind), op.name, shape_text(op), op.accumulate ? ", added" : "",
                     op.training ? ", training" : "", dtype_name(op.in), dtype_name(op.out), op.kept > 0 ? fmt::format(", {} kept", op.kept) : "");
}

Total total_of(std::span<const Op> ops, const Limits& limits) {
  Total total;
  for (const Op& op : ops) {
    const Work work = work_of(op);
    const Bound bound = bound_of(work, limits);
    const Sums sums = sums_of(work);
    const double times = static_cast<double>(op.times);
    total.us += times * bound.us, total.work_us += times * bound.work_us;
    total.sums.bytes += times * sums.bytes, total.sums.flops += times * sums.flops;
    total.sums.launches += op.times * sums.launches, total.sums.products += op.times * sums.products, total.sums.clears += op.times * sums.clears;
  }
  return total;
}

double decode_bytes(const Shape& shape) {
  const ModelConfig& c = shape.config;
  const auto positions = static_cast<double>(shape.decode.count() * shape.decode.context());
  return 2.0 * (static_cast<double>(parameters(c)) + positions * 2 * static_cast<double>(c.num_layers * c.num_kv_heads * c.head_size));
}

Expected expected(const Shape& shape, const Limits& limits) {
  const Total decode = total_of(decode_step(shape), limits), pass = total_of(update_pass(shape), limits), optimizer = total_of(optimizer_step(shape), limits);
  const double passes = static_cast<double>(shape.passes);
  return {decode.us, decode.work_us, decode_bytes(shape) / (limits.memory_gb_s * 1e3), passes * pass.us + optimizer.us, passes * pass.work_us + optimizer.work_us,
          static_cast<double>(shape.decode.count()), passes * static_cast<double>(shape.pass.count() * shape.pass.completion)};
}

std::string op_text(const Op& op) {
  switch (op.kind) {
    case Kind::forward: return op.name + " forward";
    case Kind::input: return op.name + ", gradient of the input";
    case Kind::weight: return op.name + ", gradient of the weight";
    case Kind::head_logprobs: return "head: log-probs";
    case Kind::cast:
    case Kind::clear:
    case Kind::gather_rows:
    case Kind::scatter_add_rows: return fmt::format("{}: {}", kind_name(op.kind), op.name);
    default: break;
  }
  const std::string kind = kind_name(op.kind);
  return kind.ends_with("backward") ? op.name + " backward" : op.name;
}

std::string shape_text(const Op& op) {
  const Sequences& s = op.sequences;
  const HeadLayout& h = op.heads;
  const std::string heads = fmt::format("{} heads on {} of {}", h.num_heads, h.num_kv_heads, h.head_size);
  switch (op.kind) {
    case Kind::forward: return fmt::format("{} x {} to {}", op.rows, op.k, op.n);
    case Kind::input: return fmt::format("{} x {} to {}", op.rows, op.n, op.k);
    case Kind::weight: return fmt::format("{} x {} by {}", op.n, op.rows, op.k);
    case Kind::attention_cached: {
      const std::string rows = fmt::format("{} rows at {}", s.count(), s.context());
      return s.shared ? fmt::format("{}, {} on {} shared", rows, s.samples, s.prompt) : fmt::format("{}, {}", rows, heads);
    }
    case Kind::attention_pack:
    case Kind::attention_pack_backward: return fmt::format("{} x ({} + {} x {}), {}", s.prompts, s.prompt, s.samples, s.completion, heads);
    case Kind::rope:
    case Kind::rope_backward:
    case Kind::qk_norm:
    case Kind::qk_norm_backward:
    case Kind::store_cached: return fmt::format("{} x ({})", op.rows, heads);
    case Kind::head_logprobs:
    case Kind::head_backward:
    case Kind::sample_head:
    case Kind::embedding:
    case Kind::embedding_backward: return fmt::format("{} x {} of {}", op.rows, op.k, op.n);
    case Kind::ordered_sum: return fmt::format("{} x {}", op.n, op.rows);
    case Kind::adamw:
    case Kind::sum_of_squares:
    case Kind::find_non_finite: return fmt::format("{}", op.rows);
    default: return fmt::format("{} x {}", op.rows, op.n);
  }
}

std::string roofline_page() {
  std::string page = kHead;
  page += "\nThe devices, by their data sheets (launches: assumed):\n\n" + limits_table();
  page += "\n## Whole steps\n\n" + goals_text();
  for (const char* name : kPublished) page += fmt::format("\n{}:\n\n", name) + steps_table(find_shape(name));
  page += "\nThe update runs every row forward (`trainer.reuse_activations: false`) in passes of one group each; with activations that sampling left, the forward pass is copies. A decode step whose rows stay for the update makes two copies of the residual stream a layer more.\n";
  for (const char* name : kPublished) {
    const Shape shape = find_shape(name);
    page += fmt::format("\n## {}\n\nOne decode step:\n\n", name) + op_table(decode_step(shape));
    page += "\nOne pass of the update:\n\n" + op_table(update_pass(shape));
    page += "\nThe optimizer:\n\n" + op_table(optimizer_step(shape));
    page += "\nOther ops that are measured:\n\n" + op_table(other_ops(shape));
  }
  return page;
}

}  // namespace cohort::roofline

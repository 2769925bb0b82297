// The training side of the transformer: forward and backward over one pack of sequences with shared prompts.
// The forward pass is, row for row, the one of transformer_cached.cpp: same ops, same order, same bits.
#include <algorithm>

#include "core/trace.h"
#include "model/device.h"
#include "model/lora.h"
#include "model/ops/elementwise.h"
#include "model/ops/head.h"
#include "model/ops/score.h"
#include "model/train_state.h"

namespace cohort {

namespace {

void check_pack(const Policy& policy, const TrainState& state, const TokenPack& pack) {
  const int64_t T = static_cast<int64_t>(pack.tokens.size());
  const TrainLimits& limits = state.limits();
  CHECK(T > 0 && T <= limits.tokens && pack.positions.size() == pack.tokens.size(),
        "a pack of {} tokens ({} positions) for a state of {}", T, pack.positions.size(), limits.tokens);
  CHECK(pack.rows.size() == pack.targets.size() && static_cast<int64_t>(pack.rows.size()) <= limits.targets,
        "a pack of {} rows and {} targets for a state of {}", pack.rows.size(), pack.targets.size(), limits.targets);
  for (int32_t row : pack.rows) CHECK(row >= 0 && row < T, "target row {} of {}", row, T);
  for (int32_t token : pack.targets)
    CHECK(token >= 0 && token < policy.config.vocab_size, "target {} of a vocabulary of {}", token,
          policy.config.vocab_size);
}

// The layers of a pass whose gradients go to `flat`. From layer `free` on, nothing lies there until the backward pass.
struct PassLayers {
  Layers layers;
  int64_t free = 0;
};

PassLayers pass_layers(const TrainState::Impl& s, const ParamTable& table, Tensor flat, const ActivationTape* tape) {
  if (tape != nullptr && tape->gradient() != nullptr) {  // then no row is run forward, whatever else the state is for
    CHECK(tape->gradient() == flat.f32(), "a tape that lies in the gradient of another pass");
    return {{}, tape->lenders()};
  }
  PassLayers pass{s.layers, 0};
  if (s.lent.each == 0) return pass;
  const int64_t layers = std::ssize(pass.layers);
  for (int64_t l = 1; l < layers; ++l) pass.layers[l].x_in.data = s.lent.at(flat, table, l);
  pass.free = s.lent.lenders(layers);
  return pass;
}

// The attention of layer `layer`: from x_in to x_mid.
void forward_attention(const Policy& policy, const LayerActivations& a, int64_t layer, const TokenPack& pack,
                       const Exec& ex) {
  const int64_t T = static_cast<int64_t>(pack.tokens.size());
  const BlockTensors block = first_rows(a.block, T);
  const Tensor x_in = a.x_in.slice_rows(0, T), x_mid = a.x_mid.slice_rows(0, T);
  block_attention_in(policy, layer, x_in, pack.positions, block, ex);
  attention_pack(block.attention, a.lse.slice_rows(0, T), block.q, block.k, block.v, pack.runs,
                 head_layout(policy.config, layer), ex);
  cast(x_mid, x_in, ex);
  block_attention_out(policy, layer, x_mid, block, ex);
}

// From tokens to x_out (T, C) f32.
void forward_layers(const Policy& policy, const Layers& layers, Tensor x_out, const TokenPack& pack, const Exec& ex) {
  const int64_t T = static_cast<int64_t>(pack.tokens.size()), L = policy.config.num_layers;
  const auto rows = [T](Tensor t) { return t.slice_rows(0, T); };
  embed_tokens(policy, rows(layers[0].x_in), pack.tokens, ex);
  for (int64_t layer = 0; layer < L; ++layer) {
    const LayerActivations& a = layers[layer];
    forward_attention(policy, a, layer, pack, ex);
    const Tensor x_next = rows(layer + 1 < L ? layers[layer + 1].x_in : x_out);
    cast(x_next, rows(a.x_mid), ex);
    block_mlp(policy, layer, x_next, first_rows(a.block, T), ex);
  }
}

// From x_out to the hidden states of pack.rows.
Tensor select_hidden(const Policy& policy, const TrainState::Impl& s, const TokenPack& pack, const Exec& ex) {
  const auto rows = [T = static_cast<int64_t>(pack.tokens.size())](Tensor t) { return t.slice_rows(0, T); };
  final_norm(policy, rows(s.h_out), rows(s.rstd_out), rows(s.x_out), ex);
  const Tensor selected = s.selected.slice_rows(0, static_cast<int64_t>(pack.rows.size()));
  gather_rows(selected, rows(s.h_out), pack.rows, ex);
  return selected;
}

// The runs of a pack that are not on the tape, as a pack of their own (without targets): its row i becomes slot -1 - i.
TokenPack rows_to_run(const TokenPack& pack, std::span<int32_t> slots) {
  TokenPack own;
  size_t seen = 0;
  for (const PackRun& run : pack.runs) {
    const auto begin = static_cast<size_t>(run.begin), count = static_cast<size_t>(run.count);
    seen += count;
    const bool taped = run.count > 0 && slots[begin] >= 0;
    const auto alike = [&](int64_t first, int64_t rows) {
      return std::ranges::all_of(slots.subspan(static_cast<size_t>(first), static_cast<size_t>(rows)),
                                 [&](int32_t slot) { return (slot >= 0) == taped; });
    };
    CHECK(alike(run.begin, run.count) && alike(run.prefix_begin, run.prefix_count),
          "rows {} to {}, or those before them, are on the tape in part", begin, begin + count);
    if (taped || count == 0) continue;
    const auto at = static_cast<int32_t>(own.tokens.size());
    own.runs.push_back({at, run.count, run.prefix_count > 0 ? -1 - slots[static_cast<size_t>(run.prefix_begin)] : at,
                        run.prefix_count});
    for (size_t i = 0; i < count; ++i) {
      own.tokens.push_back(pack.tokens[begin + i]);
      own.positions.push_back(pack.positions[begin + i]);
      slots[begin + i] = -1 - (at + static_cast<int32_t>(i));
    }
  }
  CHECK(seen == slots.size(), "{} rows of a pack are in its runs, it has {}", seen, slots.size());
  return own;
}

// What the backward pass reads row by row, once or twice: it may stay where it was left.
struct LayerRows {
  TakenRows x_in, x_mid, gate_up;
};

// Layer `layer` of all rows of the pack, from the tape and from rows that were run forward.
LayerRows take_layer(const Policy& policy, TrainState::Impl& s, const Layers& layers, int64_t layer, const TapedRows& taped,
                     const Exec& ex) {
  const auto T = static_cast<int64_t>(taped.slots.size());
  const LayerActivations &to = s.shared[layer], &tape = taped.tape->layer(layer);
  const LayerActivations other = layers.empty() ? LayerActivations() : layers[layer];
  const auto take = [&](Tensor LayerActivations::* piece) {
    const Tensor rows = (to.*piece).slice_rows(0, T);
    gather_rows(rows, tape.*piece, taped.slots, ex, other.*piece);
    return rows;
  };
  const BlockTensors block = first_rows(to.block, T);
  if (s.checkpointing) return {take(&LayerActivations::x_in), to.x_mid.slice_rows(0, T), block.gate_up};
  take(&LayerActivations::lse);
  gather_block(block, tape.block, taped.slots, other.block, ex);
  LayerRows rows;
  if (ex.gpu == nullptr) {
    rows = {{tape.x_in, taped.slots, other.x_in}, {tape.x_mid, taped.slots, other.x_mid},
            {tape.block.gate_up, taped.slots, other.block.gate_up}};
  } else {
    rows = {take(&LayerActivations::x_in), take(&LayerActivations::x_mid), block.gate_up};
    gather_rows(block.gate_up, tape.block.gate_up, taped.slots, ex, other.block.gate_up);
  }
  block_compute_again(policy, layer, rows.x_in, rows.x_mid, block, ex);
  return rows;
}

// Only rows of the pack's tokens get a gradient as an embedding.
KeptRows keep_rows(TrainState::Impl& s, const TokenPack& pack, int64_t parts, int64_t C) {
  s.kept_rows = pack.tokens;
  std::ranges::sort(s.kept_rows);
  s.kept_rows.erase(std::unique(s.kept_rows.begin(), s.kept_rows.end()), s.kept_rows.end());
  const int64_t sums = parts * static_cast<int64_t>(s.kept_rows.size());
  if (!s.kept_sums || (*s.kept_sums)[0].rows() < sums) {
    s.kept_sums.reset();  // free the smaller one first
    s.kept_sums = std::make_unique<Arena>("sums of embedding rows");
    s.kept_sums->plan("sums", DType::f32, {sums, C});
    s.kept_sums->commit(Arena::Pages::all_now, s.dx.device);
  }
  return {s.kept_rows, (*s.kept_sums)[0].slice_rows(0, sums)};
}

// Zeros between the parameters of `span`.
void clear_gaps(Tensor flat, const ParamTable& table, ParamSpan span) {
  int64_t from = span.begin;
  for (const ParamEntry& entry : table.entries) {
    if (entry.offset < span.begin || entry.offset >= span.end) continue;
    clear(Policy::view(flat, from, 1, entry.offset - from));
    from = entry.offset + entry.size();
  }
  clear(Policy::view(flat, from, 1, span.end - from));
}

void backward(const Policy& policy, TrainState::Impl& s, const Layers& layers, const TokenPack& pack, const TapedRows& taped,
              const Gradients& gradients, const KeptRows& kept, const Exec& ex) {
  const ModelConfig& c = policy.config;
  const int64_t T = static_cast<int64_t>(pack.tokens.size());
  const auto rows = [T](Tensor t) { return t.slice_rows(0, T); };
  const Tensor dx = rows(s.dx);
  const BlockGradients scratch = first_rows(s.scratch, T);

  // Head rows -> hidden rows -> final norm. A prompt's last row is the source of each sample's first token.
  clear(scratch.dh);
  scatter_add_rows(scratch.dh, s.dselected.slice_rows(0, static_cast<int64_t>(pack.rows.size())), pack.rows, ex);
  clear(dx);
  final_norm_backward(policy, dx, scratch.dh, rows(s.x_out), rows(s.rstd_out), gradients, ex);

  for (int64_t layer = c.num_layers - 1; layer >= 0; --layer) {
    const LayerActivations& a = taped.tape ? s.shared[layer] : layers[layer];
    const BlockTensors block = first_rows(a.block, T);
    const LayerRows of = taped.tape ? take_layer(policy, s, layers, layer, taped, ex)
                                    : LayerRows{rows(a.x_in), rows(a.x_mid), block.gate_up};
    if (s.checkpointing && (taped.tape || layer + 1 < c.num_layers)) {
      forward_attention(policy, a, layer, pack, ex);
      if (c.sandwich_norms) {  // whose backward pass reads the MLP's output; x_out has served
        cast(rows(s.x_out), rows(a.x_mid), ex);
        block_mlp(policy, layer, rows(s.x_out), block, ex);
      } else {
        block_mlp_in(policy, layer, rows(a.x_mid), block, ex);
      }
    }
    block_mlp_backward(policy, layer, dx, of.x_mid, of.gate_up, block, gradients, scratch, ex);
    block_attention_out_backward(policy, layer, dx, block, gradients, scratch, ex);
    attention_pack_backward(scratch.dq, scratch.dk, scratch.dv, scratch.dattention, block.attention, rows(a.lse),
                            block.q, block.k, block.v, pack.runs, head_layout(c, layer), ex);
    block_attention_in_backward(policy, layer, dx, of.x_in, pack.positions, block, gradients, scratch, ex);
  }
  if (gradients.lora) return;
  embedding_backward(gradients.at(policy.table.embedding, c.vocab_size, c.hidden_size), kept, dx, pack.tokens, ex,
                     c.embedding_scale, gradients.parts);
}

}  // namespace

Tensor forward_pack(const Policy& policy, TrainState& state, const TokenPack& pack, const Exec& ex) {
  check_pack(policy, state, pack);
  const TrainState::Impl& s = *state.impl;
  forward_layers(policy, s.shared.empty() ? s.layers : s.shared, s.x_out, pack, ex);
  return select_hidden(policy, s, pack, ex);
}

void pack_logprobs(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
                   std::span<float> logprob, std::span<float> entropy, const Exec& ex, std::span<float> best) {
  require_language_model(policy.config);
  const Tensor selected = forward_pack(policy, state, pack, ex);
  head_logprobs(logprob, entropy, selected, policy.packed_head, pack.targets, temperature, ex,
                policy.config.logit_softcap, best);
}

namespace {

// scratch: n numbers on the device.
void head_scores(const Policy& policy, Tensor scratch, Tensor h, std::span<float> scores, const Exec& ex) {
  const auto count = static_cast<int64_t>(scores.size());
  CHECK(policy.config.num_labels == 1 && count == h.rows(), "{} scores of {} rows, a model of {} labels", count, h.rows(), policy.config.num_labels);
  const Tensor on_device(scratch.data, DType::f32, {count, 1}, policy.device);
  matmul(on_device, h, policy.packed_head, ex);
  copy({scores.data(), DType::f32, {count, 1}}, on_device);
}

}  // namespace

void pack_scores(const Policy& policy, TrainState& state, const TokenPack& pack, std::span<float> scores,
                 const Exec& ex) {
  CHECK(scores.size() == pack.rows.size(), "{} scores of {} rows", scores.size(), pack.rows.size());
  const Tensor selected = forward_pack(policy, state, pack, ex);
  head_scores(policy, state.impl->dselected, selected, scores, ex);
}

size_t score_position(const ModelConfig& config, std::span<const int32_t> tokens) {
  CHECK(!tokens.empty(), "the score of no tokens");
  size_t last = tokens.size() - 1;
  while (last > 0 && tokens[last] == config.pad_token_id) --last;
  return last;
}

namespace {

// Hidden rows on their way through the head and back: dh and dw are to be written. dw: null where the head is frozen. The rest as in
// ops/head.h.
struct HeadRows {
  Tensor dh, dw, h;
  std::span<const RowPart> parts;
  KeptRows kept;
  std::span<float> spare;
};

// Forward, head(rows) and backward.
template <typename Head>
void pack_gradients(const Policy& policy, TrainState& state, const TokenPack& pack, Tensor flat, const Exec& ex,
                    std::span<const PackPart> parts, const TapedRows& taped, const Head& head) {
  CHECK(policy.use == PolicyUse::training, "gradients of a policy for inference");
  check_pack(policy, state, pack);
  TrainState::Impl& s = *state.impl;
  const auto [layers, free] = pass_layers(s, policy.table, flat, taped.tape);
  std::vector<int32_t> slots(taped.slots.begin(), taped.slots.end());
  const Tensor selected = [&] {
    const Span span(ex.trace, "forward");
    const int64_t T = static_cast<int64_t>(pack.tokens.size());
    if (taped.tape == nullptr) {
      CHECK(T <= s.limits.forward_tokens, "{} rows to run forward in a state for {}", T, s.limits.forward_tokens);
      forward_layers(policy, layers, s.x_out, pack, ex);
    } else {
      CHECK(taped.tape->version() == policy.version, "the tape holds rows of policy version {}, the policy is at {}",
            taped.tape->version(), policy.version);
      CHECK(s.checkpointing || taped.tape->kept() == TapeRows::all, "a tape of layers' inputs alone, without checkpointing");
      CHECK(s.limits.tape && taped.slots.size() == pack.tokens.size(), "slots of {} rows, the pack has {}{}",
            taped.slots.size(), T, s.limits.tape ? "" : "; the state is not for a tape");
      const TokenPack own = rows_to_run(pack, slots);
      const auto count = static_cast<int64_t>(own.tokens.size());
      CHECK(count <= s.limits.forward_tokens, "{} rows to run forward in a state for {}", count, s.limits.forward_tokens);
      CHECK(count == 0 || taped.tape->gradient() == nullptr, "{} rows to run forward beside a tape that lies in the gradient", count);
      const Tensor own_out = s.dx.slice_rows(0, count);  // until the backward pass begins
      if (count > 0) forward_layers(policy, layers, own_out, own, ex);
      gather_rows(s.x_out.slice_rows(0, T), taped.tape->x_out(), slots, ex, own_out);
    }
    return select_hidden(policy, s, pack, ex);
  }();
  const Span span(ex.trace, "backward");  // with the head, whose two directions are one pass
  const ModelConfig& c = policy.config;
  std::vector<RowPart> row_parts, target_parts;
  int64_t row = 0, target = 0;
  for (const PackPart& part : parts) {
    row_parts.push_back({row, part.tokens, part.merges});
    target_parts.push_back({target, part.targets, part.merges});
    row += part.tokens, target += part.targets;
  }
  const Tensor dselected = s.dselected.slice_rows(0, static_cast<int64_t>(pack.rows.size()));
  if (policy.lora) {  // of head and embedding, which are frozen, only what goes through them
    head(HeadRows{.dh = dselected, .h = selected, .parts = target_parts});
    return backward(policy, s, layers, pack, {taped.tape, slots}, {flat, row_parts, &s.lora}, {}, ex);
  }
  const Gradients gradients{flat, row_parts};
  const KeptRows kept = keep_rows(s, pack, std::max<int64_t>(1, static_cast<int64_t>(parts.size())), c.hidden_size);
  const ParamTable& table = policy.table;
  const bool tied = table.head == table.embedding;
  // The layers' gradients are written later: until then logits may lie where no layer's input does.
  const ParamSpan later{tied ? table.layers.front().span.begin : table.embedding, table.layers.back().span.end};
  const int64_t spare = free == 0                                               ? later.begin
                        : free < std::ssize(table.layers) ? table.layers[static_cast<size_t>(free)].span.begin
                                                          : later.end;
  head(HeadRows{dselected, gradients.at(table.head, table.head_rows, c.hidden_size), selected, target_parts, tied ? kept : KeptRows{},
                {flat.f32() + spare, static_cast<size_t>(later.end - spare)}});
  if (!tied) {
    clear(gradients.at(policy.table.embedding, c.vocab_size, c.hidden_size));
    clear(kept.sums);
  }
  backward(policy, s, layers, pack, {taped.tape, slots}, gradients, kept, ex);
  clear_gaps(flat, table, later);
}

}  // namespace

void pack_loss(const Policy& policy, TrainState& state, const TokenPack& pack, float temperature,
               const TokenGradient& gradient, Tensor flat, const Exec& ex,
               std::span<const PackPart> parts, const TapedRows& taped, std::span<float> best) {
  require_language_model(policy.config);
  pack_gradients(policy, state, pack, flat, ex, parts, taped, [&](const HeadRows& rows) {
    head_loss(rows.dh, rows.dw, rows.h, policy.packed_head, pack.targets, temperature, gradient, ex, policy.config.logit_softcap, rows.parts,
              rows.kept, rows.spare, best);
  });
}

void pack_score_loss(const Policy& policy, TrainState& state, const TokenPack& pack, const ScoreGradient& gradient, Tensor flat,
                     const Exec& ex, std::span<const PackPart> parts) {
  pack_gradients(policy, state, pack, flat, ex, parts, {}, [&](const HeadRows& rows) {
    std::vector<float> scores(pack.rows.size()), dscores(scores.size());
    head_scores(policy, rows.dh, rows.h, scores, ex);
    gradient(scores, dscores);
    head_scores_backward(rows.dh, rows.dw, dscores, rows.h, policy.packed_head, ex, rows.parts);
  });
}

}  // namespace cohort

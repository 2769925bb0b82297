#include "trainer/packs.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace cohort {
namespace {

// The last token of a completion predicts nothing, so it needs no row.
int64_t completion_rows(std::span<const int32_t> completion) { return static_cast<int64_t>(completion.size()) - 1; }

int64_t group_rows(const PackInput& input) {
  int64_t rows = static_cast<int64_t>(input.prompt.size());
  for (const auto& completion : input.completions) rows += std::max<int64_t>(0, completion_rows(completion));
  return rows;
}

// Slots [first, first + rows) of a completion's, or as many that say nowhere.
void append_slots(TrainPack& pack, std::span<const int32_t> slots, size_t first, size_t rows) {
  if (slots.empty()) return pack.slots.resize(pack.slots.size() + rows, -1);
  CHECK(first + rows <= slots.size(), "{} slots of a completion, {} are needed", slots.size(), first + rows);
  const auto begin = slots.begin() + static_cast<ptrdiff_t>(first);
  pack.slots.insert(pack.slots.end(), begin, begin + static_cast<ptrdiff_t>(rows));
}

// The rows of a prompt and those behind it are all on the tape, or none is.
void settle_slots(TrainPack& pack) {
  const std::vector<PackRun>& runs = pack.tokens.runs;
  for (size_t r = 0; r < runs.size();) {
    const auto begin = pack.slots.begin() + runs[r].begin;
    do ++r;
    while (r < runs.size() && runs[r].prefix_count > 0);
    const auto end = r < runs.size() ? pack.slots.begin() + runs[r].begin : pack.slots.end();
    if (std::find(begin, end, -1) != end) std::fill(begin, end, -1);
  }
}

// Appends the prompt of a group; returns its first row.
int64_t append_prompt(TokenPack& pack, std::span<const int32_t> prompt) {
  const int64_t begin = static_cast<int64_t>(pack.tokens.size());
  for (size_t i = 0; i < prompt.size(); ++i) {
    pack.tokens.push_back(prompt[i]);
    pack.positions.push_back(static_cast<int32_t>(i));
  }
  pack.runs.push_back({begin, static_cast<int64_t>(prompt.size()), begin, 0});
  return begin;
}

void append_completion(TrainPack& pack, int64_t prompt_begin, int64_t prompt_count, std::span<const int32_t> completion,
                       std::span<const TokenSpan> targets, int32_t group, int32_t sample) {
  TokenPack& tokens = pack.tokens;
  const int64_t begin = static_cast<int64_t>(tokens.tokens.size()), rows = completion_rows(completion);
  for (int64_t i = 0; i < rows; ++i) {
    tokens.tokens.push_back(completion[i]);
    tokens.positions.push_back(static_cast<int32_t>(prompt_count + i));
  }
  if (rows > 0) tokens.runs.push_back({begin, rows, prompt_begin, prompt_count});
  int64_t done = 0;
  for (const TokenSpan& span : targets) {
    CHECK(span.begin >= done && span.begin < span.end && span.end <= rows + 1, "targets {} to {} of a completion of {} tokens, behind {}",
          span.begin, span.end, rows + 1, done);
    for (int64_t i = span.begin; i < span.end; ++i) {
      tokens.rows.push_back(static_cast<int32_t>(i == 0 ? prompt_begin + prompt_count - 1 : begin + i - 1));
      tokens.targets.push_back(completion[i]);
      pack.refs.push_back({group, sample, static_cast<int32_t>(i)});
    }
    done = span.end;
  }
}

int64_t rows_of(const TrainPack& pack) { return static_cast<int64_t>(pack.tokens.tokens.size()); }

// A group, or as much of it as one pack holds.
struct Piece {
  size_t group, first, last;  // completions [first, last)
  int64_t rows;               // with the prompt
  bool goes_on;               // behind another piece of the same group
};

std::vector<Piece> cut_groups(std::span<const PackInput> inputs, int64_t pack_tokens) {
  std::vector<Piece> pieces;
  for (size_t g = 0; g < inputs.size(); ++g) {
    const PackInput& input = inputs[g];
    const auto prompt = static_cast<int64_t>(input.prompt.size());
    CHECK(prompt > 0, "group {} has an empty prompt", g);
    if (std::ranges::all_of(input.completions, [](const auto& completion) { return completion.empty(); })) continue;
    const int64_t hard = pack_tokens > 0 ? pack_tokens : kMaxAutoRows + prompt;
    Piece piece{g, 0, 0, prompt, false};
    bool empty = true;  // so far
    for (size_t sample = 0; sample < input.completions.size(); ++sample) {
      if (input.completions[sample].empty()) continue;
      const int64_t rows = completion_rows(input.completions[sample]);
      if (!empty && piece.rows + rows > hard) {
        piece.last = sample;
        pieces.push_back(piece);
        piece = {g, sample, sample, prompt, true};
      }
      piece.rows += rows, empty = false;
    }
    piece.last = input.completions.size();
    pieces.push_back(piece);
  }
  return pieces;
}

void append_piece(TrainPack& pack, const PackInput& input, const Piece& piece) {
  const int64_t prompt_begin = append_prompt(pack.tokens, input.prompt), prompt_count = std::ssize(input.prompt);
  bool first = true;
  for (size_t sample = piece.first; sample < piece.last; ++sample) {
    const std::span<const int32_t> completion = input.completions[sample];
    if (completion.empty()) continue;
    const std::span<const int32_t> slots = input.slots.empty() ? std::span<const int32_t>() : input.slots[sample];
    if (std::exchange(first, false)) append_slots(pack, slots, 0, input.prompt.size());
    const TokenSpan all{0, std::ssize(completion)};
    append_completion(pack, prompt_begin, prompt_count, completion, input.targets.empty() ? std::span(&all, 1) : std::span<const TokenSpan>(input.targets[sample]),
                      static_cast<int32_t>(piece.group), static_cast<int32_t>(sample));
    append_slots(pack, slots, input.prompt.size(), static_cast<size_t>(completion_rows(completion)));
  }
}

// Which logical rank each of some pieces of work is for, in order: by the middle of its rows, so that each has its share.
std::vector<int> deal_rows(std::span<const int64_t> rows, int64_t logical_ranks) {
  int64_t total = 0, before = 0;
  for (const int64_t count : rows) total += count;
  std::vector<int> leaves;
  for (const int64_t count : rows) {
    leaves.push_back(static_cast<int>((2 * before + count) * logical_ranks / (2 * total)));
    before += count;
  }
  return leaves;
}

}  // namespace

int64_t taped_rows(const TrainPack& pack) {
  return std::ranges::count_if(pack.slots, [](int32_t slot) { return slot >= 0; });
}

std::vector<TrainPack> build_packs(std::span<const PackInput> inputs, int64_t pack_tokens, int64_t logical_ranks) {
  CHECK(logical_ranks > 0 && pack_tokens >= 0, "packs for {} logical ranks, {} tokens", logical_ranks, pack_tokens);
  int64_t total = 0;
  for (const PackInput& input : inputs) total += group_rows(input);
  const int64_t soft = rows_of_a_pack(total, pack_tokens, logical_ranks);

  const std::vector<Piece> pieces = cut_groups(inputs, pack_tokens);
  std::vector<int64_t> rows;
  for (const Piece& piece : pieces) rows.push_back(piece.rows);
  const std::vector<int> leaves = deal_rows(rows, logical_ranks);
  std::vector<TrainPack> packs;
  for (size_t p = 0; p < pieces.size(); ++p) {
    const Piece& piece = pieces[p];
    if (packs.empty() || packs.back().logical_rank != leaves[p] || piece.goes_on || rows_of(packs.back()) + piece.rows > soft) {
      packs.emplace_back();
      packs.back().logical_rank = leaves[p];
    }
    append_piece(packs.back(), inputs[piece.group], piece);
  }
  for (TrainPack& pack : packs) settle_slots(pack);
  return packs;
}

int64_t rows_of_a_pack(int64_t total, int64_t pack_tokens, int64_t logical_ranks) {
  return pack_tokens > 0 ? pack_tokens : std::clamp<int64_t>((total + logical_ranks - 1) / logical_ranks, 1, kMaxAutoRows);
}

void deal_packs(std::span<TrainPack> packs, int64_t logical_ranks) {
  std::vector<int64_t> rows;
  for (const TrainPack& pack : packs) rows.push_back(rows_of(pack));
  const std::vector<int> leaves = deal_rows(rows, logical_ranks);
  for (size_t p = 0; p < packs.size(); ++p) packs[p].logical_rank = leaves[p];
}

}  // namespace cohort

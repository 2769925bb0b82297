// What a call of the generator did and how long it took.
#pragma once

#include <cstdint>

namespace cohort {

struct GenerateStats {
  int64_t prefill_tokens = 0, decode_tokens = 0;  // recomputed tokens count as prefill
  int64_t cached_tokens = 0;                      // of prompts, not run because another sample's pages were shared
  int64_t preemptions = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  // Of the passes in which tokens were drawn: their time, and the same times the share of sequences that were in flight of
  // those that could have been, min(max_num_seqs, requests).
  double pass_seconds = 0, occupied_seconds = 0;

  // How full the batch was, averaged over time: 1 until a sequence ends and none waits to take its place.
  double occupancy() const { return pass_seconds > 0 ? occupied_seconds / pass_seconds : 0; }
  GenerateStats& operator+=(const GenerateStats& other) {
    prefill_tokens += other.prefill_tokens;
    decode_tokens += other.decode_tokens;
    cached_tokens += other.cached_tokens;
    preemptions += other.preemptions;
    prefill_seconds += other.prefill_seconds;
    decode_seconds += other.decode_seconds;
    pass_seconds += other.pass_seconds;
    occupied_seconds += other.occupied_seconds;
    return *this;
  }
};

}  // namespace cohort

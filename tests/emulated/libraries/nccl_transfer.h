// One group of NCCL calls on one communicator, on its way: what goes to each rank and what comes from it, in the order of
// the calls, and the sums that are made when everything is there.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "nccl_rings.h"

namespace emulated {

enum class CallKind : uint32_t { all_reduce, reduce_scatter, all_gather, broadcast, reduce, send, receive };

struct NcclCall {
  CallKind kind;
  const void* send;
  void* receive;
  size_t count;  // elements, as the call says
  ncclDataType_t type;
  ncclRedOp_t op;
  int peer;  // of send and receive; the root of a broadcast or a reduce; else 0
};

size_t bytes_of(ncclDataType_t type);
// The buffers of the call in elements, for checks: how many it sends from and receives to.
size_t sent_elements(const NcclCall& call, int ranks, int rank);
size_t received_elements(const NcclCall& call, int ranks, int rank);

class NcclTransfer {
 public:
  NcclTransfer(RankRings& rings, int ranks, int rank, std::vector<NcclCall> calls);
  // Moves what can be moved; whether all is there and added up. Ends the process when another rank's call does not match.
  bool advance();

 private:
  // What a rank says before its data, so that both ends can see that they mean the same.
  struct Label {
    uint32_t kind;
    int32_t type, op, peer;
    uint64_t count;
    bool operator==(const Label&) const = default;
  };
  struct Piece {
    Label label;
    char* data;
    size_t bytes;
  };
  // Pieces in order, and how far they are, in bytes of label and data of the first that is not complete.
  struct Queue {
    std::vector<Piece> pieces;
    size_t next = 0, done = 0;
    Label seen;
  };
  static Label label_of(const NcclCall& call);
  void plan(NcclCall& call);
  void finish(const NcclCall& call);
  bool push(int to);
  bool pull(int from);

  RankRings& rings_;
  int ranks_, rank_;
  std::vector<NcclCall> calls_;
  std::vector<Queue> out_, in_;
  std::vector<std::vector<char>> received_;  // for sums: of each rank
};

}  // namespace emulated

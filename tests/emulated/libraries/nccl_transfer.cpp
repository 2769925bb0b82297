// Moving a group's data and adding it up (nccl_transfer.h). Sums are in rank order: the same bits on every rank.
#include "nccl_transfer.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <cstring>

#include "emulator/state.h"

namespace emulated {
namespace {

const char* name_of(uint32_t kind) {
  constexpr const char* kNames[] = {"all-reduce", "reduce-scatter", "all-gather", "broadcast", "reduce", "send/receive"};
  return kind < 6 ? kNames[kind] : "something unknown";
}

bool is_sum(CallKind kind) {
  return kind == CallKind::all_reduce || kind == CallKind::reduce_scatter || kind == CallKind::reduce;
}

double get(const void* data, ncclDataType_t type, size_t i) {
  switch (type) {
    case ncclFloat32:
      return static_cast<const float*>(data)[i];
    case ncclFloat64:
      return static_cast<const double*>(data)[i];
    case ncclBfloat16:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
    case ncclInt32:
      return static_cast<const int32_t*>(data)[i];
    default:
      fault("NCCL: sums of data type %d are not emulated", static_cast<int>(type));
  }
}
void put(void* data, ncclDataType_t type, size_t i, double value) {
  if (type == ncclFloat32) static_cast<float*>(data)[i] = static_cast<float>(value);
  if (type == ncclFloat64) static_cast<double*>(data)[i] = value;
  if (type == ncclBfloat16) static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16_rn(static_cast<float>(value));
  if (type == ncclInt32) static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
}
// One step of a sum, rounded to what the type is added up in.
double combine(ncclDataType_t type, ncclRedOp_t op, double a, double b) {
  if (op == ncclMax) return std::max(a, b);
  if (op == ncclMin) return std::min(a, b);
  return type == ncclFloat32 || type == ncclBfloat16 ? static_cast<double>(static_cast<float>(a) + static_cast<float>(b))
                                                     : a + b;
}

}  // namespace

size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    default:
      return 8;
  }
}

size_t sent_elements(const NcclCall& call, int ranks, int rank) {
  if (call.kind == CallKind::reduce_scatter) return call.count * static_cast<size_t>(ranks);
  if (call.kind == CallKind::broadcast) return rank == call.peer ? call.count : 0;
  return call.kind == CallKind::receive ? 0 : call.count;
}
size_t received_elements(const NcclCall& call, int ranks, int rank) {
  if (call.kind == CallKind::reduce) return rank == call.peer ? call.count : 0;
  if (call.kind == CallKind::all_gather) return call.count * static_cast<size_t>(ranks);
  return call.kind == CallKind::send ? 0 : call.count;
}

NcclTransfer::NcclTransfer(RankRings& rings, int ranks, int rank, std::vector<NcclCall> calls)
    : rings_(rings), ranks_(ranks), rank_(rank), calls_(std::move(calls)), out_(ranks), in_(ranks) {
  for (NcclCall& call : calls_) plan(call);
}

NcclTransfer::Label NcclTransfer::label_of(const NcclCall& call) {
  const bool pair = call.kind == CallKind::send || call.kind == CallKind::receive;
  return {static_cast<uint32_t>(pair ? CallKind::send : call.kind), static_cast<int32_t>(call.type),
          static_cast<int32_t>(is_sum(call.kind) ? call.op : ncclSum), pair ? 0 : call.peer, call.count};
}

void NcclTransfer::plan(NcclCall& call) {
  const Label label = label_of(call);
  const size_t bytes = call.count * bytes_of(call.type);
  char* send = static_cast<char*>(const_cast<void*>(call.send));
  char* receive = static_cast<char*>(call.receive);
  if (call.kind == CallKind::send) return out_[call.peer].pieces.push_back({label, send, bytes});
  if (call.kind == CallKind::receive) return in_[call.peer].pieces.push_back({label, receive, bytes});
  for (int r = 0; r < ranks_; ++r) {
    if (is_sum(call.kind)) received_.emplace_back(r == rank_ ? 0 : bytes);
    if (r == rank_) continue;
    switch (call.kind) {
      case CallKind::all_reduce:
        out_[r].pieces.push_back({label, send, bytes});
        in_[r].pieces.push_back({label, received_.back().data(), bytes});
        break;
      case CallKind::reduce_scatter:
        out_[r].pieces.push_back({label, send + static_cast<size_t>(r) * bytes, bytes});
        in_[r].pieces.push_back({label, received_.back().data(), bytes});
        break;
      case CallKind::all_gather:
        out_[r].pieces.push_back({label, send, bytes});
        in_[r].pieces.push_back({label, receive + static_cast<size_t>(r) * bytes, bytes});
        break;
      case CallKind::reduce:  // labels between all, as of a broadcast
        out_[r].pieces.push_back({label, send, r == call.peer ? bytes : 0});
        in_[r].pieces.push_back({label, received_.back().data(), rank_ == call.peer ? bytes : 0});
        break;
      default:  // broadcast: labels between all, so that everybody sees a call that does not match
        out_[r].pieces.push_back({label, send, rank_ == call.peer ? bytes : 0});
        in_[r].pieces.push_back({label, receive, r == call.peer ? bytes : 0});
    }
  }
}

bool NcclTransfer::push(int to) {
  Queue& q = out_[to];
  bool any = false;
  while (q.next < q.pieces.size()) {
    Piece& piece = q.pieces[q.next];
    const bool in_label = q.done < sizeof(Label);
    const char* from = in_label ? reinterpret_cast<const char*>(&piece.label) + q.done : piece.data + (q.done - sizeof(Label));
    const size_t left = in_label ? sizeof(Label) - q.done : sizeof(Label) + piece.bytes - q.done;
    const size_t moved = left > 0 ? rings_.write(to, from, left) : 0;
    q.done += moved;
    any |= moved > 0;
    if (q.done == sizeof(Label) + piece.bytes) {
      ++q.next;
      q.done = 0;
    } else if (moved == 0) {
      break;
    }
  }
  return any;
}

bool NcclTransfer::pull(int from) {
  Queue& q = in_[from];
  bool any = false;
  while (q.next < q.pieces.size()) {
    Piece& piece = q.pieces[q.next];
    const bool in_label = q.done < sizeof(Label);
    char* to = in_label ? reinterpret_cast<char*>(&q.seen) + q.done : piece.data + (q.done - sizeof(Label));
    const size_t left = in_label ? sizeof(Label) - q.done : sizeof(Label) + piece.bytes - q.done;
    const size_t moved = left > 0 ? rings_.read(from, to, left) : 0;
    q.done += moved;
    any |= moved > 0;
    if (q.done == sizeof(Label) && in_label && !(q.seen == piece.label)) {
      fault("NCCL: rank %d calls %s of %llu (type %d, op %d, root %d) where rank %d calls %s of %llu (type %d, op %d, root %d)",
            rank_, name_of(piece.label.kind), static_cast<unsigned long long>(piece.label.count), piece.label.type,
            piece.label.op, piece.label.peer, from, name_of(q.seen.kind), static_cast<unsigned long long>(q.seen.count),
            q.seen.type, q.seen.op, q.seen.peer);
    }
    if (q.done == sizeof(Label) + piece.bytes) {
      ++q.next;
      q.done = 0;
    } else if (moved == 0) {
      break;
    }
  }
  return any;
}

void NcclTransfer::finish(const NcclCall& call) {
  const size_t bytes = call.count * bytes_of(call.type);
  const char* send = static_cast<const char*>(call.send);
  if (call.kind == CallKind::all_gather) {
    std::memmove(static_cast<char*>(call.receive) + static_cast<size_t>(rank_) * bytes, send, bytes);
  } else if (call.kind == CallKind::broadcast && rank_ == call.peer) {
    std::memmove(call.receive, send, bytes);
  } else if (is_sum(call.kind)) {
    const char* own = call.kind == CallKind::reduce_scatter ? send + static_cast<size_t>(rank_) * bytes : send;
    std::vector<std::vector<char>> of(std::make_move_iterator(received_.begin()),
                                      std::make_move_iterator(received_.begin() + ranks_));
    received_.erase(received_.begin(), received_.begin() + ranks_);
    if (call.kind == CallKind::reduce && rank_ != call.peer) return;
    of[static_cast<size_t>(rank_)].assign(own, own + bytes);
    for (size_t i = 0; i < call.count; ++i) {
      double sum = get(of[0].data(), call.type, i);
      for (int r = 1; r < ranks_; ++r)
        sum = combine(call.type, call.op, sum, get(of[static_cast<size_t>(r)].data(), call.type, i));
      put(call.receive, call.type, i, call.op == ncclAvg ? sum / ranks_ : sum);
    }
  }
}

bool NcclTransfer::advance() {
  for (bool any = true; any;) {
    any = false;
    for (int r = 0; r < ranks_; ++r) any |= push(r) | pull(r);
  }
  for (int r = 0; r < ranks_; ++r)
    if (out_[r].next < out_[r].pieces.size() || in_[r].next < in_[r].pieces.size()) return false;
  for (const NcclCall& call : calls_) finish(call);
  return true;
}

}  // namespace emulated

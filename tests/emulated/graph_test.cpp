// Stream capture and graphs: what is recorded, replayed, updated and forbidden.
#include <cuda_runtime.h>

#include "tests/emulated/gpu_test.h"
#include "tests/emulated/test_kernels.h"

namespace cohort {
namespace {

class Graphs : public GpuOps {
 protected:
  Graphs() {
    cuda::check_status(cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking), "create a stream");
    for (cudaEvent_t* event : {&fork_, &join_})
      cuda::check_status(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "create an event");
  }
  ~Graphs() override {
    for (cudaEvent_t event : {fork_, join_}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(other_), cudaSuccess);
  }
  void begin() { ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), cudaSuccess); }
  cudaError_t end() {
    const cudaError_t error = cudaStreamEndCapture(stream_, &graph_);
    (void)cudaGetLastError();
    return error;
  }
  void add(const DeviceMatrix& y, const DeviceMatrix& x, float number, cudaStream_t stream) {
    cuda::add_number(y.t().f32(), x.t().f32(), number, 1, stream);
  }
  // A capture in which `forbidden` is called: what it answered, and what the capture's end did.
  template <typename Body>
  std::pair<cudaError_t, cudaError_t> captured(const Body& forbidden) {
    begin();
    const cudaError_t answer = forbidden();
    return {answer, end()};
  }

  cudaStream_t other_ = nullptr;
  cudaEvent_t fork_ = nullptr, join_ = nullptr;
  cudaGraph_t graph_ = nullptr;
  const DeviceMatrix x_{Matrix(DType::f32, 1, 1)}, y_{DType::f32, 1, 1}, z_{DType::f32, 1, 1}, sum_{DType::f32, 1, 1};
};

TEST_F(Graphs, ReplaysWhatWasRecordedWithItsArgumentsAndRunsNothingBefore) {
  float number = 1;
  begin();
  add(y_, x_, number, stream_);
  number = 5;
  add(x_, y_, 0, stream_);
  ASSERT_EQ(end(), cudaSuccess);
  synchronize();
  EXPECT_EQ(x_.host().get(0), 0) << "recorded only";
  cudaGraphExec_t executable;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph_, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  for (const char* order : kOrders) {
    emulated::set_settings(emulated::parse_settings(order));
    const float before = x_.host().get(0);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    synchronize();
    EXPECT_EQ(x_.host().get(0), before + 3);
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(Graphs, AForkAndAJoinOrderTheNodesAndAForgottenForkIsNoticed) {
  for (const bool forked : {true, false}) {
    int wrong = 0;
    for (int seed = 0; seed < 20; ++seed) {
      // y = x + 1 on one stream, then z = y + 1 on the other.
      begin();
      ASSERT_EQ(cudaEventRecord(fork_, stream_), cudaSuccess);
      if (!forked) {
        ASSERT_EQ(cudaStreamWaitEvent(other_, fork_, 0), cudaSuccess);  // too early: before y
      }
      add(y_, x_, 1, stream_);
      ASSERT_EQ(cudaEventRecord(join_, stream_), cudaSuccess);
      if (forked) {
        ASSERT_EQ(cudaStreamWaitEvent(other_, join_, 0), cudaSuccess);
      }
      add(z_, y_, 1, other_);
      ASSERT_EQ(cudaEventRecord(join_, other_), cudaSuccess);
      ASSERT_EQ(cudaStreamWaitEvent(stream_, join_, 0), cudaSuccess);
      ASSERT_EQ(end(), cudaSuccess);
      cudaGraphExec_t executable;
      ASSERT_EQ(cudaGraphInstantiate(&executable, graph_, 0), cudaSuccess);
      emulated::set_settings(emulated::parse_settings("streams=random:" + std::to_string(seed)));
      ASSERT_EQ(cudaMemsetAsync(y_.t().data, 0xff, sizeof(float), stream_), cudaSuccess);
      ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
      synchronize();
      wrong += z_.host().get(0) != 2;
      emulated::set_settings({});
      ASSERT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
      ASSERT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
    }
    if (forked) {
      EXPECT_EQ(wrong, 0);
    }
    if (!forked) {
      EXPECT_GT(wrong, 0);
    }
  }
}

TEST_F(Graphs, AnUpdateTakesNewArgumentsAndRefusesAnotherShape) {
  const auto record = [&](float number, int nodes) {
    begin();
    for (int i = 0; i < nodes; ++i) add(y_, x_, number, stream_);
    EXPECT_EQ(end(), cudaSuccess);
    return graph_;
  };
  cudaGraph_t first = record(1, 1), second = record(2, 1), longer = record(3, 2);
  begin();
  ASSERT_EQ(cudaMemsetAsync(y_.t().data, 0, 4, stream_), cudaSuccess);
  ASSERT_EQ(end(), cudaSuccess);
  cudaGraph_t other = graph_;
  cudaGraphExec_t executable;
  cudaGraphExecUpdateResultInfo info;
  ASSERT_EQ(cudaGraphInstantiate(&executable, first, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphExecUpdate(executable, second, &info), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
  synchronize();
  EXPECT_EQ(y_.host().get(0), 2);
  EXPECT_EQ(cudaGraphExecUpdate(executable, longer, &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorTopologyChanged);
  EXPECT_EQ(cudaGraphExecUpdate(executable, other, &info), cudaErrorGraphExecUpdateFailure);
  EXPECT_EQ(info.result, cudaGraphExecUpdateErrorNodeTypeChanged);
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  for (cudaGraph_t graph : {first, second, longer, other}) EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST_F(Graphs, CaptureForbidsWaitingAllocatingAndTheNullStream) {
  void* memory = nullptr;
  using Answers = std::pair<cudaError_t, cudaError_t>;
  const Answers unsupported{cudaErrorStreamCaptureUnsupported, cudaErrorStreamCaptureInvalidated};
  EXPECT_EQ(captured([&] { return cudaStreamSynchronize(stream_); }), unsupported);
  EXPECT_EQ(captured([&] { return cudaStreamQuery(stream_); }), unsupported);
  EXPECT_EQ(captured([&] { return cudaDeviceSynchronize(); }), unsupported);
  EXPECT_EQ(captured([&] { return cudaMalloc(&memory, 4); }), unsupported);
  EXPECT_EQ(captured([&] { return cudaMemsetAsync(y_.t().data, 0, 4, nullptr); }),
            Answers(cudaErrorStreamCaptureImplicit, cudaErrorStreamCaptureInvalidated));
  EXPECT_EQ(captured([&] { return cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal); }),
            Answers(cudaErrorIllegalState, cudaSuccess));
  ASSERT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(other_), cudaSuccess) << "other streams go on";
}

TEST_F(Graphs, CaptureForbidsEventsFromOutsideAndOfItInside) {
  using Answers = std::pair<cudaError_t, cudaError_t>;
  ASSERT_EQ(cudaEventRecord(fork_, other_), cudaSuccess);
  EXPECT_EQ(captured([&] { return cudaStreamWaitEvent(stream_, fork_, 0); }),
            Answers(cudaErrorStreamCaptureIsolation, cudaErrorStreamCaptureInvalidated));
  EXPECT_EQ(captured([&] { return cudaEventRecord(fork_, stream_), cudaEventSynchronize(fork_); }),
            Answers(cudaErrorCapturedEvent, cudaErrorStreamCaptureInvalidated));
  EXPECT_EQ(captured([&] { return cudaEventRecord(fork_, stream_), cudaEventQuery(fork_); }),
            Answers(cudaErrorCapturedEvent, cudaErrorStreamCaptureInvalidated));
  // A stream that joined and did not come back.
  EXPECT_EQ(captured([&] {
              (void)cudaEventRecord(fork_, stream_);
              (void)cudaStreamWaitEvent(other_, fork_, 0);
              add(y_, x_, 1, other_);
              return cudaSuccess;
            }),
            Answers(cudaSuccess, cudaErrorStreamCaptureUnjoined));
  EXPECT_EQ(end(), cudaErrorIllegalState) << "nothing is captured";
}

TEST_F(Graphs, TwoCapturesDoNotMerge) {
  begin();
  ASSERT_EQ(cudaStreamBeginCapture(other_, cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(fork_, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(other_, fork_, 0), cudaErrorStreamCaptureMerge);
  EXPECT_EQ(end(), cudaErrorStreamCaptureInvalidated);
  EXPECT_EQ(cudaStreamEndCapture(other_, &graph_), cudaErrorStreamCaptureInvalidated);
  (void)cudaGetLastError();
}

}  // namespace
}  // namespace cohort

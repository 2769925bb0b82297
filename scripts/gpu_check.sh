#!/usr/bin/env bash
# Proves the GPU code on a machine with GPUs, without a network, and measures it: writes bench/gpu/NAME.json and NAME.md.
# usage: scripts/gpu_check.sh [--build DIR] [--ranks N] [--tiny] [--name NAME]
#   --build DIR   a build with COHORT_CUDA=ON that is there already; default: makes build-cuda
#   --ranks N     1, 2, ... N ranks, a GPU each; default: as many as there are GPUs, up to 8
#   --tiny        small speed measurements: to try this script, also on a build with COHORT_CUDA=emulated
#   --name NAME   of the result; default: the GPU's name
# Checks: every op against the CPU, the model's log-probs at sampling against the trainer's, compute-sanitizer where it is
# installed, a GRPO run whose bits must be equal twice, with activations reused or not, on 1 to N ranks and across a kill. Exit code 1 when one fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build="" ranks="" tiny=0 name=""
while (( $# > 0 )); do
  case $1 in
    --build) build=$2; shift 2 ;;
    --ranks) ranks=$2; shift 2 ;;
    --name) name=$2; shift 2 ;;
    --tiny) tiny=1; shift ;;
    *) echo "gpu_check: '$1' is unknown; allowed: --build, --ranks, --tiny, --name" >&2; exit 2 ;;
  esac
done
if [[ $(id -u) -eq 0 ]]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$SECONDS failed=0 rows=() facts=()

note() { echo "gpu_check: $*" >&2; }
# result NAME pass|fail|skipped TEXT
result() {
  rows+=("$1|$2|$3")
  [[ $2 == fail ]] && failed=1
  note "$2: $1: $3"
}
fact() {
  facts+=("$1|$2")
  note "$1: $2"
}

if [[ -z $build ]]; then
  build=build-cuda
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCOHORT_CUDA=ON >"$work/cmake.txt" 2>&1 &&
    cmake --build "$build" --target cohort test_gpu >"$work/build.txt" 2>&1 ||
    { tail -20 "$work"/cmake.txt "$work"/build.txt >&2; note "the build failed"; exit 1; }
fi
cohort=$build/cohort
[[ -x $cohort ]] || { note "$cohort is missing"; exit 2; }

"$cohort" doctor >"$work/doctor.txt" 2>&1 || { note "cohort doctor fails: $(tail -1 "$work/doctor.txt")"; exit 2; }
if ! grep -q '^device  *cpu, cuda$' "$work/doctor.txt"; then
  note "no GPU that can be used: $(sed -n 's|^gpu[ 0-9]*  *||p' "$work/doctor.txt" | head -1)"
  exit 2
fi
gpu=$(sed -n 's|^gpu [0-9]*  *\(.*, sm_.*\)|\1|p' "$work/doctor.txt" | head -1)
[[ -n ${gpu%%,*} ]] || { note "cohort doctor tells no name of the GPU"; exit 2; }
fact gpu "$gpu"
fact commit "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
if [[ -z $ranks ]]; then
  ranks=$(nvidia-smi --list-gpus 2>/dev/null | wc -l)
  (( ranks < 1 )) && ranks=1
  (( ranks > 8 )) && ranks=8
fi

# --- every op, the model and the update, against the CPU
# What only the emulator's own library or faults can show is left out.
left_out='GpuMatmul.StrictNever*:GpuMatmul.ALibraryWhose*:GpuMatmul.*Refus*:GpuMatmul.*Fail*'
if [[ -x $build/tests/gpu/test_gpu ]]; then
  timeout 240 "$build/tests/gpu/test_gpu" --gtest_filter="-$left_out" >"$work/tests.txt" 2>&1 &&
    result "ops and model against the CPU" pass "$(grep -c '^\[       OK' "$work/tests.txt") tests" ||
    result "ops and model against the CPU" fail "$(grep '^\[  FAILED  \]' "$work/tests.txt" | sort -u | head -5 | tr '\n' ' ')"
else
  result "ops and model against the CPU" skipped "no test_gpu in $build"
fi
for tool in memcheck racecheck; do
  if command -v compute-sanitizer >/dev/null && [[ -x $build/tests/gpu/test_gpu ]]; then
    timeout 100 compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/tests/gpu/test_gpu" \
      --gtest_filter='GpuTransformer.AForked*:GpuUpdate.AdamW*:GpuNorm*:GpuRope*:GpuTensorAttention.Every*' >"$work/$tool.txt" 2>&1 &&
      result "compute-sanitizer $tool" pass "small cases" ||
      result "compute-sanitizer $tool" fail "$(tail -1 "$work/$tool.txt")"
  else
    result "compute-sanitizer $tool" skipped "not installed"
  fi
done

# --- a GRPO run: the same bits twice, on each number of ranks, and across a kill
steps=12
(( tiny )) && steps=3
cat >"$work/run.yaml" <<YAML
run: {name: run, dir: $work/runs, device: cuda, threads: 2}
model:
  init: {hidden_size: 64, intermediate_size: 128, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: bfloat16
data:
  task: {name: reverse, seed: 1, train_size: 8, eval_size: 4}
  max_prompt_length: 32
reward: [{name: exact}]
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-3}
trainer: {max_steps: $steps, prompts_per_step: 4, logical_ranks: 8, save_steps: 2, warm_start: {steps: 20, problems_per_step: 8, learning_rate: 3.0e-3}}
YAML
train() { "$cohort" train "$work/run.yaml" --quiet "$@" 2>"$work/err.txt"; }
same() { "$cohort" compare "$work/runs/first" "$work/runs/$1" >"$work/compare.txt" 2>&1 && grep -q '^identical: ' "$work/compare.txt"; }
if train run.name=first; then
  # The trainer's log-probs must be its own for that: where it reuses the sampler's activations they could not differ.
  if train run.name=recomputed trainer.reuse_activations=false; then
    differs=$(grep -o '"sampling/sampling_logp_difference/max":[^,}]*' "$work/runs/recomputed/metrics.jsonl" | cut -d: -f2 | sort -u | tr '\n' ' ')
    if [[ $differs == "0.0 " || $differs == "0 " ]]; then
      result "log-probs of sampler and trainer" pass "equal bits in $steps steps"
    else
      result "log-probs of sampler and trainer" fail "largest differences: $differs"
    fi
    same recomputed && result "activations reused and recomputed" pass "equal bits" ||
      result "activations reused and recomputed" fail "$(tail -3 "$work/compare.txt" | tr '\n' ' ')"
  else
    result "log-probs of sampler and trainer" fail "$(tail -3 "$work/err.txt" | tr '\n' ' ')"
  fi
  train run.name=again && same again && result "same run twice" pass "equal bits" ||
    result "same run twice" fail "$(tail -3 "$work/err.txt" "$work/compare.txt" 2>/dev/null | tr '\n' ' ')"
  for (( n = 2; n <= ranks; ++n )); do
    mpirun -n "$n" --bind-to none --oversubscribe "$cohort" train "$work/run.yaml" --quiet run.name="ranks$n" 2>"$work/err.txt" &&
      same "ranks$n" && result "$n ranks" pass "equal bits" ||
      result "$n ranks" fail "$(tail -3 "$work/err.txt" "$work/compare.txt" 2>/dev/null | tr '\n' ' ')"
  done
  train run.name=killed &
  child=$!
  for (( i = 0; i < 6000; ++i )); do
    [[ -d $work/runs/killed/checkpoints/step_2 ]] && break
    kill -0 $child 2>/dev/null || break
    sleep 0.02
  done
  kill -9 $child 2>/dev/null
  wait $child 2>/dev/null
  train run.name=killed && same killed && result "kill and resume" pass "equal bits" ||
    result "kill and resume" fail "$(tail -3 "$work/err.txt" "$work/compare.txt" 2>/dev/null | tr '\n' ' ')"
else
  result "a GRPO run" fail "$(tail -3 "$work/err.txt" | tr '\n' ' ')"
fi

# --- speed: the shape of Qwen2.5-0.5B but for the vocabulary, with random weights
if (( tiny )); then
  shape='{hidden_size: 64, intermediate_size: 128, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 128}'
  sequences=4 length=8
else
  shape='{hidden_size: 896, intermediate_size: 4864, num_layers: 24, num_heads: 14, num_kv_heads: 2, max_positions: 1024}'
  sequences=256 length=512
fi
cat >"$work/speed.yaml" <<YAML
run: {name: speed, dir: $work/runs, device: cuda}
model: {init: $shape, dtype: bfloat16}
data: {task: {name: addition, seed: 1, train_size: 64, eval_size: 1}, max_prompt_length: 64}
reward: [{name: length, max_length: 4}]
rollout: {num_generations: 8, max_completion_length: $length, min_completion_length: $length, max_num_seqs: $sequences}
trainer: {max_steps: 2, prompts_per_step: $((sequences / 4)), logical_ranks: 1, skip_zero_advantage: false}
YAML
if timeout 240 "$cohort" train "$work/speed.yaml" --quiet trainer.eval_before=false 2>"$work/err.txt"; then
  last() { tail -1 "$work/runs/speed/metrics.jsonl" | grep -o "\"$1\":[0-9.e+-]*" | cut -d: -f2; }
  fact "rollout tokens/s ($sequences sequences of $length tokens)" "$(last perf/rollout_tokens_per_s)"
  fact "update tokens/s" "$(last perf/update_tokens_per_s)"
  if (( ranks > 1 )); then
    if timeout 120 mpirun -n "$ranks" --bind-to none --oversubscribe "$cohort" train "$work/speed.yaml" --quiet trainer.eval_before=false \
        trainer.logical_ranks=8 run.resume=never 2>"$work/err.txt"; then
      fact "rollout tokens/s on $ranks GPUs" "$(last perf/rollout_tokens_per_s)"
      fact "update tokens/s on $ranks GPUs" "$(last perf/update_tokens_per_s)"
      fact "seconds of a step between $ranks GPUs (gradients and weights)" "$(last timing_s/comm)"
    else
      result "speed on $ranks GPUs" fail "$(tail -3 "$work/err.txt" | tr '\n' ' ')"
    fi
  fi
else
  result "speed" fail "$(tail -3 "$work/err.txt" | tr '\n' ' ')"
fi
fact "seconds of this check" "$(( SECONDS - started ))"

# --- what was found, for people and for programs
[[ -n $name ]] || name=$(sed 's/,.*//; s/[^A-Za-z0-9]\+/-/g' <<<"$gpu")
mkdir -p bench/gpu
json_string() { printf '"%s"' "$(sed 's/\\/\\\\/g; s/"/\\"/g' <<<"$1" | tr -d '\000-\037')"; }
{
  echo "# $gpu"
  echo
  echo "By \`scripts/gpu_check.sh\`, $(date -u +%Y-%m-%d)."
  echo
  echo "| check | result | |"
  echo "|---|---|---|"
  for row in "${rows[@]}"; do IFS='|' read -r a b c <<<"$row"; echo "| $a | $b | $c |"; done
  echo
  echo "| measured | |"
  echo "|---|---|"
  for row in "${facts[@]}"; do IFS='|' read -r a b <<<"$row"; echo "| $a | $b |"; done
} >"bench/gpu/$name.md"
{
  echo '{"checks": ['
  for (( i = 0; i < ${#rows[@]}; ++i )); do
    IFS='|' read -r a b c <<<"${rows[i]}"
    printf '  {"name": %s, "result": %s, "text": %s}%s\n' "$(json_string "$a")" "$(json_string "$b")" "$(json_string "$c")" \
      "$( (( i + 1 < ${#rows[@]} )) && echo ,)"
  done
  echo '], "measured": {'
  for (( i = 0; i < ${#facts[@]}; ++i )); do
    IFS='|' read -r a b <<<"${facts[i]}"
    printf '  %s: %s%s\n' "$(json_string "$a")" "$(json_string "$b")" "$( (( i + 1 < ${#facts[@]} )) && echo ,)"
  done
  echo '}}'
} >"bench/gpu/$name.json"
note "written: bench/gpu/$name.md and .json"
exit $failed

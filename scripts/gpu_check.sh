#!/usr/bin/env bash
# Proves the GPU code on a machine with GPUs, without a network, and measures it: writes bench/gpu/NAME.json and NAME.md.
# usage: scripts/gpu_check.sh [--build DIR] [--ranks N] [--model FOLDER] [--seconds N] [--name NAME] [--out DIR] [--tiny]
#   --build DIR     a build with COHORT_CUDA=ON that is there already; default: makes build-cuda
#   --ranks N       1, 2, ... N ranks, a GPU each; default: as many as there are GPUs, up to 8
#   --model FOLDER  a Hugging Face folder to measure beside the shapes of Qwen2.5-0.5B and Llama-3.2-1B with random weights, e.g. SmolLM2-135M
#   --seconds N     for all of it without the build, default 600: each part has a limit, and what there is no time for is listed
#   --name NAME     of the result; default: the GPU's name
#   --out DIR       of the result; default: bench/gpu
#   --tiny          small measurements: to try this script, also on a build with COHORT_CUDA=emulated
# Checks: every op against the CPU and against the emulator's results, the model's log-probs at sampling against the trainer's,
# compute-sanitizer where it is installed, a GRPO run whose bits must be equal twice, with activations reused or not, on 1 to N
# ranks and across a kill. Exit code 1 when one fails. Measures: kernels as shares of the device's limits, sampling and update,
# run.numerics strict against fast, transformers beside it where it can use the GPU (PYTHON).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build="" ranks="" tiny=0 name="" model="" budget=600 out=bench/gpu
while (( $# > 0 )); do
  case $1 in
    --build | --ranks | --name | --model | --seconds | --out) (( $# > 1 )) || { echo "gpu_check: $1 wants a value" >&2; exit 2; } ;;&
    --build) build=$2; shift 2 ;;
    --ranks) ranks=$2; shift 2 ;;
    --name) name=$2; shift 2 ;;
    --model) model=$2; shift 2 ;;
    --seconds) budget=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --tiny) tiny=1; shift ;;
    *) echo "gpu_check: '$1' is unknown; allowed: --build, --ranks, --model, --seconds, --name, --out, --tiny" >&2; exit 2 ;;
  esac
done
for number in "${ranks:-1}" "$budget"; do
  [[ $number =~ ^[0-9]+$ ]] || { echo "gpu_check: '$number' is no whole number (--ranks, --seconds)" >&2; exit 2; }
done
[[ -z $model || -f $model/config.json ]] || { echo "gpu_check: --model $model: there is no $model/config.json" >&2; exit 2; }
if [[ $(id -u) -eq 0 ]]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$SECONDS failed=0 rows=() facts=() missed=()

note() { echo "gpu_check: $*" >&2; }
# result NAME pass|fail|skipped TEXT
result() {
  rows+=("$1|$2|${3//|/ }")
  [[ $2 == fail ]] && failed=1
  note "$2: $1: $3"
}
fact() {
  facts+=("$1|${2//|/ }")
  note "$1: $2"
}
left_out() {
  missed+=("$1|${2//|/ }")
  note "left out: $1: $2"
}
left() { echo $(( budget - (SECONDS - started) )); }
# within SECONDS COMMAND...: ends with 124 when it took longer than that, or than what is left.
within() {
  local limit=$1 rest
  shift
  (( tiny )) && limit=$(( 5 * limit ))  # the emulator's, on a busy machine
  rest=$(left)
  (( rest < limit )) && limit=$rest
  (( limit > 0 )) || return 124
  timeout -k 5 "$limit" "$@"
}
# over WHAT CODE: whether a command that ended so ran out of time, which is then listed.
over() {
  [[ $2 == 124 || $2 == 137 ]] && left_out "$1" "no time left, $(( SECONDS - started )) s after the start"
}
last_words() { tail -n 3 "$@" 2>/dev/null | tr '\n' ' '; }

if [[ -z $build ]]; then
  build=build-cuda
  # For the GPUs that are here: a quarter of the time.
  kinds=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -u | sed 's/\.//; s/$/-real/' | paste -sd ';' -)
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCOHORT_CUDA=ON ${kinds:+"-DCMAKE_CUDA_ARCHITECTURES=$kinds"} >"$work/cmake.txt" 2>&1 &&
    cmake --build "$build" --target cohort test_gpu gpu_kernels random_model >"$work/build.txt" 2>&1 ||
    { tail -n 20 "$work"/cmake.txt "$work"/build.txt >&2; note "the build failed"; exit 1; }
fi
started=$SECONDS
cohort=$build/cohort kernels=$build/gpu_kernels
[[ -x $kernels ]] || kernels=$build/gpu_kernels_emulated
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
not_here='GpuMatmul.StrictNever*:GpuMatmul.ALibraryWhose*:GpuMatmul.*Refus*:GpuMatmul.*Fail*'
# checked NAME LIMIT LOG COMMAND...: its result, TEXT being what passed() prints
checked() {
  local what=$1 limit=$2 log=$3 code
  shift 3
  within "$limit" "$@" >"$log" 2>&1
  code=$?
  if (( code == 0 )); then
    result "$what" pass "$(passed "$log")"
  else
    over "$what" $code || result "$what" fail "$(grep -hE '^\[  FAILED  \]|^DIFFERS|ERROR SUMMARY' "$log" | sort -u | head -5 | tr '\n' ' ') $(tail -n 1 "$log")"
  fi
}
if [[ -x $build/tests/gpu/test_gpu ]]; then
  passed() { echo "$(grep -c '^\[       OK' "$1") tests"; }
  checked "ops and model against the CPU" 150 "$work/tests.txt" "$build/tests/gpu/test_gpu" --gtest_filter="-$not_here"
else
  result "ops and model against the CPU" skipped "no test_gpu in $build"
fi
if [[ -x $kernels ]]; then
  passed() { tail -n 1 "$1"; }
  checked "ops against the emulator" 30 "$work/compare.txt" "$kernels" --compare tests/emulated/op_results.json
else
  result "ops against the emulator" skipped "no gpu_kernels in $build"
fi
for tool in memcheck racecheck; do
  if command -v compute-sanitizer >/dev/null && [[ -x $build/tests/gpu/test_gpu ]]; then
    passed() { echo "small cases"; }
    checked "compute-sanitizer $tool" 60 "$work/$tool.txt" compute-sanitizer --tool "$tool" --error-exitcode 9 "$build/tests/gpu/test_gpu" \
      --gtest_filter='GpuTransformer.AForked*:GpuUpdate.AdamW*:GpuNorm*:GpuRope*:GpuTensorAttention.Every*'
  else
    result "compute-sanitizer $tool" skipped "not installed"
  fi
done

# --- a GRPO run: the same bits twice, on each number of ranks, and across a kill
steps=12 warm_steps=20
(( tiny )) && steps=3 warm_steps=2
cat >"$work/run.yaml" <<YAML
run: {name: run, dir: $work/runs, device: cuda, threads: 2}
model:
  init: {hidden_size: 64, intermediate_size: 128, num_layers: 2, num_heads: 4, num_kv_heads: 2, max_positions: 64}
  dtype: bfloat16
data:
  task: {name: reverse, seed: 1, train_size: 8, eval_size: 4}
  max_prompt_length: 32
reward: [{name: similarity}]
rollout: {num_generations: 4, max_completion_length: 8}
optim: {learning_rate: 1.0e-3}
trainer: {max_steps: $steps, prompts_per_step: 4, logical_ranks: 8, save_steps: 2, warm_start: {steps: $warm_steps, problems_per_step: 8, learning_rate: 3.0e-3}}
YAML
train() { within 60 "$cohort" train "$work/run.yaml" --quiet "$@" >"$work/out.txt" 2>"$work/err.txt"; }
same() { "$cohort" compare "$work/runs/first" "$work/runs/$1" >"$work/compare.txt" 2>&1 && grep -q '^identical: ' "$work/compare.txt"; }
# Weights that nothing changed have equal bits too.
learns() { grep -q '"grad_norm":[0-9.e+-]*[1-9]' "$work/runs/first/metrics.jsonl"; }
# compared WHAT RUN CODE: of a run that ended with CODE and must have the bits of the first
compared() {
  if (( $3 == 0 )) && same "$2"; then
    result "$1" pass "equal bits"
  else
    over "$1" "$3" || result "$1" fail "$(last_words "$work/err.txt" "$work/compare.txt")"
  fi
}
train run.name=first
code=$?
if (( code == 0 )) && learns; then
  # The trainer's log-probs must be its own for that: where it reuses the sampler's activations they could not differ.
  train run.name=recomputed trainer.reuse_activations=false
  code=$?
  if (( code == 0 )); then
    differs=$(grep -o '"sampling/sampling_logp_difference/max":[^,}]*' "$work/runs/recomputed/metrics.jsonl" | cut -d: -f2 | sort -u | tr '\n' ' ')
    if [[ $differs == "0.0 " || $differs == "0 " ]]; then
      result "log-probs of sampler and trainer" pass "equal bits in $steps steps"
    else
      result "log-probs of sampler and trainer" fail "largest differences: $differs"
    fi
  fi
  compared "activations reused and recomputed" recomputed $code
  train run.name=again
  compared "same run twice" again $?
  for (( n = 2; n <= ranks; ++n )); do
    within 60 mpirun -n "$n" --bind-to none --oversubscribe "$cohort" train "$work/run.yaml" --quiet run.name="ranks$n" >"$work/out.txt" 2>"$work/err.txt"
    compared "$n ranks" "ranks$n" $?
  done
  "$cohort" train "$work/run.yaml" --quiet run.name=killed >"$work/killed.txt" 2>&1 &  # itself, no shell around it: it is killed
  child=$!
  for (( i = 0; i < 3000; ++i )); do
    [[ -d $work/runs/killed/checkpoints/step_2 ]] && break
    kill -0 $child 2>/dev/null || break
    sleep 0.02
  done
  kill -9 $child 2>/dev/null
  wait $child 2>/dev/null
  if [[ -d $work/runs/killed/final ]]; then
    result "kill and resume" skipped "the run ended before it could be killed"
  else
    train run.name=killed
    compared "kill and resume" killed $?
  fi
else
  over "a GRPO run" $code || result "a GRPO run" fail "no gradient, or $(last_words "$work/err.txt")"
fi

# --- kernels as shares of what this device can do
if [[ -x $kernels ]]; then
  options=(--seconds "$(( tiny ? 400 : 80 ))" --markdown "$work/kernels.md")
  if (( tiny )); then
    options+=(--small)
  else
    options+=(--shape qwen2.5-0.5b --shape llama-3.2-1b)
    [[ -n $model ]] && options+=(--shape "$model")
  fi
  within 100 "$kernels" "${options[@]}" >"$work/kernels.jsonl" 2>"$work/err.txt"
  code=$?
  if (( code == 0 )); then
    fact "kernels measured" "$(grep -c '"share":' "$work/kernels.jsonl")"
    fact "kernels below 70 % of their bound" "$(grep -c '"below":true' "$work/kernels.jsonl")"
    # Sums of the kernels of a step, with the products that each of run.numerics chooses.
    while read -r sum; do
      value() { grep -o "\"$1\":\"\?[^,\"}]*" <<<"$sum" | sed 's/.*[":]//'; }
      fact "$(value shape), $(value step): kernels, us (bound $(value bound_us | cut -c1-8)); strict over fast" \
        "$(awk -v s="$(value us)" -v f="$(value us_fast)" 'BEGIN { printf "%.0f; %.3f", s, s / f }')"
    done < <(grep '"launches":' "$work/kernels.jsonl")
    ops_left_out=$(grep -c '"left_out":' "$work/kernels.jsonl")
    (( ops_left_out > 0 )) && left_out "$ops_left_out kernels" "$(grep -o '"left_out":"[^"]*"' "$work/kernels.jsonl" | head -1 | cut -d: -f2- | tr -d '"')"
  else
    over "kernel speeds" $code || result "kernel speeds" fail "$(last_words "$work/err.txt")"
  fi
fi

# --- whole runs: sampling and update, strict and fast; and the peers on the same model
if (( tiny )); then
  shapes=(tiny) sequences=4 length=8
else
  shapes=(qwen2.5-0.5b llama-3.2-1b) sequences=256 length=512
  [[ -n $model ]] && shapes+=("$model")
fi
# Scores that differ within a group, so that every completion is trained on, whatever random weights write.
cat >"$work/score.sh" <<'BASH'
echo '{"ready": 1}'
pattern='"id": ?([0-9]+)'
while read -r request; do
  [[ $request =~ $pattern ]] && echo "{\"id\": ${BASH_REMATCH[1]}, \"score\": $((BASH_REMATCH[1] % 2))}"
done
BASH
python=${PYTHON:-python3}
peers=1
"$python" -c 'import torch, transformers; assert torch.cuda.is_available()' >/dev/null 2>&1 || peers=0
(( peers )) || result "transformers on the same GPU" skipped "$python has no torch and transformers that can use it"
# run_speed NAME MODEL OVERRIDES...: tokens/s of its second step as rollout and update
run_speed() {
  local run=$1 folder=$2
  shift 2
  cat >"$work/speed.yaml" <<YAML
run: {name: $run, dir: $work/runs, device: cuda, resume: never}
model: {path: $folder, dtype: bfloat16}
data: {task: {name: addition, seed: 1, train_size: 64, eval_size: 1}, max_prompt_length: 64}
reward: [{name: command, command: [bash, $work/score.sh]}]
rollout: {num_generations: 8, max_completion_length: $length, min_completion_length: $length, max_num_seqs: $sequences}
trainer: {max_steps: 2, prompts_per_step: $((sequences / 4)), logical_ranks: 1, skip_zero_advantage: false, eval_before: false}
YAML
  "${launcher[@]}" "$cohort" train "$work/speed.yaml" --quiet "$@" >"$work/out.txt" 2>"$work/err.txt"
}
# last RUN NAME: of the run's last step
last() { tail -n 1 "$work/runs/$1/metrics.jsonl" | grep -o "\"$2\":[0-9.e+-]*" | cut -d: -f2; }
tell_speed() {
  fact "$2: rollout tokens/s ($sequences x $length)" "$(last "$1" perf/rollout_tokens_per_s)"
  fact "$2: update tokens/s" "$(last "$1" perf/update_tokens_per_s)"
  [[ $(last "$1" perf/update_tokens_per_s) == 0.0 ]] && result "$2: update" fail "no completion was trained on"
}
# speed WHAT RUN OVERRIDES...: of $folder; a failure is told
speed() {
  local what=$1 run=$2 code
  shift 2
  launcher=(within 70)
  [[ $run == ranks ]] && launcher+=(mpirun -n "$ranks" --bind-to none --oversubscribe)
  run_speed "$run" "$folder" "$@"
  code=$?
  (( code == 0 )) && { tell_speed "$run" "$what"; return 0; }
  if (( code == 6 )); then left_out "$what" "$(last_words "$work/err.txt")"; else over "$what" $code || result "$what" fail "$(last_words "$work/err.txt")"; fi
  return 1
}
for shape in "${shapes[@]}"; do
  folder=$shape
  if [[ ! -d $shape ]]; then
    folder=$work/models/$shape
    if [[ ! -x $build/random_model ]]; then left_out "$shape" "no random_model in $build"; continue; fi
    within 60 "$build/random_model" "$shape" "$folder" 2>"$work/err.txt"
    code=$?
    (( code == 0 )) || { over "$shape" $code || result "$shape" fail "$(last_words "$work/err.txt")"; continue; }
  fi
  short=$(basename "$shape")
  if speed "$short" strict run.numerics=strict; then
    if [[ $shape == "${shapes[0]}" ]] && speed "$short, run.numerics: fast" fast run.numerics=fast; then
      for part in rollout update; do
        fact "$short: $part, time of strict over fast" \
          "$(awk -v s="$(last strict timing_s/$part)" -v f="$(last fast timing_s/$part)" 'BEGIN { if (s > 0 && f > 0) printf "%.3f", s / f; else print "not timed" }')"
      done
    fi
    if (( ranks > 1 )) && [[ $shape == "${shapes[0]}" ]] && speed "$short on $ranks GPUs" ranks trainer.logical_ranks=8; then
      fact "$short on $ranks GPUs: seconds of a step between them (gradients and weights)" "$(last ranks timing_s/comm)"
    fi
    if (( peers )); then
      within 60 "$python" bench/peers/gpu_transformers.py "$folder" --sequences "$sequences" --new "$length" --seconds 20 >"$work/peers.txt" 2>"$work/err.txt"
      code=$?
      if (( code == 0 )); then
        while IFS='|' read -r what value; do fact "$short, transformers: $what" "$value"; done <"$work/peers.txt"
      else
        over "$short, transformers" $code || left_out "$short, transformers" "$(last_words "$work/err.txt")"
      fi
    fi
  fi
  [[ -d $shape ]] || rm -rf "$folder"
done
for item in "${missed[@]}"; do note "left out: ${item%%|*}: ${item#*|}"; done
fact "seconds of this check" "$(( SECONDS - started ))"

# --- what was found, for people and for programs
[[ -n $name ]] || name=$(sed 's/,.*//; s/[^A-Za-z0-9]\+/-/g' <<<"$gpu")
mkdir -p "$out"
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
  if (( ${#missed[@]} > 0 )); then
    echo
    echo "| left out | why |"
    echo "|---|---|"
    for row in "${missed[@]}"; do IFS='|' read -r a b <<<"$row"; echo "| $a | $b |"; done
  fi
  if [[ -s $work/kernels.md ]]; then
    echo
    echo "## Kernels"
    echo
    echo "Medians; the bounds are those of docs/gpu_roofline.md with this device's limits. **below**: less than 70 % of its bound."
    echo
    cat "$work/kernels.md"
  fi
} >"$out/$name.md"
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
  echo '}, "left_out": ['
  for (( i = 0; i < ${#missed[@]}; ++i )); do
    IFS='|' read -r a b <<<"${missed[i]}"
    printf '  {"name": %s, "why": %s}%s\n' "$(json_string "$a")" "$(json_string "$b")" "$( (( i + 1 < ${#missed[@]} )) && echo ,)"
  done
  echo '], "kernels": ['
  [[ -s $work/kernels.jsonl ]] && sed '$!s/$/,/; s/^/  /' "$work/kernels.jsonl"
  echo ']}'
} >"$out/$name.json"
note "written: $out/$name.md and .json"
exit $failed

#!/usr/bin/env python3
"""A GRPO step of cohort and of TRL, in turn: 4 prompts x 8 completions of at most 64 tokens, bf16, every group trained on.

    python bench/peers/grpo_step.py COHORT MODEL_DIR [ROUNDS=1] [TRL_MODE...]      (STEPS=6, THREADS=2; all modes of trl_grpo.py;
        SETTINGS="trainer.gradient_checkpointing=true ...": more of cohort's)

Each round runs STEPS steps of TRL and twice as many of cohort, in turn, cohort after every mode of TRL; the first step of a run is not counted
(allocation and warm-up), nor are steps of cohort in which no group at all has a signal, as it then has nothing to update. Lengths are drawn by each sampler, so that ratios are of the time for each completion token.

The update's bound: 3 x the flops of a forward pass over the rows that must run (a group's prompt once, its completions without their
last token; the head for each completion token; attention for each key a row sees), at the bound of bf16 products.
"""

import json
import os
import pathlib
import random
import statistics
import sys
import tempfile

import runs
from trl_grpo import MODES

HERE = pathlib.Path(__file__).resolve().parent
STEPS, THREADS = int(os.environ.get("STEPS", 6)), int(os.environ.get("THREADS", 2))
PROMPTS, GENERATIONS, LENGTH = 4, 8, 64


def write_problems(file):
    """Those that the config's built-in task would give."""
    rng = random.Random(0)
    with open(file, "w", encoding="utf-8") as out:
        for _ in range(64):
            a, b = rng.randint(1, 99), rng.randint(1, 99)
            text = f"State the final answer to the following arithmetic problem: {a} + {b} ="
            out.write(json.dumps({"prompt": [{"role": "user", "content": text}], "answer": str(a + b)}) + "\n")


def run_cohort(cohort, model, data, work, seed, shapes):
    """Steps that count: seconds, of rollout, of update, tokens, GB, flops of the update."""
    runs.run([cohort, "train", HERE.parent.parent / "configs" / "smollm2-arithmetic.yaml", "--quiet", f"model.path={model}",
              f"run.dir={work}", "run.resume=never", f"run.seed={seed}", f"run.threads={THREADS}", "data.task=null", f"data.train={data}",
              # a reward that is spread in every group, so that every step has something to update
              "reward=[{name: soft_overlong, max_length: 64, buffer: 64}]",
              f"trainer.prompts_per_step={PROMPTS}", f"rollout.num_generations={GENERATIONS}", f"rollout.max_completion_length={LENGTH}",
              "trainer.skip_zero_advantage=false", "trainer.eval_before=false", "trainer.eval_steps=0", "trainer.save_steps=0",
              f"trainer.max_steps={2 * STEPS}", "log.completions_steps=1", *os.environ.get("SETTINGS", "").split()], {"OMP_NUM_THREADS": "1"})
    folder, steps, before = work / "smollm2-arithmetic", [], 0
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        m = json.loads(line)
        texts = (folder / "completions" / f"step_{m['step']}.jsonl").read_text().splitlines()
        lengths = [len(json.loads(text)["ids"]) for text in texts]
        groups = [lengths[g * GENERATIONS:(g + 1) * GENERATIONS] for g in range(PROMPTS)]
        prompt = (m["num_tokens"] - before - sum(lengths)) / len(lengths)  # the mean: problems differ by a token or two
        before = m["num_tokens"]
        if m["step"] == 1 or m["perf/update_tokens_per_s"] == 0:
            continue
        steps.append((m["timing_s/step"], m["timing_s/rollout"], m["timing_s/update"], sum(lengths), m["perf/peak_memory_gb"],
                      shapes.training_flops([prompt] * PROMPTS, groups)))
    return steps


def run_trl(mode, model, data, seed):
    _, out, _ = runs.run([sys.executable, HERE / "trl_grpo.py", model, "--steps", STEPS, "--mode", mode, "--data", data, "--seed", seed,
                          "--prompts", PROMPTS, "--num-generations", GENERATIONS, "--max-completion-length", LENGTH, "--threads", THREADS])
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    memory = lines[-1]["peak_memory_gb"] * 2**30 / 1e9
    return [(s["seconds"], s["generation_seconds"], s["seconds"] - s["generation_seconds"], s["tokens"], memory, None)
            for s in lines if "step" in s][1:]


def main():
    runs.need(len(sys.argv) >= 3, __doc__)
    cohort, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    rounds, modes = int(sys.argv[3]) if len(sys.argv) > 3 else 1, sys.argv[4:] or list(MODES)
    for mode in modes:
        runs.need(mode in MODES, f"grpo_step: found the mode '{mode}'; allowed: {', '.join(MODES)}")
    shapes, machine, got = runs.Model(model), runs.Machine(cohort, THREADS), {"cohort": []}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        data = work / "sums.jsonl"
        write_problems(data)
        for seed in range(1, rounds + 1):
            for mode in modes:
                machine.measure()
                steps = {"TRL " + mode: run_trl(mode, model, data, seed),
                         "cohort": run_cohort(cohort, model, data, work / f"{mode}_{seed}", seed, shapes)}
                for name, measured in steps.items():
                    got.setdefault(name, []).extend(measured)
                    print(f"round {seed}: {name}: {', '.join(f'{s[0]:.2f}' for s in measured)} s a step", flush=True)
    for name, steps in got.items():
        runs.need(steps, f"grpo_step: no step of {name} can be counted; more STEPS or ROUNDS are needed")

    def median(name, figure):
        return statistics.median(figure(step) for step in got[name])

    columns = {  # of one step
        "s/step": (lambda s: s[0], "{:.2f}"), "tokens": (lambda s: s[3], "{:.0f}"),
        "generation tok/s": (lambda s: s[3] / s[1], "{:.0f}"), "update tok/s": (lambda s: s[3] / s[2], "{:.0f}"),
        "ms/token": (lambda s: 1000 * s[0] / s[3], "{:.2f}"), "peak GB": (lambda s: s[4], "{:.2f}")}
    rows = [[name, len(got[name])] + [text.format(median(name, figure)) for figure, text in columns.values()] for name in got]
    print(f"\nA GRPO step, {PROMPTS} prompts x {GENERATIONS} completions of at most {LENGTH} tokens, {THREADS} threads, medians over steps")
    print(runs.table(["", "steps"] + list(columns), rows))
    ratios = []
    for name in got:
        if name != "cohort":
            better = {c: median("cohort", columns[c][0]) / median(name, columns[c][0]) for c in columns}
            ratios.append([name, f"{1 / better['ms/token']:.1f}", f"{better['generation tok/s']:.1f}", f"{better['update tok/s']:.1f}",
                           f"{1 / better['peak GB']:.1f}"])
    print("\ncohort is so many times better:")
    print(runs.table(["than", "step, for each token", "generation", "update", "memory"], ratios))
    print(machine.text())
    bound = machine.median("bf16_bound_gflops")
    if bound:
        share = median("cohort", lambda s: s[5] / s[2]) / (bound * 1e9)
        limit = median("cohort", lambda s: s[3] / s[5]) * bound * 1e9
        print(f"cohort's update runs at {100 * share:.0f} % of the bound, {limit:.0f} tok/s (3 x forward, attention included, each prompt once)")


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as error:
        sys.exit(f"grpo_step: {error}")

#!/usr/bin/env python3
"""Decoding of cohort and of llama.cpp, in turn: the same model, prompts' lengths, new tokens and threads.

    python bench/peers/decode.py COHORT MODEL_DIR [ROUNDS=5] [BATCH[@CONTEXT]...]      (default batches: 1 32 64 128)

A BATCH is so many sequences of one prompt (PROMPT=48 tokens) and NEW=64 new tokens each; BATCH@CONTEXT gives each sequence its own
prompt of CONTEXT - NEW_LONG / 2 tokens and decodes NEW_LONG=64 tokens around that context. Tokens/s count what the passes after the prompt's give: of N
new tokens N - 1, for both. GGUF=FILE: a BF16 GGUF of the model, else one is made. THREADS=2.
"""

import json
import os
import pathlib
import statistics
import sys
import tempfile

import runs

HERE = pathlib.Path(__file__).resolve().parent
PROMPT, NEW, NEW_LONG, THREADS = (int(os.environ.get(name, value)) for name, value in
                                  (("PROMPT", 48), ("NEW", 64), ("NEW_LONG", 64), ("THREADS", 2)))
STRIDE = 7919  # as in llama_decode.py


class Case:
    def __init__(self, text):
        batch, _, context = text.partition("@")
        self.name, self.batch, self.distinct = text, int(batch), bool(context)
        self.new = NEW_LONG if context else NEW
        self.prompt = int(context) - self.new // 2 if context else PROMPT

    def prompts(self, vocabulary):
        count = self.batch if self.distinct else 1
        return [[(s * 131 + i * STRIDE) % (vocabulary - 1000) + 500 for i in range(self.prompt)] for s in range(count)]


def cohort_decode(cohort, model, case, work):
    vocabulary = json.loads((pathlib.Path(model) / "config.json").read_text())["vocab_size"]
    prompts = work / f"prompts_{case.name}.jsonl"
    prompts.write_text("".join(json.dumps({"ids": p}) + "\n" for p in case.prompts(vocabulary)))
    each = 1 if case.distinct else case.batch
    _, memory, _, err = runs.run_with_memory(
        [cohort, "generate", model, "--input", prompts, "--output", work / "out.jsonl", "--num-generations", each,
         "--max-num-seqs", case.batch, "--max-completion-length", case.new, "--min-completion-length", case.new,
         "--threads", THREADS, "--stats"], {"OMP_NUM_THREADS": "1"})
    # cohort counts the first token, whose row belongs to the prompt's pass.
    return runs.stat("decode", err) * (case.new - 1) / case.new, memory


def llama_decode(gguf, case, chosen):
    """`chosen`: the layouts found fastest in the first round, so that later rounds need no trial."""
    command = [sys.executable, HERE / "llama_decode.py", gguf, "--batch", case.batch, "--prompt-length", case.prompt,
               "--new-tokens", case.new, "--threads", THREADS] + (["--distinct", "--trial-steps", 2] if case.distinct else [])
    if case.name in chosen:
        command += chosen[case.name]
    got = json.loads(runs.run(command, {"OMP_NUM_THREADS": str(THREADS)})[1])
    chosen[case.name] = ["--unified", "on" if got["unified"] else "off", "--flash", "on" if got["flash"] else "off"]
    return got


def main():
    runs.need(len(sys.argv) >= 3, __doc__)
    cohort, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    cases = [Case(text) for text in sys.argv[4:] or ["1", "32", "64", "128"]]
    shapes, machine = runs.Model(model), runs.Machine(cohort, THREADS, sorted({case.batch for case in cases}))
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        gguf = os.environ.get("GGUF")
        if not gguf:
            gguf = work / "model.gguf"
            runs.run([sys.executable, HERE / "to_gguf.py", model, gguf])
        ours, theirs, memories, chosen = {}, {}, {}, {}
        for number in range(rounds):
            machine.measure()
            for case in cases:
                rate, memory = cohort_decode(cohort, model, case, work)
                got = llama_decode(gguf, case, chosen)
                ours.setdefault(case.name, []).append(rate)
                theirs.setdefault(case.name, []).append(got)
                memories.setdefault(case.name, []).append(memory)
                print(f"round {number + 1}, {case.name}: cohort {rate:.0f} tok/s, llama.cpp {got['tokens_per_s']:.0f} tok/s", flush=True)
    rows = []
    bound = machine.median("bf16_bound_gflops")
    limit = shapes.decode_bound(bound) if bound else None
    for case in cases:
        rate = statistics.median(ours[case.name])
        llama = statistics.median(g["tokens_per_s"] for g in theirs[case.name])
        forward = statistics.median(g["forward_tokens_per_s"] for g in theirs[case.name])
        ratio = statistics.median(o / g["tokens_per_s"] for o, g in zip(ours[case.name], theirs[case.name]))
        way = theirs[case.name][0]
        own_bound = machine.median(f"onednn_bf16_gflops_{case.batch}")
        own_limit = shapes.decode_bound(own_bound) if own_bound else None
        rows.append([case.name, f"{rate:.0f}", f"{llama:.0f}", f"{ratio:.2f}", f"{rate / forward:.2f}",
                     f"{100 * rate / limit:.0f} %" if limit else "-",
                     f"{100 * rate / own_limit:.0f} %" if own_limit else "-", f"{statistics.median(memories[case.name]):.2f}",
                     f"{statistics.median(g['peak_memory_gb'] for g in theirs[case.name]):.2f}",
                     f"{'unified' if way['unified'] else 'split'}, flash {'on' if way['flash'] else 'off'}"])
    print(f"\nDecode, {THREADS} threads, medians of {rounds} rounds; llama.cpp of llama-cpp-python {way['version']} ({way['system']})")
    print(runs.table(["sequences", "cohort tok/s", "llama.cpp tok/s", "ratio", "ratio without its sampling", "share of the bound", "of as many rows",
                      "cohort GB", "llama.cpp GB", "llama.cpp's fastest layout"], rows))
    print(machine.text())
    if limit:
        print(f"decode bound: {bound:.0f} GFLOP/s / {shapes.forward * 1e-9:.4f} GFLOP a token = {limit:.0f} tok/s")


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as error:
        sys.exit(f"decode: {error}")

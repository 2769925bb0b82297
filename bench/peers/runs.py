"""What the peers' scripts share: whole processes run and measured, the machine's bound, a model's work for each token, tables."""

import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import time


class Failed(Exception):
    pass


def run(command, env=None):
    """Runs a process to its end: seconds, peak memory in GB, standard output and standard error. Failed when it fails."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **(env or {})})
    out, err = process.communicate()
    seconds = time.perf_counter() - start
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n  ended with code {process.returncode}: {err.strip()[-2000:]}")
    return seconds, out, err


def run_with_memory(command, env=None):
    """As run, in a child of its own, so that the peak memory is this process's alone: seconds, GB, output, error."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            seconds, out, err = run(command, env)
            answer = {"seconds": seconds, "out": out, "err": err,
                      "gb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20}
        except Exception as error:  # told to the parent, which stops
            answer = {"failed": str(error)}
        with os.fdopen(write, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    if "failed" in answer:
        raise Failed(answer["failed"])
    return answer["seconds"], answer["gb"], answer["out"], answer["err"]


def stat(name, text):
    """NAME NUMBER tok/s of `cohort generate --stats`."""
    found = re.search(rf"^{name} ([\d.]+) tok/s", text, re.MULTILINE)
    if not found:
        raise Failed(f"cohort printed no '{name} N tok/s'; --stats gave: {text.strip()[-500:]}")
    return float(found[1])


class Model:
    """The floating point operations that a model's shapes ask for; attention itself is left out, as it grows with the context."""

    def __init__(self, folder):
        c = json.loads((pathlib.Path(folder) / "config.json").read_text(encoding="utf-8"))
        hidden, heads = c["hidden_size"], c["num_attention_heads"]
        kv_heads, size = c.get("num_key_value_heads") or heads, c.get("head_dim") or hidden // heads
        layer = hidden * (heads + 2 * kv_heads) * size + heads * size * hidden + 3 * hidden * c["intermediate_size"]
        self.layers, self.attention_width = c["num_hidden_layers"], heads * size
        self.body = 2 * self.layers * layer         # of one token without the head
        self.head = 2 * hidden * c["vocab_size"]
        self.forward = self.body + self.head

    def decode_bound(self, gflops):
        """Tokens/s: GFLOP/s over the GFLOP of a token."""
        return gflops * 1e9 / self.forward

    def training_flops(self, prompts, completions):
        """3 x forward: every row of a pack passes the body and (those that predict a completion's token) the head, forward and twice
        as much backward; attention is 2 products of its width with each key before, forward. A shared prompt is one set of rows.
        prompts: lengths, one a group; completions: the lengths of each group's completions."""
        flops = 0.0
        for prompt, lengths in zip(prompts, completions):
            rows = prompt + sum(max(0, n - 1) for n in lengths)  # the last token of a completion predicts nothing
            keys = prompt * (prompt + 1) / 2 + sum((n - 1) * prompt + n * (n - 1) / 2 for n in lengths if n > 0)
            flops += rows * self.body + sum(lengths) * self.head + 4 * self.layers * self.attention_width * keys
        return 3 * flops


class Machine:
    """Measured once a round, so that it sees the same machine as the contenders."""

    def __init__(self, cohort, threads, rows=()):
        self.command = [pathlib.Path(cohort).parent / "bench" / "machine_bound", f"--threads={threads}"] + [f"--rows={r}" for r in rows]
        self.rounds = []
        if not self.command[0].exists():
            print(f"no {self.command[0]}: shares of the bound are left out (configure with -DCOHORT_BENCH=ON and build machine_bound)",
                  file=sys.stderr)

    def measure(self):
        if self.command[0].exists():
            self.rounds.append(json.loads(run(self.command, {"OMP_NUM_THREADS": self.command[1].split("=")[1]})[1]))

    def median(self, name):
        values = [r[name] for r in self.rounds if r.get(name) is not None]
        return statistics.median(values) if values else None

    def text(self):
        if not self.rounds:
            return "bound: not measured"
        gemm = self.median("onednn_bf16_gflops")
        product = f"oneDNN's bf16 product {gemm:.0f} GFLOP/s" if gemm else "no oneDNN (libdnnl-dev): the loop's peak is the bound"
        return (f"bound: {product}; a loop of multiply-adds ({self.rounds[0]['instructions']}) {self.median('bf16_peak_gflops'):.0f} GFLOP/s; "
                f"memory {self.median('copy_gb_s'):.1f} GB/s copying, {self.median('read_gb_s'):.1f} GB/s reading (medians)")


def need(condition, message):
    if not condition:
        sys.exit(message)


def table(head, rows):
    """A Markdown table, columns padded."""
    cells = [[str(c) for c in row] for row in [head] + rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)

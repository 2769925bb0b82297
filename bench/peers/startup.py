#!/usr/bin/env python3
"""Start-up: from exec to the first sampled token, in turn: cohort, llama.cpp and transformers, each a whole process.

    python bench/peers/startup.py COHORT MODEL_DIR [ROUNDS=5]      (GGUF=FILE: a BF16 GGUF of the model, else one is made)

Each process ends after one token, so its seconds are those to the token and a little more. llama.cpp's are given also without
the interpreter that calls it (from its first call to the token).
"""

import os
import pathlib
import statistics
import sys
import tempfile

import runs

HERE = pathlib.Path(__file__).resolve().parent
TRANSFORMERS = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto")
print(tokenizer.decode(model.generate(**tokenizer("Hi", return_tensors="pt"), max_new_tokens=1, do_sample=True)[0]))
"""


def main():
    runs.need(len(sys.argv) >= 3, __doc__)
    cohort, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    with tempfile.TemporaryDirectory() as folder:
        gguf = os.environ.get("GGUF")
        if not gguf:
            gguf = pathlib.Path(folder) / "model.gguf"
            runs.run([sys.executable, HERE / "to_gguf.py", model, gguf])
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
        contenders = {
            "cohort": [cohort, "generate", model, "--prompt", "Hi", "--max-completion-length", 1],
            "llama.cpp": [sys.executable, HERE / "llama_decode.py", gguf, "--first-token"],
            "transformers": [sys.executable, "-c", TRANSFORMERS, model],
        }
        for command in contenders.values():  # files into the page cache
            runs.run(command, offline)
        seconds, inner = {}, []
        for _ in range(rounds):
            for name, command in contenders.items():
                took, out, _ = runs.run(command, offline)
                seconds.setdefault(name, []).append(took)
                if name == "llama.cpp":
                    inner.append(float(out))
    seconds["llama.cpp without Python"] = inner
    first = statistics.median(seconds["cohort"])
    print(f"Start-up, exec to the end after one token, medians of {rounds}, files in the page cache")
    print(runs.table(["", "seconds", "times cohort's"], [[name, f"{statistics.median(s):.2f}", f"{statistics.median(s) / first:.1f}"]
                                                         for name, s in seconds.items()]))


if __name__ == "__main__":
    try:
        main()
    except runs.Failed as error:
        sys.exit(f"startup: {error}")

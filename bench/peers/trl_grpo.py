#!/usr/bin/env python3
"""TRL's GRPOTrainer on the work of configs/smollm2-arithmetic.yaml, timed: what cohort's step is measured against.

    python bench/peers/trl_grpo.py MODEL_DIR --steps 5 [--mode bf16 | default | float32] [--data FILE.jsonl]

4 prompts x 8 completions a step of at most 64 tokens, temperature 1, lr 1e-5 constant, AdamW, clipping at 1, beta 0, loss_type
dapo, reward = the last number is the answer, 2 threads, generation by transformers (no vLLM).

--mode  bf16     bf16 weights, no autocast, no gradient checkpointing: what the work needs, and no more
        default  what TRL does unless told otherwise: float32 weights, bf16 autocast, gradient checkpointing
        float32  float32 weights and arithmetic, no gradient checkpointing
        autocast float32 weights, bf16 autocast, no gradient checkpointing
--data  {"prompt": text or messages, "answer"} a line, for the same problems as another program; else sums drawn by --seed.

One JSON line a step on standard output: {"step", "seconds", "generation_seconds" (within seconds), "cpu_seconds" (of all threads),
"tokens" (generated, the stop token counted), "longest" (of the step's completions: so many decoding steps), "reward", "loss", "grad_norm"}, and at the end {"mode", "steps",
"seconds_per_step_mean", "seconds_per_step_median" (both without the first step when there are more), "tokens_per_step",
"peak_memory_gb" (of the process), versions}.
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import statistics
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

MODES = {  # weights, autocast, gradient checkpointing
    "bf16": ("bfloat16", False, False),
    "default": ("float32", True, True),
    "float32": ("float32", False, False),
    "autocast": ("float32", True, False),
}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--mode", choices=MODES, default="bf16")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--num-generations", type=int, default=8)
    parser.add_argument("--max-completion-length", type=int, default=64)
    parser.add_argument("--micro-batch", type=int, default=0, help="completions in one training pass; 0: all")
    parser.add_argument("--learning-rate", type=float, default=1e-5)
    parser.add_argument("--loss-type", default="dapo")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--data")
    return parser.parse_args()


def make_problems(args):
    if args.data:
        with open(args.data, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file if line.strip()]
        for row in rows:
            if isinstance(row["prompt"], str):
                row["prompt"] = [{"role": "user", "content": row["prompt"]}]
        return [{"prompt": row["prompt"], "answer": str(row["answer"])} for row in rows]
    rng, problems = random.Random(args.seed), []
    for _ in range(args.steps * args.prompts):
        a, b = rng.randint(1, 99), rng.randint(1, 99)
        text = f"State the final answer to the following arithmetic problem: {a} + {b} ="
        problems.append({"prompt": [{"role": "user", "content": text}], "answer": str(a + b)})
    return problems


def last_number(completions, answer, **_):
    scores = []
    for completion, right in zip(completions, answer):
        numbers = NUMBER.findall(completion[0]["content"].replace(",", ""))
        scores.append(float(bool(numbers) and float(numbers[-1]) == float(right)))
    return scores


def main():
    args = parse_arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch
    import transformers
    import trl
    from datasets import Dataset

    torch.set_num_threads(args.threads)
    weights, autocast, checkpointing = MODES[args.mode]
    completions = args.prompts * args.num_generations
    micro_batch = args.micro_batch or completions
    assert completions % micro_batch == 0, "--micro-batch must divide prompts x generations"

    transformers.utils.logging.disable_progress_bar()
    output_dir = tempfile.mkdtemp()  # the trainer makes one, though nothing is saved
    config = trl.GRPOConfig(
        output_dir=output_dir, save_strategy="no", report_to="none", use_cpu=True, disable_tqdm=True, seed=args.seed,
        logging_steps=1, logging_strategy="steps", max_steps=args.steps, model_init_kwargs={"dtype": weights},
        bf16=autocast, gradient_checkpointing=checkpointing, per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=completions // micro_batch, num_generations=args.num_generations,
        max_completion_length=args.max_completion_length, temperature=1.0, learning_rate=args.learning_rate,
        lr_scheduler_type="constant", beta=0.0, loss_type=args.loss_type, use_vllm=False)

    class StepClock(transformers.TrainerCallback):
        """Times a step from its prompts to the updated weights; the log that follows it has the other figures."""

        def __init__(self):
            self.start, self.cpu_start, self.cpu_seconds, self.generation, self.seconds, self.tokens = 0.0, 0.0, 0.0, 0.0, [], []

        def on_step_begin(self, *_, **__):
            self.start, self.cpu_start, self.generation = time.perf_counter(), time.process_time(), 0.0

        def on_step_end(self, *_, **__):
            self.seconds.append(time.perf_counter() - self.start)
            self.cpu_seconds = time.process_time() - self.cpu_start

        def on_log(self, _, state, control, logs=None, **__):
            if "completions/mean_length" not in logs:
                return
            self.tokens.append(round(logs["completions/mean_length"] * completions))
            print(json.dumps({
                "step": state.global_step, "seconds": round(self.seconds[-1], 3),
                "generation_seconds": round(self.generation, 3), "cpu_seconds": round(self.cpu_seconds, 3), "tokens": self.tokens[-1],
                "longest": int(logs["completions/max_length"]), "reward": logs["reward"], "loss": logs["loss"],
                "grad_norm": logs["grad_norm"]}), flush=True)

    class TimedTrainer(trl.GRPOTrainer):
        def _generate(self, *args, **kwargs):
            start = time.perf_counter()
            result = super()._generate(*args, **kwargs)
            clock.generation += time.perf_counter() - start
            return result

    clock = StepClock()
    trainer = TimedTrainer(model=args.model, reward_funcs=last_number, args=config, callbacks=[clock],
                              train_dataset=Dataset.from_list(make_problems(args)))
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    shutil.rmtree(output_dir)

    steady = clock.seconds[1:] or clock.seconds
    print(json.dumps({
        "mode": args.mode, "steps": len(clock.seconds), "weights": str(next(trainer.model.parameters()).dtype),
        "seconds_per_step_mean": round(statistics.mean(steady), 3),
        "seconds_per_step_median": round(statistics.median(steady), 3),
        "tokens_per_step": round(statistics.mean(clock.tokens), 1), "threads": torch.get_num_threads(),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, trl)}}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Generation and update by transformers on a GPU: one model folder, random tokens, what scripts/gpu_check.sh sets beside cohort's.

    python bench/peers/gpu_transformers.py MODEL_DIR [--sequences 256] [--new 512] [--prompt 64] [--seconds 20] [--device cuda]

The model is made of MODEL_DIR/config.json with random weights in bf16; nothing is downloaded. Generation: model.generate, sampling at
temperature 1, a batch of all sequences, no stop tokens. Update: -log-prob of each new token times a weight, forward and backward, in
batches of 8 sequences of prompt + new tokens, one at first that does not count; without the optimizer. Prints lines "WHAT|VALUE".
"""

import argparse
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def generate(model, arguments, device):
    """Tokens/s; at most about `seconds` of it."""
    vocabulary = model.config.vocab_size
    prompts = torch.randint(vocabulary, (arguments.sequences, arguments.prompt), device=device)
    settings = dict(attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0, top_p=1.0, eos_token_id=None, pad_token_id=0)
    model.generate(prompts, max_new_tokens=min(4, arguments.new), **settings)  # warm-up
    synchronize(device)
    start = time.perf_counter()
    out = model.generate(prompts, max_new_tokens=arguments.new, max_time=arguments.seconds, **settings)
    synchronize(device)
    seconds = time.perf_counter() - start
    new = out.shape[1] - arguments.prompt
    return arguments.sequences * new / seconds, new


def update(model, arguments, device):
    """New tokens/s of forward and backward."""
    batch = min(8, arguments.sequences)
    tokens = torch.randint(model.config.vocab_size, (batch, arguments.prompt + arguments.new), device=device)
    weights = torch.randn(batch, 1, device=device)

    def step():
        logits = model(tokens[:, :-1], use_cache=False, logits_to_keep=arguments.new).logits.float()
        logprobs = -torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, -arguments.new:].flatten(), reduction="none")
        (-(logprobs.view(batch, -1) * weights).mean()).backward()
        model.zero_grad(set_to_none=True)
        synchronize(device)

    step()
    start, steps = time.perf_counter(), 0
    while steps == 0 or (steps < 20 and time.perf_counter() - start < arguments.seconds / 2):
        step()
        steps += 1
    return steps * batch * arguments.new / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--sequences", type=int, default=256)
    parser.add_argument("--new", type=int, default=512)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    config = transformers.AutoConfig.from_pretrained(arguments.model)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(arguments.device):
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    model.generation_config.eos_token_id = None
    torch.set_default_dtype(torch.float32)
    print(f"version|{transformers.__version__} on torch {torch.__version__}")
    with torch.no_grad():
        rate, new = generate(model, arguments, arguments.device)
    print(f"generation tokens/s ({arguments.sequences} x {new})|{rate:.1f}", flush=True)
    try:
        print(f"forward and backward tokens/s|{update(model.train(), arguments, arguments.device):.1f}")
    except torch.cuda.OutOfMemoryError:
        print("forward and backward tokens/s|out of memory")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Gradients of the mean negative log-likelihood of one short text, as torch's autograd computes them in float32.

    python gradients.py MODEL_DIR --output gradients.json [--text TEXT] [--full gradients.safetensors]

{"ids", "loss", "parameters": {NAME: {"shape", "norm", "sum", "max_abs", "max_abs_index", "indices": [...],
"values": [...]}}}: loss is the mean over ids[1..] of -log p(ids[i] | ids[0..i)), no dropout; NAME is the checkpoint's own
(a tied head is part of model.embed_tokens.weight); indices are flat, row major, evenly spread with the ends; norms and sums
are taken in float64. --full also writes every gradient.
"""

import argparse
import json

import common
import torch
from safetensors.torch import save_file

TEXT = "<|im_start|>user\nState the final answer: 67 + 75 =<|im_end|>\n<|im_start|>assistant\n142<|im_end|>\n"
VALUES = 8


def describe(gradient):
    flat = gradient.flatten().double()
    indices = sorted({round(i * (flat.numel() - 1) / (VALUES - 1)) for i in range(VALUES)})
    largest = flat.abs().argmax().item()
    return {"shape": list(gradient.shape), "norm": flat.norm().item(), "sum": flat.sum().item(),
            "max_abs": flat[largest].abs().item(), "max_abs_index": largest,
            "indices": indices, "values": [flat[i].item() for i in indices]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--output", required=True)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--full")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    model, tokenizer = common.load_model(args.model, args.threads), common.load_tokenizer(args.model)
    ids = tokenizer(args.text)["input_ids"]
    logits = model(torch.tensor([ids])).logits[0, :-1]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]))
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    total = torch.stack([g.double().norm() for g in gradients.values()]).norm().item()
    with open(args.output, "w", encoding="utf-8") as file:
        json.dump({"text": args.text, "ids": ids, "loss": loss.item(), "norm": total,
                   "parameters": {name: describe(g) for name, g in gradients.items()}}, file, indent=1)
        file.write("\n")
    if args.full:
        save_file(gradients, args.full)
    print(f"{len(ids)} tokens, loss {loss.item():.6f}, gradient norm {total:.6f}, {len(gradients)} parameters")


if __name__ == "__main__":
    main()

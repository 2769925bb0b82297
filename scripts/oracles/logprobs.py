#!/usr/bin/env python3
"""Per-token log-probabilities as transformers computes them, in the format of `cohort logprobs`.

    python logprobs.py MODEL_DIR --input FILE.jsonl [--output FILE.jsonl] [--temperature 1.0]

A line in: {"ids"}, {"text"} or {"messages"}. A line out: {"ids", "logprobs": [null, ...], "entropy": [null, ...]}, in
nats; entry i is of the distribution that predicts ids[i] from ids[0..i). float32 from the checkpoint's weights, eager
attention; the softmax in float64, so that the oracle's own rounding stays in the logits.
"""

import argparse

import common
import torch


@torch.no_grad()
def score(model, ids, temperature):
    if len(ids) == 1:
        return {"ids": ids, "logprobs": [None], "entropy": [None]}
    logits = model(torch.tensor([ids])).logits[0, :-1]
    log_softmax = (logits.double() / temperature).log_softmax(-1)
    logprobs = log_softmax.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    entropy = -(log_softmax.exp() * log_softmax).sum(-1)
    return {"ids": ids, "logprobs": [None] + logprobs.tolist(), "entropy": [None] + entropy.tolist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--input", default="-")
    parser.add_argument("--output", default="-")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    model, tokenizer = common.load_model(args.model, args.threads), common.load_tokenizer(args.model)
    records = common.read_jsonl(args.input)
    common.write_jsonl(args.output, [
        score(model, common.record_ids(record, tokenizer, add_generation_prompt=False), args.temperature)
        for record in records])


if __name__ == "__main__":
    main()

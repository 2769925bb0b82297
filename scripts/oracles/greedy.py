#!/usr/bin/env python3
"""Greedy continuations as transformers computes them, in the format of `cohort generate --temperature 0`.

    python greedy.py MODEL_DIR --input FILE.jsonl [--output FILE.jsonl] [--max-completion-length 48]

A line in: {"ids"}, {"messages"} or {"prompt"}; a line out: the same and {"completions": [{"text", "ids", "logprobs",
"finish_reason", "gaps"}]}. The stop token is part of the completion. gaps: by how many nats the chosen token beats the
second one; where another implementation chooses differently, a gap of about its rounding error makes that a tie.
"""

import argparse

import common
import torch
import transformers


@torch.no_grad()
def continue_greedily(model, ids, limit, stop_tokens):
    tokens, logprobs, gaps, cache = [], [], [], transformers.DynamicCache()
    step = torch.tensor([ids])
    while len(tokens) < limit:
        logits = model(step, past_key_values=cache, use_cache=True).logits[0, -1].double()
        best = logits.topk(2)
        tokens.append(best.indices[0].item())
        logprobs.append((best.values[0] - logits.logsumexp(0)).item())
        gaps.append((best.values[0] - best.values[1]).item())
        if tokens[-1] in stop_tokens:
            return tokens, logprobs, gaps, "stop"
        step = torch.tensor([tokens[-1:]])
    return tokens, logprobs, gaps, "length"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--input", default="-")
    parser.add_argument("--output", default="-")
    parser.add_argument("--max-completion-length", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    model, tokenizer = common.load_model(args.model, args.threads), common.load_tokenizer(args.model)
    eos = model.generation_config.eos_token_id
    stop_tokens = {tokenizer.eos_token_id, *(eos if isinstance(eos, list) else [eos])}
    answers = []
    for record in common.read_jsonl(args.input):
        ids = common.record_ids(record, tokenizer, add_generation_prompt=True)
        tokens, logprobs, gaps, reason = continue_greedily(model, ids, args.max_completion_length, stop_tokens)
        answers.append({**record, "completions": [{
            "text": tokenizer.decode(tokens, skip_special_tokens=True), "ids": tokens, "logprobs": logprobs,
            "finish_reason": reason, "gaps": gaps}]})
    common.write_jsonl(args.output, answers)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares cohort with transformers on a checkpoint of every family, through the commands a user has.

    python3 scripts/goldens/make_family_goldens.py --large MODELS
    python3 scripts/oracles/compare_families.py build/cohort MODELS [NAME ...]

For each checkpoint: `cohort logprobs` in float32 within 1e-4 of eager float32, and in bf16 no further from it (mean absolute
error) than 1.1 times transformers' own bf16; `cohort generate --temperature 0` equal to 64 greedy tokens; and the folder
that `cohort import` writes is loaded by transformers with every weight and every log-prob bit for bit as before. A
classifier's scores likewise. Exit code 1 where anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import common  # noqa: F401  (quiet, offline)
import torch
import transformers

TEXTS, TOKENS, PROMPT, GREEDY = 8, 200, 40, 64


def auto(name):
    return transformers.AutoModelForSequenceClassification if name.endswith("_score") else transformers.AutoModelForCausalLM


def load(path, name, dtype):
    return auto(name).from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()


def answers(model, name, texts):
    """Log-probs of each text's tokens but the first, or its score."""
    found = []
    for ids in texts:
        logits = model(torch.tensor([ids])).logits[0].float()
        if name.endswith("_score"):
            found.append(logits[:1])
        else:
            found.append(torch.log_softmax(logits, -1)[:-1].gather(-1, torch.tensor(ids)[1:, None])[:, 0])
    return torch.cat(found)


def greedy(model, prompt):
    ids, lead = list(prompt), float("inf")
    for _ in range(GREEDY):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        lead = min(lead, (top.values[0] - top.values[1]).item())
        ids.append(top.indices[0].item())
    return ids[len(prompt):], lead


def run(cohort, command, model, records, *options):
    lines = "".join(json.dumps(r) + "\n" for r in records)
    done = subprocess.run([cohort, command, str(model), "--input", "-", *options], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command} {model}: exit code {done.returncode}\n{done.stderr}{done.stdout[:500]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def cohort_answers(cohort, name, path, texts, dtype):
    records = run(cohort, "logprobs", path, [{"ids": ids} for ids in texts], "--dtype", dtype)
    if name.endswith("_score"):
        return torch.tensor([r["score"] for r in records])
    return torch.tensor([x for r in records for x in r["logprobs"][1:]])


def compare(cohort, path):
    name, failures = path.name, []
    rng = torch.Generator().manual_seed(5)
    model = load(path, name, torch.float32)
    texts = [torch.randint(4, model.config.vocab_size, (TOKENS + 7 * i,), generator=rng).tolist() for i in range(TEXTS)]

    truth = answers(model, name, texts)
    difference = (cohort_answers(cohort, name, path, texts, "float32") - truth).abs().max().item()
    if not difference <= 1e-4:
        failures.append("log-probs")
    ours = (cohort_answers(cohort, name, path, texts, "bfloat16") - truth).abs().mean().item()
    theirs = (answers(load(path, name, torch.bfloat16), name, texts) - truth).abs().mean().item()
    if not ours <= 1.1 * theirs:
        failures.append("bf16")

    equal = total = 0
    if not name.endswith("_score"):
        prompts = [t[:PROMPT] for t in texts]
        records = run(cohort, "generate", path, [{"ids": p} for p in prompts], "--dtype", "float32", "--temperature", "0",
                      "--max-completion-length", str(GREEDY), "--min-completion-length", str(GREEDY))
        stop = model.config.eos_token_id
        stop = set(stop if isinstance(stop, list) else [stop])
        for prompt, record in zip(prompts, records):
            expected, lead = greedy(model, prompt)
            if lead < 1e-4 or stop & set(expected):
                continue  # a near tie, or the end of the text: either is right
            total += 1
            equal += record["completions"][0]["ids"] == expected
        if equal != total or total == 0:
            failures.append("greedy")

    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        subprocess.run([cohort, "import", str(path), str(out)], check=True, capture_output=True)
        before, after = auto(name).from_pretrained(path), auto(name).from_pretrained(out)
        old, new = before.state_dict(), after.state_dict()
        same = old.keys() == new.keys() and all(
            old[k].dtype == new[k].dtype and torch.equal(old[k].view(torch.uint8), new[k].view(torch.uint8)) for k in old)
        if not same or not torch.equal(answers(before, name, texts[:3]), answers(after, name, texts[:3])):
            failures.append("round trip")
        kept = (path / "config.json").read_bytes() == (out / "config.json").read_bytes()
        if not kept:
            failures.append("config.json")
    print(f"{name:18} {str(before.dtype)[6:]:9} max |log-prob difference| {difference:.1e}   bf16 error {ours:.2e} / {theirs:.2e}"
          f" = {ours / theirs:.2f}   greedy {equal} of {total}   {'FAILED: ' + ', '.join(failures) if failures else 'ok'}",
          flush=True)
    return not failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort")
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        results = [compare(args.cohort, path) for path in sorted(args.models.iterdir())
                   if not args.names or path.name in args.names]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()

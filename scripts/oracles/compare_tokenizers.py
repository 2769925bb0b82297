#!/usr/bin/env python3
"""Compares `cohort tokenize` with the `tokenizers` package: every id and every decode must be equal.

    python3 scripts/oracles/compare_tokenizers.py COHORT [--count 5000] [--seed 1] [--long 100000] [KIND or MODEL_DIR ...]

A KIND is one of scripts/goldens/tokenizer_kinds.py (default: all), a MODEL_DIR a folder with a tokenizer.json. Each gets
`count` varied strings, the strings of the goldens and runs of `long` characters; ids with and without the tokens that the
post-processor adds, decodes with and without special tokens. Prints a line for each; exit code 1 when anything differs.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "goldens"))

from tokenizers import Tokenizer

from tokenizer_kinds import KINDS, decode_cases, make_kind
from tokenizer_texts import long_texts, make_texts, varied_texts


def answers(cohort, folder, records, *flags):
    lines = "".join(json.dumps(r) + "\n" for r in records)
    done = subprocess.run([cohort, "tokenize", str(folder), *flags], input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{folder}: exit code {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def differences(name, expected, got, shown):
    wrong = [i for i, (e, g) in enumerate(zip(expected, got, strict=True)) if e != g]
    for i in wrong[:3]:
        print(f"  {name}: {shown[i]!r:.200}\n    expected {str(expected[i])[:300]}\n    got      {str(got[i])[:300]}")
    return len(wrong)


def compare(cohort, folder, texts):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation(), tokenizer.no_padding()
    wrong = 0
    records = [{"text": text} for text in texts]
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    wrong += differences("ids", encoded, [a["ids"] for a in answers(cohort, folder, records)], texts)
    few = texts[:500]
    wrong += differences("ids with special tokens", [tokenizer.encode(text).ids for text in few],
                         [a["ids"] for a in answers(cohort, folder, records[:500], "--add-special-tokens")], few)
    cases = list(decode_cases(tokenizer, encoded, len(texts))) + encoded
    known = tokenizer.get_vocab_size()
    cases = [[i for i in ids if i < known] for ids in cases]
    records = [{"ids": ids} for ids in cases]
    for skip in (False, True):
        got = answers(cohort, folder, records, "--decode", *(["--skip-special-tokens"] if skip else []))
        wrong += differences(f"decode, skip {skip}", [tokenizer.decode(ids, skip_special_tokens=skip) for ids in cases],
                             [a["text"] for a in got], cases)
    return wrong, len(cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort")
    parser.add_argument("kinds", nargs="*", default=KINDS)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--long", type=int, default=100000)
    options = parser.parse_args()
    texts = list(varied_texts(options.count, options.seed)) + make_texts() + list(long_texts(options.long))
    failed = False
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(kind)
            if kind in KINDS:
                folder = pathlib.Path(temporary)
                (folder / "tokenizer.json").write_text(json.dumps(make_kind(kind)))
            wrong, decodes = compare(options.cohort, folder, texts)
        print(f"{kind}: {len(texts)} strings, 2 x {decodes} decodes, {wrong} differences", flush=True)
        failed |= wrong > 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

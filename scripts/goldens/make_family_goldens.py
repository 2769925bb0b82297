#!/usr/bin/env python3
"""Writes what tests/model/family_golden_test.cpp expects of each model family; transformers is the oracle.

    python3 -m venv venv && venv/bin/pip install -r bench/peers/requirements.txt
    venv/bin/python scripts/goldens/make_family_goldens.py tests/golden/families [NAME ...]

For each family a tiny random checkpoint as transformers saves it (model.safetensors in bf16, config.json), and beside it
  config_v4.json          the same model in the key names of transformers 4
  golden.json             {"ids", "logprobs", "logprobs_bf16", "prompt", "greedy"}: log-probs of ids[1..] computed in float32
                          with eager attention, the same with the model in bf16, 64 greedy tokens after the prompt (float32);
                          for a classifier {"texts", "scores", "scores_bf16"}
  gradients.safetensors   float32 gradients of the mean negative log-likelihood of ids
Without NAME all of them. --large OUT makes one bigger checkpoint of each kind (float32 and sharded among them) for
scripts/oracles/compare_families.py.
"""

import argparse
import json
import os
import pathlib
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import transformers
from safetensors.torch import save_file

TOKENS, PROMPT, GREEDY = 56, 12, 64
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=16, max_position_embeddings=128, bos_token_id=1, eos_token_id=2)
LARGE = dict(vocab_size=1024, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=6,
             num_key_value_heads=2, head_dim=64, max_position_embeddings=512, bos_token_id=1, eos_token_id=2)


def rope(theta=10000.0, **scaling):
    return {"rope_theta": theta, "rope_type": "default", **scaling}


LLAMA3 = rope(5000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
GEMMA = dict(query_pre_attn_scalar=24, sliding_window=9)

# name -> (model_type, keys that differ from SIZES)
FAMILIES = {
    "llama2": ("llama", dict(num_key_value_heads=None, rope_parameters=rope(), tie_word_embeddings=False, rms_norm_eps=1e-5)),
    "llama3": ("llama", dict(rope_parameters=LLAMA3, tie_word_embeddings=True, rms_norm_eps=1e-5,
                             eos_token_id=[2, 3])),
    "llama_linear_bias": ("llama", dict(rope_parameters=rope(rope_type="linear", factor=4.0), attention_bias=True)),
    "mistral": ("mistral", dict(sliding_window=None, rope_parameters=rope(1e6))),
    "mistral_window": ("mistral", dict(sliding_window=11, rope_parameters=rope())),
    "qwen2": ("qwen2", dict(rope_parameters=rope(1e6), tie_word_embeddings=True)),
    "qwen2_window": ("qwen2", dict(rope_parameters=rope(1e6), use_sliding_window=True, sliding_window=7,
                                   max_window_layers=1)),
    "qwen3": ("qwen3", dict(rope_parameters=rope(1e6), tie_word_embeddings=True)),
    "gemma": ("gemma", dict(rope_parameters=rope())),
    "gemma2": ("gemma2", dict(rope_parameters=rope(), num_hidden_layers=3, attn_logit_softcapping=5.0,
                              final_logit_softcapping=8.0, **GEMMA)),
    "gemma3": ("gemma3_text", dict(rope_parameters={"full_attention": rope(1e6, rope_type="linear", factor=8.0),
                                                    "sliding_attention": rope(1e4)},
                                   num_hidden_layers=3, sliding_window_pattern=2,
                                   layer_types=["sliding_attention", "full_attention", "sliding_attention"], **GEMMA)),
    "llama_score": ("llama", dict(rope_parameters=rope(), num_labels=1, pad_token_id=0)),
    "qwen2_score": ("qwen2", dict(rope_parameters=rope(1e6), num_labels=1, pad_token_id=0)),
    "gemma2_score": ("gemma2", dict(rope_parameters=rope(), num_labels=1, pad_token_id=0, **GEMMA)),
}


def auto(name):
    return transformers.AutoModelForSequenceClassification if name.endswith("_score") else transformers.AutoModelForCausalLM


def make_model(name, sizes, seed):
    model_type, keys = FAMILIES[name]
    keys = {**sizes, **keys}
    if "layer_types" in keys:
        layers, pattern = keys["num_hidden_layers"], keys.get("sliding_window_pattern", 2)
        keys["layer_types"] = ["full_attention" if (i + 1) % pattern == 0 else "sliding_attention" for i in range(layers)]
    config = transformers.AutoConfig.for_model(model_type, **keys)
    torch.manual_seed(seed)
    model = auto(name).from_config(config, attn_implementation="eager")
    unit_offset = model_type.startswith("gemma")
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if parameter_name.endswith("norm.weight"):
                parameter.copy_(0.3 * torch.randn_like(parameter) + (0.0 if unit_offset else 1.0))
            elif parameter_name.endswith(".bias"):
                parameter.copy_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (1.3 / parameter.shape[-1]**0.5))
    return model


def old_dialect(config):
    """The same config in transformers 4's words."""
    old = dict(config)
    old["torch_dtype"] = old.pop("dtype")
    old["transformers_version"] = "4.44.0"
    parameters = old.pop("rope_parameters", None)
    if parameters and "full_attention" in parameters:
        old["rope_local_base_freq"] = parameters["sliding_attention"]["rope_theta"]
        parameters = parameters["full_attention"]
    if parameters:
        old["rope_theta"] = parameters["rope_theta"]
        scaling = {k: v for k, v in parameters.items() if k != "rope_theta"}
        old["rope_scaling"] = None if scaling["rope_type"] == "default" else scaling
        if scaling["rope_type"] == "linear" and "rope_local_base_freq" not in old:
            old["rope_scaling"] = {"type": "linear", "factor": scaling["factor"]}
    old.pop("layer_types", None)
    if old["model_type"] == "gemma3_text":
        old["sliding_window_pattern"] = 2
    return old


def logprobs(model, ids):
    logits = model(torch.tensor([ids])).logits[0].float()
    return torch.log_softmax(logits, -1)[:-1].gather(-1, torch.tensor(ids)[1:, None])[:, 0]


def greedy(model, prompt, count):
    """Tokens, and the smallest lead of a winner over the second."""
    ids, least = list(prompt), float("inf")
    for _ in range(count):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        least = min(least, (top.values[0] - top.values[1]).item())
        ids.append(top.indices[0].item())
    return ids[len(prompt):], least


def load(path, name, dtype):
    model = auto(name).from_pretrained(path, dtype=dtype, attn_implementation="eager")
    return model.eval()


def make_golden(root, name):
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    # A seed whose greedy path has no near ties, so that rounding cannot turn it.
    for seed in range(100):
        model = make_model(name, SIZES, seed)
        model.to(torch.bfloat16).save_pretrained(out)
        model = load(out, name, torch.float32)
        rng = torch.Generator().manual_seed(seed)
        ids = torch.randint(4, SIZES["vocab_size"], (TOKENS,), generator=rng).tolist()
        if name.endswith("_score"):
            break
        with torch.no_grad():
            tokens, lead = greedy(model, ids[:PROMPT], GREEDY)
        if lead > 2e-3:
            break
    for extra in ("generation_config.json",):
        (out / extra).unlink(missing_ok=True)
    half = load(out, name, torch.bfloat16)
    if name.endswith("_score"):
        texts = [ids[:n] for n in (1, 2, 9, 17, 33, TOKENS)] + [ids[:20] + [0, 0, 0]]
        with torch.no_grad():
            golden = {"texts": texts,
                      "scores": [model(torch.tensor([t])).logits[0, 0].item() for t in texts],
                      "scores_bf16": [half(torch.tensor([t])).logits[0, 0].float().item() for t in texts]}
    else:
        loss = torch.nn.functional.cross_entropy(model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]))
        loss.backward()
        save_file({n: p.grad.contiguous() for n, p in model.named_parameters()}, out / "gradients.safetensors")
        with torch.no_grad():
            golden = {"ids": ids, "logprobs": logprobs(model, ids).tolist(), "logprobs_bf16": logprobs(half, ids).tolist(),
                      "prompt": ids[:PROMPT], "greedy": tokens, "least_lead": lead}
    config = json.loads((out / "config.json").read_text())
    (out / "config_v4.json").write_text(json.dumps(old_dialect(config), indent=2, sort_keys=True) + "\n")
    (out / "golden.json").write_text(json.dumps(golden) + "\n")
    size = sum(f.stat().st_size for f in out.iterdir())
    print(f"{name}: seed {seed}, {sum(p.numel() for p in model.parameters())} parameters, {size} bytes")


def make_large(root, name, index):
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    model = make_model(name, LARGE, 1000 + index)
    dtype = (torch.float32, torch.bfloat16, torch.float16)[index % 3]
    model.to(dtype).save_pretrained(out, max_shard_size="1MB" if index % 2 else "5GB")
    text = pathlib.Path(__file__).parents[2] / "tests/golden/text/small_tokenizer.json"
    shutil.copy(text, out / "tokenizer.json")
    print(f"{name}: {dtype}, {len(list(out.glob('*.safetensors')))} files")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    args.out.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(FAMILIES):
        if args.names and name not in args.names:
            continue
        if args.large:
            make_large(args.out, name, index)
        else:
            make_golden(args.out, name)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Writes what tests/model/adapter_folder_test.cpp expects of LoRA adapters; peft is the oracle.

    python3 -m venv venv && venv/bin/pip install -r bench/peers/requirements.txt peft==0.21.2
    venv/bin/python scripts/goldens/make_lora_goldens.py tests/golden/lora

Adapters of the tiny models in tests/golden/families, as PeftModel.save_pretrained writes them, with random A and B, and beside each
  golden.json             {"ids", "logprobs"}: log-probs of ids[1..] of base and adapter, computed in float32
  gradients.safetensors   gradients of A and B of the mean negative log-likelihood of ids, by their names in the adapter's file:
                          computed in float64, stored in float32
"""

import argparse
import json
import os
import pathlib
import shutil

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

TOKENS = 40
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# name -> (base, LoraConfig)
ADAPTERS = {
    "all": ("llama3", dict(r=4, lora_alpha=8, target_modules=ALL)),
    "rslora": ("qwen3", dict(r=3, lora_alpha=2, target_modules=["q_proj", "v_proj"], use_rslora=True)),
    "layers": ("gemma2", dict(r=2, lora_alpha=4, target_modules=["o_proj", "up_proj", "down_proj"], layers_to_transform=[0, 2])),
}


def adapted(base, config, dtype):
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=dtype, attn_implementation="eager")
    return peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **config)).eval()


def nll(model, ids):
    logits = model(torch.tensor([ids])).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")


def make(families, root, name, seed):
    base, config = ADAPTERS[name]
    out = root / name
    shutil.rmtree(out, ignore_errors=True)
    torch.manual_seed(seed)
    model = adapted(families / base, config, torch.float32)
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
    model.peft_config["default"].base_model_name_or_path = os.path.relpath(families / base, out)
    model.save_pretrained(out)
    (out / "README.md").unlink(missing_ok=True)
    ids = torch.randint(3, model.config.vocab_size, (TOKENS,)).tolist()
    with torch.no_grad():
        logprobs = (-nll(model, ids)).tolist()
    (out / "golden.json").write_text(json.dumps({"ids": ids, "logprobs": logprobs}) + "\n", encoding="utf-8")

    exact = adapted(families / base, config, torch.float64)
    stored = load_file(out / "adapter_model.safetensors")
    peft.set_peft_model_state_dict(exact, stored)
    nll(exact, ids).mean().backward()
    gradients = {}
    for parameter_name, parameter in exact.named_parameters():
        if "lora_" in parameter_name:
            gradients[parameter_name.replace(".default.", ".")] = parameter.grad.float().contiguous()
    assert gradients.keys() == stored.keys()
    save_file(gradients, out / "gradients.safetensors")
    print(name, {"tensors": len(stored), "nll": -sum(logprobs) / len(logprobs)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    families = args.out.parent / "families"
    for seed, name in enumerate(ADAPTERS):
        make(families, args.out, name, seed)


if __name__ == "__main__":
    main()

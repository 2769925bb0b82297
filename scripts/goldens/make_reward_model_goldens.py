#!/usr/bin/env python3
"""Writes what the tests of reward models and of their training expect; transformers, TRL and torch are the oracle.

    python3 -m venv venv && venv/bin/pip install torch transformers trl safetensors
    venv/bin/python scripts/goldens/make_reward_model_goldens.py tests/golden

reward_model/llama, reward_model/qwen2: tiny random ...ForSequenceClassification folders with a tokenizer and a chat template, as
transformers saves them in bfloat16. pad_token_id is a token of its own in the first, and the EOS token in the second. In them
  scores.json   {"rows": [{"prompt", "completion", "ids", "score"}]}: conversations as TRL's apply_chat_template prints them, texts with the
                EOS token behind them as its RewardTrainer writes them; scores in float32, all rows in one batch that is padded right
reward_model/NAME.json, NAME.safetensors for NAME of tests/golden/families, in float64:
  pairs, center_rewards_coefficient    token ids, and margins where there are any
  loss, grad_norm, mean_reward, min_reward, max_reward, accuracy, margin    as TRL's RewardTrainer computes them; and all gradients
"""

import json
import os
import pathlib
import random
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import transformers
from safetensors.torch import save_file
from trl.data_utils import apply_chat_template

SIZES = dict(vocab_size=608, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             head_dim=16, max_position_embeddings=160, num_labels=1, eos_token_id=2)
PADS = {"llama": "<|endoftext|>", "qwen2": "<|im_end|>"}
ROWS = [
    ("What is 3 + 4?", " It is 7."),
    ("What is 3 + 4?", " It is 8, or so it seems to me, unless something else is meant by the sign."),
    ("", "Grüße, こんにちは"),
    ([{"role": "user", "content": "Reverse the word: stone"}], "enots"),
    ([{"role": "user", "content": "Reverse the word: stone"}], "stone"),
    ([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why is the sky blue?"},
      {"role": "assistant", "content": "Light."}, {"role": "user", "content": "More."}], "Blue light is scattered most, as its waves are short."),
    ([{"role": "user", "content": "Hi"}], ""),
]
PAIRS = {"llama_score": dict(margins=True, center=0.01), "qwen2_score": dict(margins=False, center=0.0)}


def make_folder(golden, name):
    out = golden / "reward_model" / name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    shutil.copy(golden / "text/small_tokenizer.json", out / "tokenizer.json")
    template = (golden / "templates/chatml.jinja").read_text()
    (out / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>",
                                                           "pad_token": PADS[name], "chat_template": template}, indent=2) + "\n")
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    config = transformers.AutoConfig.for_model(name, pad_token_id=tokenizer.pad_token_id, **SIZES)
    torch.manual_seed(len(name))
    model = transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            scale = 0.3 if parameter.dim() == 1 else 1.3 / parameter.shape[-1]**0.5
            parameter.copy_(torch.randn_like(parameter) * scale + (1.0 if parameter_name.endswith("norm.weight") else 0.0))
    model.to(torch.bfloat16).save_pretrained(out)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()

    texts = []
    for prompt, completion in ROWS:
        if isinstance(prompt, list):
            messages = prompt + [{"role": "assistant", "content": completion}]
            texts.append(apply_chat_template({"messages": messages}, tokenizer)["text"])
        else:
            texts.append(prompt + completion + tokenizer.eos_token)
    batch = tokenizer(text=texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    with torch.no_grad():
        scores = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
    rows = [{"prompt": prompt, "completion": completion, "ids": ids[mask.bool()].tolist(), "score": score.item()}
            for (prompt, completion), ids, mask, score in zip(ROWS, batch["input_ids"], batch["attention_mask"], scores)]
    (out / "scores.json").write_text(json.dumps({"rows": rows}, ensure_ascii=False) + "\n")
    print(name, [round(row["score"], 3) for row in rows])


def make_pairs(golden, name, margins, center):
    rng = random.Random(name)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(golden / "families" / name, dtype=torch.float64,
                                                                            attn_implementation="eager")
    pairs, chosen, rejected = [], [], []
    for prompt, first, second in [(5, 7, 2), (1, 1, 9), (12, 3, 3), (20, 0, 4), (3, 17, 30)]:
        text = lambda n: [rng.randrange(4, 64) for _ in range(n)]  # no padding among them: torch gives it no gradient
        shared = text(prompt)
        pairs.append({"chosen": shared + text(first), "rejected": shared + text(second)})
        if margins:
            pairs[-1]["margin"] = rng.choice([0.5, -0.25, 1.0])
    for pair in pairs:
        chosen.append(model(torch.tensor([pair["chosen"]])).logits[0, 0])
        rejected.append(model(torch.tensor([pair["rejected"]])).logits[0, 0])
    chosen, rejected = torch.stack(chosen), torch.stack(rejected)
    difference = chosen - rejected
    shift = torch.tensor([pair["margin"] for pair in pairs], dtype=torch.float64) if margins else 0
    loss = -torch.nn.functional.logsigmoid(difference - shift).mean()
    if center:
        loss = loss + center * torch.mean((chosen + rejected) ** 2)
    loss.backward()
    gradients = {n: p.grad for n, p in model.named_parameters()}
    both = torch.cat([chosen, rejected]).detach()
    result = {"pairs": pairs, "center_rewards_coefficient": center, "loss": loss.item(),
              "grad_norm": sum((g ** 2).sum().item() for g in gradients.values()) ** 0.5, "mean_reward": both.mean().item(),
              "min_reward": both.min().item(), "max_reward": both.max().item(),
              "accuracy": (chosen > rejected).double().mean().item(), "margin": difference.mean().item()}
    (golden / "reward_model" / f"{name}.json").write_text(json.dumps(result) + "\n")
    save_file({n: g.float().contiguous() for n, g in gradients.items()}, golden / "reward_model" / f"{name}.safetensors")
    print(name, {k: v for k, v in result.items() if k != "pairs"})


def main():
    golden = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    for name in PADS:
        make_folder(golden, name)
    for name, keys in PAIRS.items():
        make_pairs(golden, name, **keys)


main()

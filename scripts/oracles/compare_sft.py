#!/usr/bin/env python3
"""Compares a step of `cohort sft` with TRL's SFTTrainer: which tokens are learnt, the loss and every gradient, in float32.

    python3 -m venv venv && venv/bin/pip install torch transformers trl datasets
    venv/bin/python scripts/oracles/compare_sft.py build/cohort models/SmolLM2-135M-Instruct

A tiny random model with the tokenizer of the folder; conversations of several turns (assistant_only_loss, with marks that TRL's chat
template needs and cohort does not) and rows of prompt and completion. Exit code 1 when loss or norm differ by more than 1e-6, or the
gradient by more than 4e-6 of its norm.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import datasets
import numpy as np
import torch
import transformers
import trl

TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}"
            "{% else %}{{ m['content'] }}<|im_end|>{% endif %}\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
BETA1 = 0.5


def turn(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    {"messages": [turn("user", "What is 2 + 2?"), turn("assistant", "It is 4.")]},
    {"messages": [turn("system", "Be brief."), turn("user", "Name a colour."), turn("assistant", "Blue."), turn("user", "Another one?"),
                  turn("assistant", "Red, or green; whichever you like better.")]},
    {"messages": [turn("user", "same"), turn("assistant", "same"), turn("user", "same"), turn("assistant", "same")]},
]
PAIRS = [
    {"prompt": "The capital of France is", "completion": " Paris."},
    {"prompt": "1, 2, 3,", "completion": " 4, 5, 6 and so on"},
]


def make_model(folder, tokenizer_of):
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_of)
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(1)
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
                                      num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, initializer_range=0.1,
                                      eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.bos_token_id)
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():  # norms too: no two alike
            parameter.add_(0.01 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def trl_step(folder, rows, work):
    class Recorder(trl.SFTTrainer):
        def training_step(self, model, inputs, num_items_in_batch=None):
            loss = super().training_step(model, inputs, num_items_in_batch)
            self.seen = (loss.item(), int((inputs["labels"] != -100).sum()),
                         {name: p.grad.clone() for name, p in self.accelerator.unwrap_model(model).named_parameters()})
            return loss

    args = trl.SFTConfig(output_dir=str(work / "trl"), max_steps=1, per_device_train_batch_size=len(rows), learning_rate=1e-9, bf16=False, use_cpu=True,
                         assistant_only_loss="messages" in rows[0], max_length=256, report_to=[], gradient_checkpointing=False,
                         model_init_kwargs={"dtype": torch.float32}, disable_tqdm=True)
    trainer = Recorder(model=str(folder), args=args, train_dataset=datasets.Dataset.from_list(rows),
                       processing_class=transformers.AutoTokenizer.from_pretrained(folder))
    trainer.train()
    return trainer.seen


def cohort_step(cohort, folder, rows, work):
    data = work / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = work / "sft.yaml"
    config.write_text(f"""run: {{name: step, dir: {work}, resume: never}}
model: {{path: {folder}, dtype: float32}}
data: {{train: {data}}}
sft: {{examples_per_step: {len(rows)}, max_length: 256}}
optim: {{learning_rate: 1.0e-9, adam_beta1: {BETA1}, max_grad_norm: 0}}
trainer: {{max_steps: 1, save_steps: 1, logical_ranks: 1}}
""")
    subprocess.run([cohort, "sft", config, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    metrics = json.loads((work / "step/metrics.jsonl").read_text().splitlines()[-1])
    masters, moments, _ = np.fromfile(work / "step/checkpoints/step_1/shard_00000.bin", dtype=np.float32).reshape(3, -1)
    return metrics, masters, moments / (1 - BETA1)


def place(masters, weights):
    """Where a parameter lies in the flat table: where its numbers are."""
    for at in np.flatnonzero(np.abs(masters - weights[0]) < 1e-7):
        if np.allclose(masters[at: at + len(weights)], weights, atol=1e-7, rtol=0):
            return at
    raise SystemExit("a parameter is not in the checkpoint")


def main():
    cohort, tokenizer_of = sys.argv[1:3]
    worst = 0.0
    for name, rows in (("conversations", CONVERSATIONS), ("prompt and completion", PAIRS)):
        with tempfile.TemporaryDirectory() as temporary:
            work = pathlib.Path(temporary)
            make_model(work / "model", tokenizer_of)
            weights = {key: p.detach().numpy().ravel() for key, p in transformers.AutoModelForCausalLM.from_pretrained(work / "model").named_parameters()}
            loss, tokens, gradients = trl_step(work / "model", rows, work)
            metrics, masters, ours = cohort_step(cohort, work / "model", rows, work)
            norm = float(torch.sqrt(sum((g.double() ** 2).sum() for g in gradients.values())))
            squares = 0.0
            for key, gradient in gradients.items():
                at = place(masters, weights[key])
                squares += float(((gradient.double().numpy().ravel() - ours[at: at + gradient.numel()]) ** 2).sum())
            difference = squares ** 0.5 / norm
            figures = {"loss": abs(metrics["loss"] - loss) / loss, "grad_norm": abs(metrics["grad_norm"] - norm) / norm, "gradient": difference}
            print(f"{name}: {tokens} tokens, TRL's loss {loss:.7f}, ours {metrics['loss']:.7f}; relative differences {figures}")
            # The gradients of both are float32, 1e-6 from float64 each.
            worst = max(worst, figures["loss"], figures["grad_norm"], figures["gradient"] / 4)
    return 1 if worst > 1e-6 else 0


sys.exit(main())

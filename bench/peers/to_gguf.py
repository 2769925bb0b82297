#!/usr/bin/env python3
"""A Hugging Face folder of the llama architecture as a BF16 GGUF file, for llama.cpp.

    python bench/peers/to_gguf.py MODEL_DIR OUT.gguf

Matrices keep their bf16 bits; gains are float32, as llama.cpp wants them. Rows of q and k are permuted within each head, because
llama.cpp rotates neighbouring dimensions where Hugging Face rotates the two halves of a head. Other architectures are refused.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
import torch
from safetensors import safe_open

BLOCK = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem = name.removesuffix(".weight")
    if stem in TOP:
        return TOP[stem] + ".weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{BLOCK[part]}.weight"


def neighbours(weight, heads):
    """Rows (head, half, i) become (head, i, half)."""
    rows, cols = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, cols).transpose(1, 2).reshape(rows, cols)


def add_vocabulary(writer, folder, config):
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = [f"[PAD{i}]" for i in range(config["vocab_size"])]
    types = [gguf.TokenType.UNUSED] * len(tokens)
    for token, i in tokenizer["model"]["vocab"].items():
        tokens[i], types[i] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["architectures"] != ["LlamaForCausalLM"] or config.get("rope_scaling"):
        sys.exit(f"to_gguf: {folder} is {config['architectures']}; only LlamaForCausalLM without rope_scaling is converted")
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads

    writer = gguf.GGUFWriter(out, "llama")
    writer.add_name(folder.resolve().name)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    add_vocabulary(writer, folder, config)

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():
                if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                    continue
                weight = tensors.get_tensor(name)
                if name.endswith("q_proj.weight"):
                    weight = neighbours(weight, heads)
                elif name.endswith("k_proj.weight"):
                    weight = neighbours(weight, kv_heads)
                if weight.ndim == 1:
                    writer.add_tensor(gguf_name(name), weight.float().numpy())
                else:
                    bits = weight.to(torch.bfloat16).contiguous().view(torch.uint8).numpy()
                    writer.add_tensor(gguf_name(name), np.ascontiguousarray(bits), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()

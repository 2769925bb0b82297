#!/usr/bin/env python3
"""Makes a Hugging Face folder of a llama GGUF file, independently of `cohort import`, to compare with.

    python gguf_to_hf.py MODEL.gguf OUT_DIR [--check-transformers]

Weights come from gguf's own dequantizer, renamed and with the rows of q and k put back into Hugging Face's order, then
rounded to bf16 (nearest, ties to even). --check-transformers loads the same file with transformers' own GGUF reader and
insists on equal bits, so that two independent readings stand behind the folder.
The tokenizer is built from the vocabulary and merges with the steps that SmolLM2's tokenizer.json has.
"""

import argparse
import json
import pathlib

import common
import gguf
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, PreTrainedTokenizerFast

LAYER_NAMES = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
             "output.weight": "lm_head.weight"}


def hf_name(name):
    if name in TOP_NAMES:
        return TOP_NAMES[name]
    block, layer, part, kind = name.split(".")
    assert block == "blk" and kind == "weight", name
    return f"model.layers.{layer}.{LAYER_NAMES[part]}.weight"


def unpermute(weight, heads):
    """llama.cpp's rotary embedding pairs neighbouring rows (2i, 2i + 1) of a head, Hugging Face's pairs (i, i + D/2)."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def read_tensors(reader, config):
    tensors = {}
    for tensor in reader.tensors:
        weight = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy()).float()
        if ".attn_q." in tensor.name:
            weight = unpermute(weight, config.num_attention_heads)
        elif ".attn_k." in tensor.name:
            weight = unpermute(weight, config.num_key_value_heads)
        tensors[hf_name(tensor.name)] = weight.to(torch.bfloat16).contiguous()
    return tensors


def make_config(fields, tied):
    value = lambda key: fields[key].contents()
    hidden, heads = value("llama.embedding_length"), value("llama.attention.head_count")
    assert value("llama.rope.dimension_count") == hidden // heads
    return LlamaConfig(
        architectures=["LlamaForCausalLM"], vocab_size=value("llama.vocab_size"), hidden_size=hidden,
        intermediate_size=value("llama.feed_forward_length"), num_hidden_layers=value("llama.block_count"),
        num_attention_heads=heads, num_key_value_heads=value("llama.attention.head_count_kv"),
        max_position_embeddings=value("llama.context_length"),
        # A float32 in the file; 9.999999747378752e-06 stands for 1e-05.
        rms_norm_eps=float(f"{value('llama.attention.layer_norm_rms_epsilon'):.7g}"),
        rope_parameters={"rope_type": "default", "rope_theta": float(value("llama.rope.freq_base"))},
        tie_word_embeddings=tied, bos_token_id=value("tokenizer.ggml.bos_token_id"),
        eos_token_id=value("tokenizer.ggml.eos_token_id"), pad_token_id=value("tokenizer.ggml.padding_token_id"),
        dtype=torch.bfloat16)


def make_tokenizer(fields):
    value = lambda key: fields[key].contents()
    assert value("tokenizer.ggml.model") == "gpt2" and value("tokenizer.ggml.pre") == "smollm"
    tokens, types = value("tokenizer.ggml.tokens"), value("tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ")) for merge in value("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False)
               for token, kind in zip(tokens, types) if kind == int(gguf.TokenType.CONTROL)]
    tokenizer.add_special_tokens(special)
    assert tokenizer.get_vocab_size() == len(tokens)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=value("tokenizer.chat_template"),
        bos_token=tokens[value("tokenizer.ggml.bos_token_id")], eos_token=tokens[value("tokenizer.ggml.eos_token_id")],
        unk_token=tokens[value("tokenizer.ggml.unknown_token_id")],
        pad_token=tokens[value("tokenizer.ggml.padding_token_id")],
        model_max_length=value("llama.context_length"), clean_up_tokenization_spaces=False)


def check_transformers(path, tensors):
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    theirs = {name: weight for name, weight in model.state_dict().items() if name in tensors}
    assert theirs.keys() == tensors.keys(), theirs.keys() ^ tensors.keys()
    differing = [n for n in tensors
                 if not torch.equal(theirs[n].to(torch.bfloat16).view(torch.int16), tensors[n].view(torch.int16))]
    assert not differing, f"transformers reads these tensors differently: {differing}"
    print(f"transformers' own reader agrees bit for bit on {len(tensors)} tensors; its config: "
          f"{json.dumps({k: v for k, v in model.config.to_dict().items() if k in ('rms_norm_eps', 'rope_parameters', 'tie_word_embeddings')})}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gguf", type=pathlib.Path)
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--check-transformers", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)

    reader = gguf.GGUFReader(args.gguf)
    assert reader.fields["general.architecture"].contents() == "llama"
    config = make_config(reader.fields, tied=all(t.name != "output.weight" for t in reader.tensors))
    tensors = read_tensors(reader, config)
    if args.check_transformers:
        check_transformers(args.gguf, tensors)

    args.out_dir.mkdir(parents=True, exist_ok=True)
    save_file(tensors, args.out_dir / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(args.out_dir)
    GenerationConfig(bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
                     pad_token_id=config.pad_token_id).save_pretrained(args.out_dir)
    make_tokenizer(reader.fields).save_pretrained(args.out_dir)
    common.load_model(args.out_dir)  # every name and shape fits
    print(f"{args.out_dir}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values())} parameters")


if __name__ == "__main__":
    main()

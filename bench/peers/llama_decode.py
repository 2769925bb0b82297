#!/usr/bin/env python3
"""llama.cpp decoding many sequences at once, timed: what `cohort generate --stats` is measured against.

    python bench/peers/llama_decode.py MODEL.gguf --batch 32 [--prompt-length 48] [--new-tokens 64] [--distinct] [--threads 2]
    python bench/peers/llama_decode.py MODEL.gguf --greedy IDS.jsonl --new-tokens 48      (a list of ids a line: prints its continuation)
    python bench/peers/llama_decode.py MODEL.gguf --first-token                           (samples one token; prints the seconds since loading began)

The low-level batched API: one llama_decode a step over all sequences, then llama.cpp's own sampler for each. A prompt that is
shared is run once and its cells are given to all sequences (llama_memory_seq_cp); --distinct gives each sequence cells of its own, which
are copies of one prompt's (llama_state_seq_set_data), as if the prompts were different ones. No
sequence ends before --new-tokens. --unified and --flash say how attention is laid out; without them each of the ways runs a
few steps first and the fastest is timed, so that llama.cpp is measured at its best.

Prints one JSON line: {"batch", "prompt_length", "new_tokens", "tokens_per_s" (decode and sampling), "forward_tokens_per_s"
(llama_decode alone), "prefill_tokens_per_s", "unified", "flash", "load_seconds", "peak_memory_gb", "system"}.
"""

import argparse
import ctypes
import itertools
import json
import resource
import sys
import time

import llama_cpp

LOG_LEVEL_ERROR = 4  # of ggml.h; the package does not export it
VOCABULARY_STRIDE = 7919  # prompts are spread over the vocabulary; which tokens they are does not change the work


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--prompt-length", type=int, default=48)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--distinct", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sampler", choices=("dist", "greedy"), default="dist")
    parser.add_argument("--unified", choices=("on", "off"))
    parser.add_argument("--flash", choices=("on", "off"))
    parser.add_argument("--trial-steps", type=int, default=4, help="of each layout, when it is chosen here")
    parser.add_argument("--greedy", metavar="IDS.jsonl")
    parser.add_argument("--first-token", action="store_true")
    return parser.parse_args()


@llama_cpp.llama_log_callback
def only_errors(level, text, _):
    if level == LOG_LEVEL_ERROR:
        sys.stderr.write(text.decode(errors="replace"))


class Context:
    """A context for `batch` sequences of `length` positions, and one token batch that is reused."""

    def __init__(self, model, args, batch, length, unified, flash):
        self.model, self.batch_size = model, batch
        params = llama_cpp.llama_context_default_params()
        length = -(-length // 256) * 256  # what llama.cpp pads the cache to
        params.n_ctx = batch * length
        params.n_seq_max = batch
        params.n_batch = params.n_ubatch = max(512, batch)
        params.n_threads = params.n_threads_batch = args.threads
        params.kv_unified = unified
        params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        self.context = llama_cpp.llama_init_from_model(model, params)
        if not self.context:
            sys.exit("llama_decode: llama.cpp made no context (memory, or too many sequences)")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(params.n_batch, 0, 1)
        self.capacity = params.n_batch

    def close(self):
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)

    def decode(self, rows):
        """rows: (token, position, sequence, wants logits)."""
        for i, (token, position, sequence, logits) in enumerate(rows):
            self.batch.token[i] = token
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = logits
        self.batch.n_tokens = len(rows)
        code = llama_cpp.llama_decode(self.context, self.batch)
        if code != 0:
            sys.exit(f"llama_decode: llama_decode gave {code}")
        llama_cpp.llama_synchronize(self.context)

    def copy_first(self):
        """What sequence 0 has in the cache, also to all others, in cells of their own."""
        size = llama_cpp.llama_state_seq_get_size(self.context, 0)
        state = (ctypes.c_uint8 * size)()
        if llama_cpp.llama_state_seq_get_data(self.context, state, size, 0) != size:
            sys.exit("llama_decode: a sequence could not be copied")
        for s in range(1, self.batch_size):
            if llama_cpp.llama_state_seq_set_data(self.context, state, size, s) == 0:
                sys.exit("llama_decode: a sequence could not be copied")

    def prefill(self, prompt, sequence):
        for at in range(0, len(prompt), self.capacity):
            piece = prompt[at:at + self.capacity]
            self.decode([(t, at + i, sequence, at + i == len(prompt) - 1) for i, t in enumerate(piece)])
        return self.batch.n_tokens - 1  # the row that has logits


def make_samplers(args, count):
    samplers = []
    for i in range(count):
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        one = llama_cpp.llama_sampler_init_dist(i) if args.sampler == "dist" else llama_cpp.llama_sampler_init_greedy()
        llama_cpp.llama_sampler_chain_add(chain, one)
        samplers.append(chain)
    return samplers


def run(model, args, unified, flash, new_tokens):
    """Seconds of prefill, of decoding passes and of sampling in them, and the tokens of each sequence."""
    batch, length = args.batch, args.prompt_length
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    # Always room for the whole run, so that a trial of the layouts has the cache that the measurement has.
    context = Context(model, args, batch, length + args.new_tokens, unified, flash)
    samplers = make_samplers(args, batch)
    start = time.perf_counter()
    row = context.prefill([i * VOCABULARY_STRIDE % (size - 1000) + 500 for i in range(length)], 0)
    prefill = time.perf_counter() - start
    tokens = [llama_cpp.llama_sampler_sample(sampler, context.context, row) for sampler in samplers]
    if args.distinct:
        context.copy_first()
    else:
        for s in range(1, batch):
            llama_cpp.llama_memory_seq_cp(context.memory, 0, s, -1, -1)

    forward = sampling = 0.0
    for step in range(new_tokens - 1):
        start = time.perf_counter()
        context.decode([(tokens[s], length + step, s, True) for s in range(batch)])
        middle = time.perf_counter()
        tokens = [llama_cpp.llama_sampler_sample(samplers[s], context.context, s) for s in range(batch)]
        forward += middle - start
        sampling += time.perf_counter() - middle
    for sampler in samplers:
        llama_cpp.llama_sampler_free(sampler)
    context.close()
    return prefill, forward, sampling


def greedy(model, args):
    for line in open(args.greedy, encoding="utf-8"):
        prompt = json.loads(line)
        context = Context(model, args, 1, len(prompt) + args.new_tokens, True, args.flash == "on")
        sampler = make_samplers(argparse.Namespace(sampler="greedy"), 1)[0]
        row, out = context.prefill(prompt, 0), []
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        while True:
            out.append(llama_cpp.llama_sampler_sample(sampler, context.context, row))
            if len(out) == args.new_tokens or llama_cpp.llama_vocab_is_eog(vocabulary, out[-1]):
                break
            context.decode([(out[-1], len(prompt) + len(out) - 1, 0, True)])
            row = 0
        print(json.dumps(out), flush=True)
        context.close()


def main():
    args = parse_arguments()
    start = time.perf_counter()
    llama_cpp.llama_log_set(only_errors, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(args.model.encode(), llama_cpp.llama_model_default_params())
    if not model:
        sys.exit(f"llama_decode: {args.model}: llama.cpp cannot load it")
    load = time.perf_counter() - start
    if args.greedy:
        return greedy(model, args)
    if args.first_token:
        args.batch, args.prompt_length = 1, 1
        run(model, args, True, False, 1)
        return print(round(time.perf_counter() - start, 3))

    choices = {"on": [True], "off": [False], None: [True, False]}
    # A unified cache lets every sequence look at the cells of all: with 16 long ones of their own it is 5 times slower (measured), and not tried.
    unified = "off" if args.distinct and args.unified is None else args.unified
    ways = list(itertools.product(choices[unified], choices[args.flash]))
    if len(ways) > 1:
        seconds = {way: sum(run(model, args, *way, args.trial_steps + 1)[1:]) for way in ways}
        ways.sort(key=seconds.get)
    unified, flash = ways[0]
    prefill, forward, sampling = run(model, args, unified, flash, args.new_tokens)
    count = args.batch * (args.new_tokens - 1)
    print(json.dumps({
        "batch": args.batch, "prompt_length": args.prompt_length, "new_tokens": args.new_tokens,
        "tokens_per_s": round(count / (forward + sampling), 1), "forward_tokens_per_s": round(count / forward, 1),
        "prefill_tokens_per_s": round(args.prompt_length / prefill, 1),
        "unified": unified, "flash": flash, "load_seconds": round(load, 3),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
        "system": llama_cpp.llama_print_system_info().decode().strip(), "version": llama_cpp.__version__}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares the CPU device with ONNX Runtime and PyTorch eager on all-MiniLM-L6-v2 in f32, side by side in one run.

    cargo build --release --package proofmark-models --example latency
    cargo xtask models fetch bert-minilm
    pip install torch transformers onnx onnxruntime
    python3 docs/compare_peers.py --model FOLDER [--threads N] [--rounds N] [--json FILE]

FOLDER is the checkpoint that `models fetch` names. The engines take turns, and after each turn all wait until
threads that still spin have gone to sleep. The first round is not counted. Before anything is timed, the outputs of all
engines are compared. A ratio above 1 means that Proofmark is faster.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch
from transformers import BertModel

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["input_ids", "attention_mask", "token_type_ids"]
SHAPES = [(1, 128), (8, 128)]
PAUSE_S = 0.15
TOLERANCE = 1e-4


def inputs(batch, sequence):
    """The inputs that the latency program makes for itself."""
    ids = np.arange(batch * sequence, dtype=np.int64).reshape(batch, sequence) * 7919 % 20000 + 1000
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


class Named(torch.nn.Module):
    """The model with its arguments by position, as the exporter wants them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *values):
        return self.model(**dict(zip(NAMES, values))).last_hidden_state


class Ours:
    """The latency program: a line `batch sequence runs` in, a line of nanoseconds out."""

    def __init__(self, program, folder, threads):
        command = [str(program), str(folder), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("the latency program ended; its message stands above")
        return [float(word) for word in answer.split()]

    def times(self, shape, runs):
        return [ns / 1e6 for ns in self.ask(f"{shape[0]} {shape[1]} {runs}")]

    def output(self, shape):
        return np.array(self.ask(f"{shape[0]} {shape[1]} output"), dtype=np.float32)


class Torch:
    """PyTorch eager with one of its attention implementations."""

    def __init__(self, folder, attention):
        self.model = BertModel.from_pretrained(folder, attn_implementation=attention).eval()

    def run(self, shape):
        values = {name: torch.from_numpy(value) for name, value in inputs(*shape).items()}
        return lambda: self.model(**values).last_hidden_state.numpy()


class OnnxRuntime:
    """ONNX Runtime over the graph that PyTorch exports with one attention implementation."""

    def __init__(self, folder, attention, threads, scratch):
        model = BertModel.from_pretrained(folder, attn_implementation=attention).eval()
        path = str(scratch / f"{attention}.onnx")
        sample = tuple(torch.from_numpy(inputs(2, 16)[name]) for name in NAMES)
        axes = {name: {0: "batch", 1: "sequence"} for name in NAMES}
        torch.onnx.export(
            Named(model), sample, path, input_names=NAMES, output_names=["y"], dynamic_axes=axes, dynamo=False
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, shape):
        values = inputs(*shape)
        return lambda: self.session.run(None, values)[0]


def timed(run, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def compare(shape, ours, peers, rounds):
    """Medians in milliseconds by engine."""
    expected = peers["pytorch eager"].run(shape)()
    found = ours.output(shape).reshape(expected.shape)
    scale = np.abs(expected).max()
    for name, output in [("proofmark", found)] + [(n, p.run(shape)()) for n, p in peers.items()]:
        error = np.abs(output - expected).max() / scale
        if not error <= TOLERANCE:
            sys.exit(f"{name} computes something else at {shape}: error {error:.1e}; nothing was timed")
    runs = 6 if shape[0] == 1 else 3
    engines = {"proofmark": lambda: ours.times(shape, runs)}
    for name, peer in peers.items():
        engines[name] = lambda run=peer.run(shape): timed(run, runs)
    medians = {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, engine in engines.items():
            time.sleep(PAUSE_S)
            # The first run of a turn wakes the threads.
            times = engine()[1:]
            if turn > 0:
                medians[name].append(statistics.median(times))
    return medians


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=pathlib.Path, help="the checkpoint's folder")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=pathlib.Path, help="where to write all medians")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/examples/latency")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ours = Ours(arguments.program, arguments.model, arguments.threads)
    results = {}
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        peers = {}
        for attention in ("eager", "sdpa"):
            peers[f"pytorch {attention}"] = Torch(arguments.model, attention)
            peers[f"onnxruntime {attention}"] = OnnxRuntime(
                arguments.model, attention, arguments.threads, pathlib.Path(scratch)
            )
        print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {arguments.threads} threads")
        print(f"{'shape':10} {'engine':20} {'median ms':>10} {'min ms':>8} {'ratio':>6}")
        for shape in SHAPES:
            medians = compare(shape, ours, peers, arguments.rounds)
            own = statistics.median(medians["proofmark"])
            for name, values in medians.items():
                # Both sides of a ratio are of one round, so that a slow minute slows both.
                ratio = statistics.median(p / o for p, o in zip(values, medians["proofmark"]))
                print(
                    f"b{shape[0]}-s{shape[1]:<6} {name:20} {statistics.median(values):10.2f} "
                    f"{min(values):8.2f} {ratio:6.2f}"
                )
            results[f"b{shape[0]}-s{shape[1]}"] = medians
            best = min(statistics.median(v) for n, v in medians.items() if n != "proofmark")
            print(f"           best peer / proofmark: {best / own:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares the CPU device with PyTorch eager, ONNX Runtime, OpenVINO, candle and tract in f32, in one run.

    cargo build --release --package proofmark-models --example latency
    (cd docs/peers/engines && cargo build --release)
    pip install torch transformers safetensors onnx onnxscript onnxruntime openvino
    python3 docs/peers/prepare.py CACHE
    python3 docs/peers/compare.py CACHE [ROW…] [--threads N] [--rounds N] [--json FILE] [--memory]

Each engine is a process of its own. Of an engine that takes a model with either of two attentions, the quicker one is
measured. Before anything is timed, the outputs are compared with PyTorch's in f64. The engines take turns, in one
order and then in the other, with pauses in which threads that still spin go to sleep. The first run of a turn and the
first round are not counted. A ratio is a peer's time over ours in the same round: above 1, Proofmark is faster.
With --memory the peak memory of a process that opens the model and runs it is compared instead.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import time

import numpy as np
from safetensors.numpy import load_file

import models
from engines import OURS, ROOT, VARIANTS, Absent, Engine

PAUSE_S = 0.15
TURN_MS = 400
# Of the largest magnitude. An engine beyond it computes something else and is not timed; candle's Whisper alone has
# another GELU, by a tanh.
TOLERANCE = 1e-4
LOOSE = {("candle", "whisper-tiny-encoder"): 5e-3}


def error_of(engine, expected, scratch):
    """The largest error of the first output, relative to the largest magnitude."""
    engine.ask(f"output {scratch}")
    found = np.fromfile(scratch, dtype=np.float32)
    if found.size != expected.size:
        raise Absent(f"its output has {found.size} elements, {expected.size} are expected")
    return float(np.abs(found - expected.ravel()).max() / np.abs(expected).max())


def screen(row, folder, out, options):
    """Of each engine its quicker attention and its error, or the reason why it has none."""
    expected = load_file(out / "golden.safetensors")[f"output.{row.model.outputs[0]}"]
    chosen, absent = {}, {}
    for name, attentions in VARIANTS.items():
        tried = []
        for attention in attentions:
            try:
                with Engine(name, row, folder, out, attention, options) as engine:
                    error = error_of(engine, expected, out / "output.f32")
                    limit = LOOSE.get((name, row.name), TOLERANCE)
                    if not error <= limit:
                        raise Absent(f"it computes something else: error {error:.1e}, {limit:.0e} is allowed")
                    time.sleep(PAUSE_S)
                    tried.append((min(engine.times_ms(4)[1:]), attention, error, engine.name))
            except Absent as reason:
                absent[name] = f"{attention}: {reason}".removeprefix(": ")
        if tried:
            chosen[name] = min(tried)
            absent.pop(name, None)
    return chosen, absent


def rounds(row, folder, out, chosen, options):
    """The median of each turn in milliseconds, by engine."""
    medians = {name: [] for name in chosen}
    with contextlib.ExitStack() as stack:
        opened = {}
        for name, (_, attention, *_) in chosen.items():
            opened[name] = stack.enter_context(Engine(name, row, folder, out, attention, options))
        for turn in range(options.rounds + 1):
            order = list(opened)[:: 1 if turn % 2 else -1]
            for name in order:
                time.sleep(PAUSE_S)
                runs = min(max(round(TURN_MS / chosen[name][0]), 2), 20)
                times = opened[name].times_ms(runs + 1)[1:]
                if turn > 0:
                    medians[name].append(statistics.median(times))
    return medians


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive")


def report(row, chosen, absent, medians):
    """Prints a row's ratios; gives its record."""
    record = {"absent": absent, "engines": {}}
    own = medians.get(OURS)
    peers = {}
    for name, (_, attention, error, version) in chosen.items():
        values = {"name": version, "attention": attention, "error": error, "medians_ms": medians[name]}
        label = f"{name} {attention}".rstrip()
        if own and name != OURS:
            low, ratio, high = quartiles([p / o for p, o in zip(medians[name], own)])
            peers[name] = values["ratio"] = [low, ratio, high]
            print(f"{row.name:24} {label:20} {ratio:6.2f}  {low:.2f} to {high:.2f}  {error:.1e}", flush=True)
        else:
            print(f"{row.name:24} {label:20} {'1.00' if own else '':>6}  {'':12}  {error:.1e}", flush=True)
        record["engines"][name] = values
    for name, reason in absent.items():
        print(f"{row.name:24} {name:20} absent: {reason}")
    if peers:
        best = min(peers, key=lambda name: peers[name][1])
        low, ratio, high = peers[best]
        print(f"{row.name:24} best peer: {best}, {ratio:.2f} ({low:.2f} to {high:.2f})", flush=True)
    return record


def memory(row, folder, out, options):
    """Peak memory in MiB by engine: of the whole process, and without what its imports alone take."""
    expected = {}
    for name, attentions in VARIANTS.items():
        for attention in attentions:
            try:
                with Engine(name, row, folder, out, attention, options) as engine:
                    engine.times_ms(3)
                    peak = engine.memory_kb("VmHWM")
                    found = {"peak_mib": peak / 1024, "without_imports_mib": (peak - engine.imported_kb) / 1024}
                    expected[f"{name} {attention}".rstrip()] = found
            except Absent as reason:
                print(f"{row.name:24} {name:20} absent: {attention} {reason}")
    own = expected.get(OURS, {"peak_mib": float("nan")})["peak_mib"]
    for label, found in expected.items():
        ratios = [found[key] / own for key in ("peak_mib", "without_imports_mib")]
        print(f"{row.name:24} {label:20} {found['peak_mib']:8.0f} MiB {ratios[0]:6.2f} {ratios[1]:6.2f}", flush=True)
    return expected


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=pathlib.Path, help="where prepare.py has put its files")
    parser.add_argument("rows", nargs="*", help="which rows, all if none are named")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=pathlib.Path, help="where to write every median, row by row")
    parser.add_argument("--memory", action="store_true", help="compare peak memory, not time")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target/release/examples/latency")
    parser.add_argument("--engines", type=pathlib.Path, default=ROOT / "docs/peers/engines/target/release")
    options = parser.parse_intermixed_args()
    known = [row.name for row in models.ROWS]
    unknown = [name for name in options.rows if name not in known]
    if unknown:
        parser.error(f"there is no row {unknown[0]}: there are {', '.join(known)}")
    return options


def main():
    options = parse()
    results = {}
    if options.json and options.json.is_file():
        results = json.loads(options.json.read_text())
    for row in models.ROWS:
        if options.rows and row.name not in options.rows:
            continue
        out = options.cache / "rows" / row.name
        if not (out / "golden.safetensors").is_file():
            print(f"{row.name:24} not prepared")
            continue
        folder = pathlib.Path((out / "folder.txt").read_text())
        entry = results.setdefault(row.name, {})
        if options.memory:
            entry["memory"] = memory(row, folder, out, options)
        else:
            chosen, absent = screen(row, folder, out, options)
            entry["time"] = report(row, chosen, absent, rounds(row, folder, out, chosen, options))
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()

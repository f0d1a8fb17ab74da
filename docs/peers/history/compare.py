#!/usr/bin/env python3
"""Compares change-point detectors on series with known change points, by F1.

Start, from the root of the workspace:
    python3 -m venv target/peers
    target/peers/bin/pip install apache-otava==0.8.0
    target/peers/bin/pip install --no-deps signal-processing-algorithms==2.1.6 structlog more-itertools typing_extensions
    cargo build -p xtask
    cargo run -q -p proofmark-lab --example history_series -- 2001 40 > target/series.jsonl
    target/peers/bin/python docs/peers/history/compare.py target/series.jsonl

Each line of a file is {"family", "values", "changes"}. Otava pins a NumPy that the other package's metadata does not
allow; it runs with it all the same, hence `--no-deps`.

The detectors, with the settings that their authors publish as defaults:
    proofmark    `cargo xtask history --input FILE --format json`
    e-divisive   MongoDB's signal-processing-algorithms: p 0.05, 100 permutations
    otava        Apache Otava (Hunter): window 50, p 0.001
    perfherder   Mozilla's t-test: 12 points before and after, linear weights, t > 7, local maxima

Matching: in the order of the true changes, each takes the nearest detection within the margin that is not taken yet;
a detection counts once. What is left is a false positive or a false negative. F1 is of the sums over all series, and
its interval is the 95 % percentile bootstrap over series, drawn within families.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

PROOFMARK = "proofmark"


def proofmark(program):
    """Runs the command once per series, on a file that holds its values alone."""

    def detect(values):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(values, file)
            file.flush()
            command = [program, "history", "--input", file.name, "--format", "json"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [change["index"] for change in json.loads(done.stdout)["change_points"]]

    return detect


def e_divisive(values):
    from signal_processing_algorithms.energy_statistics.energy_statistics import e_divisive as run

    np.random.seed(1)
    return [int(index) for index in run(np.array(values, dtype=float), pvalue=0.05, permutations=100)]


def otava(values):
    from otava.analysis import compute_change_points

    found, _ = compute_change_points([float(v) for v in values], window_len=50, max_pvalue=0.001)
    return [int(change.index) for change in found]


def perfherder(values, window=12, threshold=7.0):
    values = np.array(values, dtype=float)
    weights = 1.0 - np.arange(window) / window

    def moments(points):
        mean = np.average(points, weights=weights)
        return mean, np.sum(weights * (points - mean) ** 2) / (weights.sum() * (window - 1) / window)

    scores = np.zeros(len(values))
    for at in range(window, len(values) - window + 1):
        (left, left_var), (right, right_var) = moments(values[at - window : at][::-1]), moments(values[at : at + window])
        error = np.sqrt((left_var + right_var) / window)
        difference = abs(right - left)
        scores[at] = difference / error if error > 0 else (np.inf if difference > 0 else 0.0)
    found = []
    for at in range(1, len(values) - 1):
        before, after = scores[at - 1], scores[at + 1]
        if scores[at] > threshold and scores[at] >= after and scores[at] > before:
            found.append(at)
    return found


def match(changes, found, margin):
    """True positives, false positives, false negatives."""
    left = sorted(set(found))
    hits = 0
    for change in sorted(changes):
        near = [at for at in left if abs(at - change) <= margin]
        if near:
            left.remove(min(near, key=lambda at: (abs(at - change), at)))
            hits += 1
    return hits, len(left), len(changes) - hits


def f1(counts):
    hits, false, missed = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    return 1.0 if hits + false + missed == 0 else 2 * hits / (2 * hits + false + missed)


def interval(by_family, rounds=1000, seed=1):
    """The 95 % percentile bootstrap of F1 over series, drawn within families."""
    draw = random.Random(seed)
    drawn = sorted(f1([c for counts in by_family.values() for c in draw.choices(counts, k=len(counts))]) for _ in range(rounds))
    return drawn[int(0.025 * rounds)], drawn[int(0.975 * rounds)]


def report(results, margins):
    """Prints F1 per margin, then per family at the first margin: F1, or false alarms per series where nothing changes."""
    print("| detector | " + " | ".join(f"F1 ± {m} (95 % interval)" for m in margins) + " | precision | recall | seconds |")
    print("|---|" + "---|" * (len(margins) + 3))
    for name, (families, seconds) in results.items():
        cells = []
        for margin in margins:
            counts = {f: [match(c, d, margin) for c, d in pairs] for f, pairs in families.items()}
            low, high = interval(counts)
            cells.append(f"{f1(sum(counts.values(), [])):.3f} ({low:.3f}–{high:.3f})")
        counts = [match(c, d, margins[0]) for pairs in families.values() for c, d in pairs]
        hits, false, missed = (sum(column) for column in zip(*counts))
        shares = f"{hits / max(1, hits + false):.3f} | {hits / max(1, hits + missed):.3f}"
        print(f"| {name} | " + " | ".join(cells) + f" | {shares} | {seconds:.1f} |")
    print("\n| family | series | measure | " + " | ".join(results) + " |")
    print("|---|---|---|" + "---|" * len(results))
    for family in next(iter(results.values()))[0]:
        cells, measure, size = [], "F1", 0
        for families, _ in results.values():
            size = len(families[family])
            counts = [match(c, d, margins[0]) for c, d in families[family]]
            if any(changes for changes, _ in families[family]):
                cells.append(f"{f1(counts):.3f}")
            else:
                measure = "alarms per series"
                cells.append(f"{sum(c[1] for c in counts) / size:.2f}")
        print(f"| {family} | {size} | {measure} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--program", default="target/debug/xtask", help="the xtask that is compared")
    parser.add_argument("--only", nargs="*", help="names of detectors")
    parser.add_argument("--margins", nargs="*", type=int, default=[5, 2])
    args = parser.parse_args()
    lines = [line for file in args.files for line in file.read_text().splitlines()]
    series = [json.loads(line) for line in lines]
    detectors = {PROOFMARK: proofmark(args.program), "e-divisive": e_divisive, "otava": otava, "perfherder": perfherder}
    results = {}
    for name, detect in detectors.items():
        if args.only and name not in args.only:
            continue
        families, start = defaultdict(list), time.perf_counter()
        for one in series:
            families[one["family"]].append((one["changes"], detect(one["values"])))
        results[name] = (families, time.perf_counter() - start)
        print(f"{name}: done", file=sys.stderr)
    print(f"{len(series)} series, {sum(len(one['changes']) for one in series)} changes\n")
    report(results, args.margins)


if __name__ == "__main__":
    main()

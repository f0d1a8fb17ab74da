#!/usr/bin/env python3
"""Prints series of noise in which nothing changes, as compare.py reads them: one JSON object per line.

Start, from the root of the workspace, with the environment of compare.py:
    target/peers/bin/python docs/peers/history/noise_series.py > target/noise.jsonl
    target/peers/bin/python docs/peers/history/compare.py target/noise.jsonl --only proofmark
"""

import json

import numpy as np


def autoregression(draw, n, phi=0.6):
    values, steps = np.zeros(n), draw.normal(0, 1, n)
    for i in range(1, n):
        values[i] = phi * values[i - 1] + steps[i]
    return values


NOISES = {
    "normal": (200, lambda draw, n: draw.normal(0, 1, n)),
    "ar.6": (100, autoregression),
    "t2": (100, lambda draw, n: draw.standard_t(2, n)),
    "lognormal1": (100, lambda draw, n: np.exp(draw.normal(0, 1, n))),
    "binary.2": (100, lambda draw, n: (draw.random(n) < 0.2).astype(float)),
}


def main():
    draw = np.random.default_rng(77)
    for n in (20, 50, 100, 300, 1000):
        for name, (count, noise) in NOISES.items():
            for _ in range(count):
                values = [float(value) for value in 100 + noise(draw, n)]
                print(json.dumps({"family": f"{name}-{n}", "values": values, "changes": []}))


if __name__ == "__main__":
    main()

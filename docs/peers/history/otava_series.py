#!/usr/bin/env python3
"""Prints the series of the package otava-test-data as compare.py reads them: one JSON object per line.

Start, from the root of the workspace:
    target/peers/bin/pip install --no-deps otava-test-data==0.1.9
    target/peers/bin/python docs/peers/history/otava_series.py > target/otava.jsonl

Only steps, and the beginnings and ends of regressions, are changes of the level; outliers and changes of the variance
or the phase are not.
"""

import json

from otava_test_data.generators.combiner import CombinationGenerator

LEVEL_CHANGES = {"step", "regression_start", "regression_end"}


def main():
    for series in CombinationGenerator(lengths=[50, 500], seed=42).generate_with_noise_variants(None):
        changes = sorted({c.index for c in series.change_points if c.change_type in LEVEL_CHANGES})
        values = [float(value) for value in series.data]
        print(json.dumps({"family": series.generator_name, "values": values, "changes": changes}))


if __name__ == "__main__":
    main()

"""Asks the ten questions of harness/lab/examples/ledger/questions.rs of the same records as JSON lines.

python3 ask.py FOLDER [--against ANSWERS.json] [--only TEXT]

Each question is a program of its own that reads the files once, as a script that somebody writes for it would. Lines that
cannot matter are left out by a search for a text before they are parsed, wherever the question has such a text: that is
the best that this peer can do. With --against the answers are held against those of `ledger answers DATABASE`.
"""

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path

CASE = "fixture-25/cpu/f32/b1-s128"
MACHINE = "fixture-machine-1"


def records(folder, *needles):
    """The records of all files that have these texts in their lines."""
    needles = [needle.encode() for needle in needles]
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                if all(needle in line for needle in needles):
                    yield json.loads(line)


def case_is(case):
    return f'"case":"{case}"'


def machine_is(machine):
    return f'"machine":"{machine}"'


def latency(record):
    samples = record["samples"]["latency_ns"]
    return statistics.median(samples) if samples else None


def noise(record):
    samples = record["samples"]["latency_ns"]
    middle = statistics.median(samples)
    return 1.482602218505602 * statistics.median(abs(s - middle) for s in samples) / middle


def latest(found):
    """Of each case on each machine: one that ran before one that did not, then the newest."""
    newest = {}
    for record in found:
        if record["purpose"] != "measure":
            continue
        ran = record["outcome"] != "skipped" and not (
            record["outcome"] == "passed" and not record["samples"]["latency_ns"]
        )
        rank = (ran, record["recorded_at"], record["id"])
        key = (record["case"], record["environment"]["machine"])
        if key not in newest or newest[key][0] < rank:
            newest[key] = (rank, record)
    return [record for _, record in newest.values()]


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def grouped(found, key):
    groups = {}
    for record in found:
        groups.setdefault(key(record), []).append(record)
    return sorted(groups.items())


def latest_of_a_case(folder):
    found = latest(records(folder, case_is(CASE)))
    return sorted([r["environment"]["machine"], r["mark"], r["outcome"], latency(r), r["recorded_at"]] for r in found)


def slowest_cases_of_an_endpoint(folder):
    found = latest(records(folder, "/cpu/", machine_is(MACHINE)))
    rows = [[r["case"], r["mark"], latency(r)] for r in found if r["samples"]["latency_ns"]]
    return sorted(rows, key=lambda row: (-row[2], row[0]))[:10]


def trend_of_a_case(folder):
    found = records(folder, case_is(CASE), machine_is(MACHINE))
    rows = [[r["recorded_at"], r["mark"], r["environment"]["commit"], latency(r)] for r in found if r["outcome"] == "passed"]
    return sorted(rows)


def failed_since_a_date(folder):
    found = [
        r
        for r in records(folder, '"recorded_at":"2026-01-05')
        if r["outcome"] not in ("passed", "skipped")
    ]
    found.sort(key=lambda r: (r["recorded_at"], r["id"]))
    return [[r["case"], r["environment"]["machine"], r["mark"], r["outcome"], r["message"]] for r in found]


def noise_by_machine(folder):
    groups = {}
    for r in latest(records(folder)):
        if r["outcome"] == "passed":
            groups.setdefault((r["environment"]["machine"], r["mark"]), []).append(noise(r))
    return [[*key, statistics.median(values), len(values)] for key, values in sorted(groups.items())]


def coverage_of_models_by_endpoint(folder):
    groups = grouped(latest(records(folder)), lambda r: (*r["case"].split("/")[:2], r["mark"]))
    return [[*key, sum(r["outcome"] == "passed" for r in found), len(found)] for key, found in groups]


def best_machine_for_a_model(folder):
    found = latest(records(folder, '"case":"' + CASE.split("/")[0] + "/"))
    passed = [r for r in found if r["outcome"] == "passed"]
    groups = grouped(passed, lambda r: (r["environment"]["machine"], r["mark"]))
    rows = [[*key, geometric_mean([latency(r) for r in found])] for key, found in groups]
    return sorted(rows, key=lambda row: row[2])[:1]


def p95_of_the_samples_of_a_case(folder):
    rows = []
    for key, found in grouped(records(folder, case_is(CASE)), lambda r: (r["environment"]["machine"], r["mark"])):
        samples = sorted(sample for r in found for sample in r["samples"]["latency_ns"])
        at = 0.95 * (len(samples) - 1)
        low = math.floor(at)
        high = min(low + 1, len(samples) - 1)
        rows.append([*key, samples[low] + (at - low) * (samples[high] - samples[low]), len(samples)])
    return rows


def memory_by_model(folder):
    groups = grouped(latest(records(folder)), lambda r: (r["case"].split("/")[0], r["mark"]))
    return [[*key, max(r["metrics"]["peak_memory_bytes"] for r in found)] for key, found in groups]


def two_commits_compared(folder, commits):
    sides = []
    for commit in commits:
        found = records(folder, f'"commit":"{commit}"', '"outcome":"passed"')
        sides.append({(r["case"], r["environment"]["machine"]): (r["mark"], latency(r)) for r in found})
    ratios = {}
    for key, (mark, after) in sides[1].items():
        if key in sides[0]:
            ratios.setdefault((key[0].split("/")[0], mark), []).append(after / sides[0][key][1])
    return [[*key, geometric_mean(values), len(values)] for key, values in sorted(ratios.items())]


def equal(ours, theirs):
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(equal, ours, theirs))
    if isinstance(ours, float) or isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-9)
    # The database has microseconds of a time, a record has nanoseconds.
    if isinstance(ours, str) and ours.endswith("Z"):
        return ours[:19] == theirs[:19]
    return ours == theirs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    ours = json.loads(args.against.read_text()) if args.against else None
    commits = ours["commits"] if ours else []
    questions = {
        "latest of a case": latest_of_a_case,
        "slowest cases of an endpoint": slowest_cases_of_an_endpoint,
        "trend of a case": trend_of_a_case,
        "failed since a date": failed_since_a_date,
        "noise by machine": noise_by_machine,
        "coverage of models by endpoint": coverage_of_models_by_endpoint,
        "best machine for a model": best_machine_for_a_model,
        "p95 of the samples of a case": p95_of_the_samples_of_a_case,
        "memory by model": memory_by_model,
        "two commits compared": lambda folder: two_commits_compared(folder, commits),
    }
    different = 0
    for name, ask in questions.items():
        if args.only not in name:
            continue
        start = time.perf_counter()
        answer = ask(args.folder)
        took_ms = 1e3 * (time.perf_counter() - start)
        said = ""
        if ours:
            same = equal(ours["answers"][name], answer)
            different += not same
            said = ", the same answer" if same else ", ANOTHER ANSWER"
        print(f"{name:32} {took_ms:10.0f} ms, {len(answer)} rows{said}", flush=True)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()

"""Gates a kernel that was slowed by known amounts, and equal code, live and in random order; prints the rates.

usage: python3 docs/peers/gate/mutate.py XTASK FOLDER [--gates 30] [--changes 0 10] [--budget 20s] [--log FILE]

XTASK is the built command line, FOLDER an empty folder for the fixture workspace and its builds.
Every gate is one line of JSON in the log; the table at the end is made from the log, so runs add up.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import time

CASE = "triple-exact/abacus/f64/b1"
BEADS = 300_000
CHANGES = [0, 3, 5, 10, 30]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("xtask")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--gates", type=int, default=30, help="of each change")
    parser.add_argument("--changes", type=int, nargs="+", default=CHANGES, help="in percent")
    parser.add_argument("--budget", default="20s")
    parser.add_argument("--log", type=pathlib.Path, default=pathlib.Path("mutations.jsonl"))
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[3]
    work = args.folder / "workspace"
    if not work.exists():
        repository(root, work)
    known = collections.Counter(entry["percent"] for entry in read(args.log))
    wanted = [p for p in args.changes for _ in range(args.gates - known[p])]
    random.shuffle(wanted)
    for number, percent in enumerate(wanted):
        entry = gate(args, work, percent)
        with args.log.open("a") as log:
            log.write(json.dumps(entry) + "\n")
        print(f"{number + 1} of {len(wanted)}: +{percent} % {entry['verdicts']} in {entry['took_s']:.0f} s", flush=True)
    table(read(args.log))


def repository(root, work):
    """The fixture, with one commit for each change."""
    shutil.copytree(root / "tests/fixtures/adopter", work, ignore=shutil.ignore_patterns("target", ".proofmark"))
    manifest = work / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("../../../harness/core", str(root / "harness/core")))
    (work / ".gitignore").write_text(".proofmark/\n/target\n")
    git(work, "init", "--quiet", "--initial-branch", "main")
    source = work / "src/lib.rs"
    text = source.read_text()
    assert "{ 30_000 }" in text
    for percent in CHANGES:
        source.write_text(text.replace("{ 30_000 }", f"{{ {BEADS * (100 + percent) // 100} }}"))
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message", f"slower by {percent} %")
        git(work, "tag", f"slower-{percent}")


def git(work, *args):
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *args], cwd=work, check=True)


def gate(args, work, percent):
    command = [args.xtask, "gate", "--base", "slower-0", "--head", f"slower-{percent}", "--budget", args.budget]
    command += ["--all", "--filter", "triple*", "--format", "json"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(args.folder.resolve() / "target")}
    load, begin = os.getloadavg()[0], time.monotonic()
    ran = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    if not ran.stdout:
        raise SystemExit(ran.stderr)
    result = json.loads(ran.stdout)
    found = {case["metric"]: case for case in result["cases"] if case["id"] == CASE}
    latency = found["latency"]
    return {
        "percent": percent,
        "outcome": result["outcome"],
        "verdicts": {metric: case["verdict"] for metric, case in found.items()},
        "effect": latency["effect"],
        "processes": len(result["order"]),
        "took_s": result["took_s"],
        "whole_s": time.monotonic() - begin,
        "load": load,
    }


def read(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def table(entries):
    print("| change | gates | regressed | improved | equivalent | undecided | unfit | any alarm | median s | load |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for percent in CHANGES:
        of = [entry for entry in entries if entry["percent"] == percent]
        if not of:
            continue
        said = collections.Counter(entry["verdicts"]["latency"] for entry in of)
        alarms = sum(any(v in ("regressed", "improved", "broken") for v in entry["verdicts"].values()) for entry in of)
        unfit = sum(entry["outcome"] == "unfit" for entry in of)
        seconds = sorted(entry["took_s"] for entry in of)[len(of) // 2]
        loads = [entry["load"] for entry in of]
        counts = " | ".join(str(said[v]) for v in ("regressed", "improved", "equivalent", "undecided"))
        print(
            f"| +{percent} % | {len(of)} | {counts} | {unfit} | {alarms} | {seconds:.1f} |"
            f" {min(loads):.1f} to {max(loads):.1f} |"
        )


if __name__ == "__main__":
    main()

"""The engines that docs/peers/compare.py measures: how each is started, and how one speaks to it."""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = "proofmark"
ATTENTIONS = ("eager", "sdpa")
# The attention implementations from which an engine's model is made; the quicker one is measured.
VARIANTS = {OURS: [""], "pytorch": ATTENTIONS, "onnxruntime": ATTENTIONS, "openvino": ATTENTIONS, "candle": [""]}
VARIANTS["tract"] = ATTENTIONS
THROUGH_ONNX = ("onnxruntime", "openvino", "tract")


class Absent(Exception):
    """Why an engine has no number for a row."""


def command(engine, row, folder, out, attention, options):
    """The program of an engine with its arguments."""
    threads = str(options.threads)
    if engine == OURS:
        arguments = ["cpu", threads, "f32", folder, out / "golden.safetensors", *row.model.outputs]
        return [options.program, *arguments]
    onnx = out / attention / "model.onnx"
    if engine in THROUGH_ONNX and not onnx.is_file():
        raise Absent("PyTorch does not export it: " + (out / attention / "failed.txt").read_text()[:200])
    if engine == "candle":
        if row.model.candle.startswith("no: "):
            raise Absent(row.model.candle.removeprefix("no: "))
        return [options.engines / "peer-candle", row.model.candle, folder, out / "inputs.safetensors"]
    if engine == "tract":
        return [options.engines / "peer-tract", threads, onnx, out / "inputs.safetensors"]
    return [sys.executable, HERE / "worker.py", engine, threads, row.name, folder, out, attention]


class Engine:
    """A running program that answers lines. Use it in a `with`, which ends it."""

    def __init__(self, engine, row, folder, out, attention, options):
        words = [str(word) for word in command(engine, row, folder, out, attention, options)]
        if not pathlib.Path(words[0]).is_file():
            raise Absent(f"{words[0]} is not built")
        threads = str(options.threads)
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        log = (out / f"{engine}-{attention}.log").open("w")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
        self.process = subprocess.Popen(words, text=True, env=environment, **pipes)
        self.imported_kb = 0
        try:
            answer = self.line()
            if answer == "started":
                self.imported_kb = self.memory_kb("VmRSS")
                answer = self.line()
            kind, _, self.name = answer.partition(" ")
            if kind != "ready":
                raise Absent(self.name[:200] or "it ended without a word")
        except Absent:
            self.close()
            raise

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, line):
        try:
            print(line, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass
        answer = self.line()
        if not answer:
            raise Absent("it ended in a run; its log says why")
        return answer

    def times_ms(self, runs):
        return [int(ns) / 1e6 for ns in self.ask(f"run {runs}").split()]

    def memory_kb(self, key):
        """A line of the process's status: VmHWM is the most that was resident, VmRSS what is."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(key))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

#!/usr/bin/env python3
"""PyTorch, ONNX Runtime and OpenVINO behind the line protocol of docs/peers/compare.py, one of them in a process.

    worker.py ENGINE THREADS ROW FOLDER OUT ATTENTION

The first line is `started`, when the engine is imported and nothing is loaded; then `ready NAME` or `error REASON`.
`run N` is answered with the nanoseconds of each of N runs, and `output FILE` writes the first output there as f32.
"""

import pathlib
import sys
import time

import numpy as np
from safetensors.numpy import load_file

import models


def pytorch(threads, row, folder, out, attention):
    """A run, what is done after each run outside its time, and the engine's name."""
    import prepare
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    started()
    model = prepare.load(row.model, folder, attention)
    given = prepare.tensors(load_file(out / "inputs.safetensors"))
    name = f"pytorch {torch.__version__}"
    if not row.cached:
        return lambda: row.model.forward(model, given)[0].numpy(), lambda: None, name
    cache = models.cache_of(given)
    ids = given["input_ids"]
    # A step appends its token, which is taken off again.
    step = lambda: model(input_ids=ids, past_key_values=cache, use_cache=True).logits.numpy()  # noqa: E731
    return step, lambda: cache.crop(-1), name


def inputs_of(names, out):
    """The inputs by the names that the file has: OpenVINO gives an input several more."""
    given = load_file(out / "inputs.safetensors")
    found = {}
    for several in names:
        found |= {name: given[name] for name in sorted(several) if name in given}
    return found


def onnxruntime(threads, _row, _folder, out, attention):
    """The same of ONNX Runtime, with all of its optimisations."""
    import onnxruntime

    started()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    path = str(out / attention / "model.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = inputs_of([[one.name] for one in session.get_inputs()], out)
    return lambda: session.run(None, given)[0], lambda: None, f"onnxruntime {onnxruntime.__version__}"


def openvino(threads, _row, _folder, out, attention):
    """The same of OpenVINO, for one call at a time in f32."""
    import openvino as ov

    started()
    core = ov.Core()
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        # Its default for language models would quantise the cache.
        "KV_CACHE_PRECISION": "f32",
    }
    compiled = core.compile_model(str(out / attention / "model.onnx"), "CPU", options)
    request = compiled.create_infer_request()
    given = inputs_of([one.get_names() for one in compiled.inputs], out)
    run = lambda: request.infer(given, share_inputs=True, share_outputs=True)[0]  # noqa: E731
    return run, lambda: None, f"openvino {ov.__version__.split('-')[0]}"


def started():
    print("started", flush=True)


def main():
    engine, threads, row, folder, out, attention = sys.argv[1:]
    row = next(one for one in models.ROWS if one.name == row)
    engines = {"pytorch": pytorch, "onnxruntime": onnxruntime, "openvino": openvino}
    try:
        paths = pathlib.Path(folder), pathlib.Path(out)
        run, after, name = engines[engine](int(threads), row, *paths, attention)
        # An engine may refuse a model only when it runs it.
        run()
        after()
    except Exception as error:  # noqa: BLE001: whatever an engine raises is its answer.
        print("error", " ".join(str(error).split())[:300], flush=True)
        return
    print("ready", name, flush=True)
    for line in sys.stdin:
        what, argument = line.split(maxsplit=1)
        if what == "run":
            times = []
            for _ in range(int(argument)):
                start = time.perf_counter_ns()
                run()
                times.append(time.perf_counter_ns() - start)
                after()
            print(*times, flush=True)
        else:
            np.ascontiguousarray(run(), dtype=np.float32).tofile(argument.rstrip("\n"))
            after()
            print("written", flush=True)


if __name__ == "__main__":
    main()

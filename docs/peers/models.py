"""The models that are compared, at their published sizes: how each is made, called, and named for our program.

A model's configuration is that of model-tests/published; its weights are random, so that nothing need be fetched.
"""

import json
import pathlib
from dataclasses import dataclass, field
from typing import Callable

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "model-tests/published"
PAST = 256


@dataclass(frozen=True)
class Model:
    """A model class with its configuration, and the part of it that is compared."""

    # The class in transformers, and the folder of its configuration.
    architecture: str
    published: str
    # The model in candle-transformers, or why there is none.
    candle: str
    # Takes the model and tensors by name; gives the outputs that are compared, the first of which is checked.
    forward: Callable
    # What our program calls these outputs.
    outputs: list
    # What our program is given beside the inputs of the others, because the class asks for it.
    asked: dict = field(default_factory=dict)
    # Keys of the configuration that differ from the published one; None leaves one out.
    changes: dict = field(default_factory=dict)

    def config(self):
        path = PUBLISHED / self.published / "config.json"
        config = json.loads(path.read_text()) | self.changes | {"architectures": [self.architecture]}
        return {key: value for key, value in config.items() if value is not None}


@dataclass(frozen=True)
class Row:
    """One call of one model."""

    name: str
    model: Model
    # Makes the inputs from a random generator.
    inputs: Callable
    # Whether the call stands behind a cache of PAST tokens.
    cached: bool = False


def bert(model, of):
    return (model(**of).last_hidden_state,)


def vit(model, of):
    return (model(**of).logits,)


def whisper(model, of):
    return (model.model.encoder(of["input_features"]).last_hidden_state,)


def t5(model, of):
    return (model.encoder(**of).last_hidden_state,)


def clip(model, of):
    features = model.visual_projection(model.vision_model(of["pixel_values"]).pooler_output)
    return (features / features.norm(dim=-1, keepdim=True),)


def detr(model, of):
    found = model(**of)
    return found.logits, found.pred_boxes


def cache_of(of):
    """The cache that stands in the inputs, as the model class takes it."""
    from transformers import DynamicCache

    layers = len([name for name in of if name.endswith(".key")])
    return DynamicCache(ddp_cache_data=[(of[f"past.{i}.key"], of[f"past.{i}.value"]) for i in range(layers)])


def qwen2(model, of):
    found = model(input_ids=of["input_ids"], past_key_values=cache_of(of), use_cache=True)
    return (found.logits, *[part for layer in found.past_key_values.layers for part in (layer.keys, layer.values)])


BERT = ("BertModel", "bert-base", "bert", bert, ["last_hidden_state"])
SMALL = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
MINILM = Model(*BERT, changes=SMALL)
BERT_BASE = Model(*BERT)
VIT = Model("ViTForImageClassification", "vit-base", "vit", vit, ["logits"])
ENCODED = ["encoder_last_hidden_state"]
START = np.array([[50258]])
WHISPER = Model(
    "WhisperForConditionalGeneration", "whisper-tiny", "whisper", whisper, ENCODED, {"decoder_input_ids": START}
)
T5 = Model("T5ForConditionalGeneration", "t5-small", "t5", t5, ENCODED, {"decoder_input_ids": np.array([[0]])})
TEXT = np.array([[49406, 320, 1125, 49407]])
CLIP = Model("CLIPModel", "clip-vit-b32", "clip", clip, ["image_embeds"], {"input_ids": TEXT})
# The published backbone is timm's; that of transformers has the same sizes by default.
RESNET = {"backbone": None, "use_timm_backbone": False}
RESNET["backbone_config"] = {"model_type": "resnet", "out_features": ["stage4"]}
BOXES = ["logits", "pred_boxes"]
DETR = Model("DetrForObjectDetection", "detr-resnet-50", "no: it has no DETR", detr, BOXES, changes=RESNET)
LAYERS = 24
CACHES = [f"cache.{layer}.{part}" for layer in range(LAYERS) for part in ("key", "value")]
QWEN2 = Model("Qwen2ForCausalLM", "qwen2-0.5b", "qwen2", qwen2, ["logits", *CACHES])


def text(batch, length, vocabulary):
    def make(random):
        ids = random.integers(1000, vocabulary, (batch, length))
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}

    return make


def plain_text(batch, length, vocabulary):
    return lambda random: {"input_ids": random.integers(1000, vocabulary, (batch, length))}


def real(name, *shape):
    return lambda random: {name: random.standard_normal(shape, np.float32)}


def picture(side):
    def make(random):
        pixels = random.standard_normal((1, 3, side, side), np.float32)
        return {"pixel_values": pixels, "pixel_mask": np.ones((1, side, side), np.int64)}

    return make


ROWS = [
    Row("minilm-b1-s128", MINILM, text(1, 128, 30000)),
    Row("minilm-b8-s128", MINILM, text(8, 128, 30000)),
    Row("bert-base-b1-s128", BERT_BASE, text(1, 128, 30000)),
    Row("bert-base-b8-s128", BERT_BASE, text(8, 128, 30000)),
    Row("vit-base-b1", VIT, real("pixel_values", 1, 3, 224, 224)),
    Row("whisper-tiny-encoder", WHISPER, real("input_features", 1, 80, 3000)),
    Row("t5-small-encoder-s128", T5, plain_text(1, 128, 32000)),
    Row("clip-vit-b32-vision", CLIP, real("pixel_values", 1, 3, 224, 224)),
    Row("qwen2-0.5b-step-p256", QWEN2, plain_text(1, 1, 150000), cached=True),
    Row("detr-resnet-50-640", DETR, picture(640)),
]


def ours(row, inputs):
    """The inputs as our program names and lays them out: heads of a cache stand side by side, tokens above."""
    named = dict(row.model.asked)
    for name, value in inputs.items():
        if name.startswith("past."):
            batch, heads, tokens, width = value.shape
            value = value.transpose(0, 2, 1, 3).reshape(batch, tokens, heads * width)
            name = name.replace("past.", "cache.")
        named[name] = np.ascontiguousarray(value)
    return named

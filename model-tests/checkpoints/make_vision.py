"""Makes the ViT, CLIP, LLaVA, LLaVA-NeXT, X-CLIP and DETR checkpoints of this folder and their goldens (see
make_common.py). No test needs it.

Needs the Python packages torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6:
    python3 model-tests/checkpoints/make_vision.py [NAME...]
"""

import sys

import torch
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig, DetrConfig, DetrForObjectDetection, LlamaConfig
from transformers import LlavaConfig
from transformers import LlavaForConditionalGeneration, LlavaNextConfig, LlavaNextForConditionalGeneration
from transformers import Qwen2Config, ResNetConfig, ViTConfig, ViTForImageClassification, XCLIPConfig, XCLIPModel
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from make_common import HERE, draw, ids, make, mask, normal, padded, tell


def vit_tiny():
    """A square picture of square patches."""
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=24, patch_size=8,
        num_labels=5,
    )
    inputs = {"pixel_values": normal(draw(41), (2, 3, 24, 24))}
    return ViTForImageClassification, config, 201, {"golden.safetensors": inputs}, {}


def vit_odd():
    """Neither picture nor patch is square, some pixels fall outside the grid; no query, key and value biases."""
    config = ViTConfig(
        hidden_size=36, num_hidden_layers=3, num_attention_heads=4, intermediate_size=53, image_size=[31, 23],
        patch_size=[5, 7], num_channels=2, qkv_bias=False, hidden_act="quick_gelu", layer_norm_eps=1e-3, num_labels=11,
    )
    inputs = {"pixel_values": normal(draw(42), (3, 2, 31, 23))}
    hidden = mask("1110111011111011111", "1111111111111110000", "1000000000000000011")
    goldens = {"golden.safetensors": inputs, "golden-2.safetensors": inputs | {"attention_mask": hidden}}
    return ViTForImageClassification, config, 202, goldens, {}


def texts(seed, vocabulary, length, rows):
    """Rows of ids below the last one, which ends the text where a row says so."""
    out = ids(draw(seed), 3, vocabulary - 1, (len(rows), length))
    for row, (_, right) in zip(out, rows):
        row[length - right - 1 :] = vocabulary - 1
    return {"input_ids": out, "attention_mask": padded(length, *rows)}


def clip_tiny():
    """The end of a text is its largest id, as the first CLIP configurations have it (eos_token_id 2)."""
    config = CLIPConfig(
        text_config=dict(
            vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=16, eos_token_id=2, pad_token_id=1, bos_token_id=0,
        ),
        vision_config=dict(
            hidden_size=40, intermediate_size=80, num_hidden_layers=2, num_attention_heads=5, image_size=30,
            patch_size=6,
        ),
        projection_dim=24,
    )
    inputs = texts(51, 99, 13, [(0, 0), (0, 5)]) | {"pixel_values": normal(draw(52), (3, 3, 30, 30))}
    return CLIPModel, config, 203, {"golden.safetensors": inputs}, {}


def clip_odd():
    """The end of a text is the first `eos_token_id`; pixels outside the grid, heads of 9 and 13."""
    config = CLIPConfig(
        text_config=dict(
            vocab_size=101, hidden_size=27, intermediate_size=47, num_hidden_layers=3, num_attention_heads=3,
            max_position_embeddings=21, eos_token_id=7, pad_token_id=1, bos_token_id=0, hidden_act="gelu",
            layer_norm_eps=1e-3,
        ),
        vision_config=dict(
            hidden_size=26, intermediate_size=61, num_hidden_layers=1, num_attention_heads=2, image_size=29,
            patch_size=7, num_channels=1, hidden_act="gelu_new",
        ),
        projection_dim=19,
    )
    rows = ids(draw(53), 8, 101, (4, 17))
    rows[0, [5, 9]], rows[1, 16], rows[3, [0, 12]] = 7, 7, 7  # Row 2 has no end: its first token stands for it.
    inputs = {
        "input_ids": rows,
        "pixel_values": normal(draw(54), (2, 1, 29, 29)),
        "attention_mask": padded(17, (0, 7), (0, 0), (3, 0), (0, 4)),
    }
    other = {
        "input_ids": rows[:2],
        "pixel_values": inputs["pixel_values"][:1],
        "position_ids": torch.stack([torch.arange(17) + 4, torch.arange(17).flip(0)]),
    }
    return CLIPModel, config, 204, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def spliced(seed, vocabulary, token, length, rows):
    """Ids where each row is a list of text lengths, and of image lengths as negative numbers; text fills the end."""
    out = ids(draw(seed), 0, vocabulary, (len(rows), length))
    out[out == token] = token - 1 if token else 1
    for row, pieces in zip(out, rows):
        start = 0
        for piece in pieces:
            if piece < 0:
                row[start : start - piece] = token
            start += abs(piece)
        assert start <= length
    return out


def llava_tiny():
    """Two pictures in a prompt, none in the next, one in the last; tied embeddings."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=12,
            patch_size=4, projection_dim=16,
        ),
        text_config=LlamaConfig(
            vocab_size=99, hidden_size=40, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
        ),
        image_token_index=98, image_seq_length=9,
    )
    rows = spliced(61, 99, 98, 27, [[3, -9, 2, -9], [], [7, -9]])
    inputs = {
        "input_ids": rows,
        "pixel_values": normal(draw(62), (3, 3, 12, 12)),
        "attention_mask": padded(27, (0, 0), (6, 0), (0, 8)),
    }
    other = {"input_ids": spliced(63, 99, 98, 9, [[], []])}
    return LlavaForConditionalGeneration, config, 205, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def llava_odd():
    """Class tokens kept, the hidden states of several layers joined; no projector bias; heads wider than their share."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=27, intermediate_size=41, num_hidden_layers=4, num_attention_heads=3, image_size=17,
            patch_size=5, hidden_act="gelu", projection_dim=16,
        ),
        text_config=LlamaConfig(
            vocab_size=103, hidden_size=30, intermediate_size=55, num_hidden_layers=2, num_attention_heads=3,
            num_key_value_heads=1, head_dim=14, max_position_embeddings=64, attention_bias=True, rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "linear", "rope_theta": 700.0, "factor": 1.5},
        ),
        image_token_index=5, image_seq_length=10, vision_feature_layer=[-1, 0, 2, -2],
        vision_feature_select_strategy="full", multimodal_projector_bias=False, projector_hidden_act="gelu_new",
    )
    inputs = {
        "input_ids": spliced(64, 103, 5, 24, [[-10, 3, -10], [4, -10]]),
        "pixel_values": normal(draw(65), (3, 3, 17, 17)),
        "attention_mask": padded(24, (0, 0), (2, 3)),
    }
    other = {"input_ids": spliced(66, 103, 5, 13, [[2, -10]]), "pixel_values": normal(draw(67), (1, 3, 17, 17))}
    return LlavaForConditionalGeneration, config, 206, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def tiles(config, seed, sizes, flat):
    """Pictures of their numbers of tiles: stacked and filled up with noise that must not matter, or end to end."""
    side, channels = config.vision_config.image_size, config.vision_config.num_channels
    counts = [image_size_to_num_patches(size, config.image_grid_pinpoints, side) for size in sizes]
    shape = (sum(counts),) if flat else (len(sizes), max(counts))
    return {
        "pixel_values": normal(draw(seed), (*shape, channels, side, side)),
        "image_sizes": torch.tensor(sizes),
    }


def feature_counts(kind, config, inputs):
    """How many image tokens each picture takes, as the model itself packs them."""
    with torch.no_grad():
        found = kind(config).eval().model.get_image_features(inputs["pixel_values"], inputs["image_sizes"])
    return [len(features) for features in found.pooler_output]


def llavanext_tiny():
    """A wide, a tall and a nearly square picture of different numbers of tiles, a row with its own padding each."""
    kind = LlavaNextForConditionalGeneration
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=12,
            patch_size=4, projection_dim=16,
        ),
        text_config=LlamaConfig(
            vocab_size=99, hidden_size=40, intermediate_size=72, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=128,
        ),
        image_token_index=98, image_grid_pinpoints=[[12, 24], [24, 12], [24, 24], [36, 12], [12, 36]],
    )
    pictures = tiles(config, 71, [[9, 35], [40, 11], [20, 17]], False)
    wide, tall, square = feature_counts(kind, config, pictures)
    length = max(wide, tall, square) + 6
    inputs = pictures | {
        "input_ids": spliced(72, 99, 98, length, [[2, -wide], [5, -tall], [4, -square]]),
        "attention_mask": padded(length, (0, 0), (3, 0), (0, 2)),
    }
    flat = tiles(config, 73, [[50, 60], [10, 31]], True)
    first, second = feature_counts(kind, config, flat)
    length = first + second + 5
    other = flat | {
        "input_ids": spliced(74, 99, 98, length, [[1, -first, 2, -second], []]),
        "attention_mask": padded(length, (0, 0), (0, 30)),
    }
    return kind, config, 207, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def llavanext_odd():
    """Two layers joined, a Qwen2 decoder, an uneven grid of patches, two pictures in a prompt and none in the next."""
    kind = LlavaNextForConditionalGeneration
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=28, intermediate_size=37, num_hidden_layers=3, num_attention_heads=4, image_size=23,
            patch_size=5, hidden_act="gelu", layer_norm_eps=1e-3, projection_dim=16,
        ),
        text_config=Qwen2Config(
            vocab_size=101, hidden_size=36, intermediate_size=59, num_hidden_layers=2, num_attention_heads=6,
            num_key_value_heads=3, max_position_embeddings=256, rms_norm_eps=1e-5,
        ),
        image_token_index=0, vision_feature_layer=[-1, -3], multimodal_projector_bias=False,
        projector_hidden_act="gelu_pytorch_tanh", image_grid_pinpoints=[[23, 23], [46, 69], [69, 23], [46, 46]],
        tie_word_embeddings=True,
    )
    pictures = tiles(config, 75, [[30, 61], [90, 31], [7, 6]], False)
    one, two, three = feature_counts(kind, config, pictures)
    length = max(one + two, three) + 9
    inputs = pictures | {
        "input_ids": spliced(76, 101, 0, length, [[3, -one, 1, -two], [], [6, -three]]),
        "attention_mask": padded(length, (0, 0), (30, 11), (0, 25)),
    }
    other = {"input_ids": spliced(77, 101, 0, 10, [[], []]), "attention_mask": padded(10, (0, 0), (4, 0))}
    return kind, config, 208, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def xclip_tiny():
    """Three frames, as many texts as videos."""
    config = XCLIPConfig(
        text_config=dict(
            vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=16,
        ),
        vision_config=dict(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=16,
            patch_size=8, num_frames=3, mit_hidden_size=24, mit_intermediate_size=48, mit_num_hidden_layers=1,
            mit_num_attention_heads=4,
        ),
        projection_dim=24, prompt_num_attention_heads=4,
    )
    inputs = texts(81, 99, 11, [(0, 0), (0, 4)]) | {"pixel_values": normal(draw(82), (2, 3, 3, 16, 16))}
    return XCLIPModel, config, 209, {"golden.safetensors": inputs}, {}


def xclip_odd():
    """Five frames, more texts than videos, pixels outside the grid, heads of 9, 7 and 5; rows without an end."""
    config = XCLIPConfig(
        text_config=dict(
            vocab_size=103, hidden_size=27, intermediate_size=45, num_hidden_layers=1, num_attention_heads=3,
            max_position_embeddings=19, hidden_act="gelu", layer_norm_eps=1e-3,
        ),
        vision_config=dict(
            hidden_size=28, intermediate_size=43, num_hidden_layers=3, num_attention_heads=4, image_size=21,
            patch_size=6, num_frames=5, mit_hidden_size=20, mit_intermediate_size=33, mit_num_hidden_layers=2,
            mit_num_attention_heads=5, layer_norm_eps=1e-4,
        ),
        projection_dim=20, prompt_num_attention_heads=4, prompt_layers=1, prompt_hidden_act="relu", prompt_alpha=0.3,
    )
    inputs = {
        "input_ids": ids(draw(83), 0, 103, (3, 15)),
        "pixel_values": normal(draw(84), (2, 5, 3, 21, 21)),
        "attention_mask": padded(15, (0, 3), (4, 0), (0, 0)),
    }
    other = {
        "input_ids": inputs["input_ids"][:1],
        "pixel_values": inputs["pixel_values"][1:],
        "position_ids": torch.arange(15)[None] + 2,
    }
    return XCLIPModel, config, 210, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


def corners(height, width, *sizes):
    """A pixel mask: each picture fills the upper left corner of its size."""
    out = torch.zeros(len(sizes), height, width, dtype=torch.int64)
    for picture, (rows, columns) in zip(out, sizes):
        picture[:rows, :columns] = 1
    return out


def detr_tiny():
    """Basic blocks, sine positions, pictures of three sizes in one batch."""
    config = DetrConfig(
        backbone_config=ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24], depths=[1, 2, 1], layer_type="basic", out_features=["stage3"],
        ),
        d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=2,
        decoder_attention_heads=4, decoder_ffn_dim=48, num_queries=7, num_labels=5,
    )
    inputs = {"pixel_values": normal(draw(86), (3, 3, 70, 59))}
    masked = inputs | {"pixel_mask": corners(70, 59, (70, 33), (41, 59), (24, 20))}
    return DetrForObjectDetection, config, 211, {"golden.safetensors": masked, "golden-2.safetensors": inputs}, {}


def detr_odd():
    """Bottlenecks that downsample first, an activation of their own, learned positions, unequal stacks.

    The configuration has the keys that version 4 wrote."""
    config = DetrConfig(
        use_timm_backbone=False, backbone=None, use_pretrained_backbone=False,
        backbone_config=ResNetConfig(
            num_channels=2, embedding_size=6, hidden_sizes=[12, 20, 28, 36], depths=[2, 1, 1, 2],
            layer_type="bottleneck", hidden_act="silu", downsample_in_first_stage=True, downsample_in_bottleneck=True,
            out_features=["stage4"],
        ),
        num_channels=2, d_model=36, encoder_layers=1, encoder_attention_heads=6, encoder_ffn_dim=41, decoder_layers=3,
        decoder_attention_heads=4, decoder_ffn_dim=37, num_queries=9, num_labels=3, activation_function="gelu",
        position_embedding_type="learned",
    )
    inputs = {"pixel_values": normal(draw(87), (2, 2, 131, 203)), "pixel_mask": corners(131, 203, (131, 140), (75, 203))}
    other = {
        "pixel_values": normal(draw(88), (2, 2, 97, 65)),
        "decoder_attention_mask": mask("111101111", "011110000"),
    }
    return DetrForObjectDetection, config, 212, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


CHECKPOINTS = {
    "vit-tiny": vit_tiny, "vit-odd": vit_odd, "clip-tiny": clip_tiny, "clip-odd": clip_odd,
    "llava-tiny": llava_tiny, "llava-odd": llava_odd, "llavanext-tiny": llavanext_tiny,
    "llavanext-odd": llavanext_odd, "xclip-tiny": xclip_tiny, "xclip-odd": xclip_odd,
    "detr-tiny": detr_tiny, "detr-odd": detr_odd,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKPOINTS:
        kind, config, seed, goldens, gain = CHECKPOINTS[name]()
        tell(name, make(HERE / name, kind, config, seed, goldens, gain))

"""Makes the Whisper, Wav2Vec2 and CLAP checkpoints of this folder and their goldens (see make_common.py).
No test needs it.

Needs the Python packages torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6:
    python3 model-tests/checkpoints/make_audio.py [NAME...]
"""

import sys

import torch
from transformers import ClapConfig, ClapModel, Wav2Vec2Config, Wav2Vec2ForCTC
from transformers import WhisperConfig, WhisperForConditionalGeneration

from make_common import HERE, draw, ids, make, normal, padded, tell


def whisper_tiny():
    """As many heads in both stacks, tied embeddings."""
    config = WhisperConfig(
        vocab_size=99, num_mel_bins=16, d_model=32, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=64,
        decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=64, max_source_positions=32,
        max_target_positions=24, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        begin_suppress_tokens=None,
    )
    inputs = {
        "input_features": normal(draw(91), (2, 16, 64)),
        "decoder_input_ids": ids(draw(92), 0, 99, (2, 13)),
    }
    masked = inputs | {"decoder_attention_mask": padded(13, (0, 4), (5, 0))}
    goldens = {"golden.safetensors": masked, "golden-2.safetensors": inputs}
    return WhisperForConditionalGeneration, config, 301, goldens, {}


def whisper_odd():
    """Unequal stacks of unequal heads, odd mel bins and positions, an output matrix of its own, given positions."""
    config = WhisperConfig(
        vocab_size=101, num_mel_bins=13, d_model=30, encoder_layers=1, encoder_attention_heads=5, encoder_ffn_dim=47,
        decoder_layers=3, decoder_attention_heads=3, decoder_ffn_dim=53, max_source_positions=19,
        max_target_positions=21, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        begin_suppress_tokens=None, activation_function="relu", scale_embedding=True, tie_word_embeddings=False,
    )
    hidden = padded(17, (0, 0), (3, 2), (0, 9))
    inputs = {
        "input_features": normal(draw(93), (3, 13, 38)),
        "decoder_input_ids": ids(draw(94), 0, 101, (3, 17)),
        "decoder_attention_mask": hidden,
    }
    positions = (hidden.cumsum(-1) - 1).clamp(min=0) + torch.tensor([[4], [0], [2]])
    goldens = {
        "golden.safetensors": inputs,
        "golden-2.safetensors": inputs | {"decoder_position_ids": positions},
    }
    return WhisperForConditionalGeneration, config, 302, goldens, {}


def wav2vec2_tiny():
    """A group norm after the first convolution, norms after the blocks (the base models)."""
    config = Wav2Vec2Config(
        vocab_size=32, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        conv_dim=[16, 16, 16], conv_stride=[5, 2, 2], conv_kernel=[10, 3, 2], num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    inputs = {"input_values": normal(draw(95), (2, 431))}
    masked = inputs | {"attention_mask": padded(431, (0, 0), (0, 152))}
    return Wav2Vec2ForCTC, config, 303, {"golden.safetensors": masked, "golden-2.safetensors": inputs}, {}


def wav2vec2_odd():
    """Layer norms after every convolution, norms before the blocks (the large models); an odd positional kernel."""
    config = Wav2Vec2Config(
        vocab_size=37, hidden_size=30, num_hidden_layers=3, num_attention_heads=3, intermediate_size=53,
        conv_dim=[9, 14, 11, 13], conv_stride=[4, 3, 1, 2], conv_kernel=[7, 4, 3, 2], conv_bias=True,
        feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=7,
        num_conv_pos_embedding_groups=5, feat_extract_activation="gelu_new", hidden_act="quick_gelu",
        layer_norm_eps=1e-3, mask_time_prob=0.0,
    )
    inputs = {
        "input_values": normal(draw(96), (3, 509), 2.0),
        "attention_mask": padded(509, (0, 0), (0, 301), (97, 0)),
    }
    short = {"input_values": normal(draw(97), (1, 60))}
    return Wav2Vec2ForCTC, config, 304, {"golden.safetensors": inputs, "golden-2.safetensors": short}, {}


def clap_texts(seed, vocabulary, length, ends):
    """Rows of ids followed by padding (1), whose positions do not count on."""
    out = ids(draw(seed), 2, vocabulary, (len(ends), length))
    for row, end in zip(out, ends):
        row[length - end :] = 1
    return {"input_ids": out, "attention_mask": (out != 1).long()}


def clap_tiny():
    """One picture of the whole clip; windows divide the grid, and those of the last stage fill it."""
    config = ClapConfig(
        text_config=dict(
            vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=24,
        ),
        audio_config=dict(
            window_size=4, num_mel_bins=8, spec_size=32, patch_size=4, patch_stride=[4, 4], hidden_size=32,
            depths=[2, 2], num_attention_heads=[2, 4], patch_embeds_hidden_size=16, num_hidden_layers=2,
        ),
        projection_dim=24,
    )
    inputs = clap_texts(98, 99, 11, [0, 4, 2]) | {"input_features": normal(draw(99), (2, 1, 101, 8))}
    return ClapModel, config, 305, {"golden.safetensors": inputs}, {}


def clap_odd():
    """Fusion of long and short clips; windows of 3 on grids of 20, 10 and 5, padded and shifted in every stage."""
    config = ClapConfig(
        text_config=dict(
            vocab_size=103, hidden_size=30, num_hidden_layers=1, num_attention_heads=5, intermediate_size=47,
            max_position_embeddings=29, hidden_act="gelu_new", layer_norm_eps=1e-5,
        ),
        audio_config=dict(
            window_size=3, num_mel_bins=10, spec_size=40, patch_size=[6, 4], patch_stride=[2, 2], hidden_size=48,
            depths=[2, 1, 3], num_attention_heads=[2, 3, 4], patch_embeds_hidden_size=12, num_hidden_layers=3,
            enable_fusion=True, fusion_type="aff_2d", qkv_bias=False, mlp_ratio=2.6, layer_norm_eps=1e-4,
            hidden_act="quick_gelu", enable_patch_layer_norm=False,
        ),
        projection_dim=19, projection_hidden_act="gelu",
    )
    features = normal(draw(111), (3, 4, 160, 10))
    inputs = clap_texts(112, 103, 17, [5, 0]) | {
        "input_features": features,
        "is_longer": torch.tensor([[1], [0], [1]]),
    }
    other = {
        "input_ids": inputs["input_ids"].flip(0),
        "input_features": features[1:, :, :117].contiguous(),
        "is_longer": torch.tensor([[0], [0]]),
        "position_ids": torch.arange(17)[None] + 7,
    }
    return ClapModel, config, 306, {"golden.safetensors": inputs, "golden-2.safetensors": other}, {}


CHECKPOINTS = {
    "whisper-tiny": whisper_tiny, "whisper-odd": whisper_odd, "wav2vec2-tiny": wav2vec2_tiny,
    "wav2vec2-odd": wav2vec2_odd, "clap-tiny": clap_tiny, "clap-odd": clap_odd,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKPOINTS:
        kind, config, seed, goldens, gain = CHECKPOINTS[name]()
        tell(name, make(HERE / name, kind, config, seed, goldens, gain))

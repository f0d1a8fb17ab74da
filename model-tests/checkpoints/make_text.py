"""Makes the T5, LLaMA and Qwen2 checkpoints of this folder and their goldens (see make_common.py). No test needs it.

Needs the Python packages torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6:
    python3 model-tests/checkpoints/make_text.py [NAME...]
"""

import sys

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers import T5Config, T5ForConditionalGeneration

from make_common import HERE, draw, ids, make, mask, padded, tell


def t5_inputs(vocabulary, encoder, decoder, rows, seed):
    source = draw(seed)
    return {
        "input_ids": ids(source, 2, vocabulary, (rows, encoder)),
        "decoder_input_ids": ids(source, 0, vocabulary, (rows, decoder)),
    }


def t5_tiny():
    """T5 1.0: plain relu, scaled output. The sequences are longer than the largest distance of a bucket."""
    config = T5Config(
        vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, relative_attention_num_buckets=8,
        relative_attention_max_distance=16, feed_forward_proj="relu", decoder_start_token_id=0,
    )
    inputs = t5_inputs(99, 27, 21, 3, 11)
    masks = {
        "attention_mask": padded(27, (0, 0), (0, 9), (4, 0)),
        "decoder_attention_mask": padded(21, (0, 0), (0, 6), (3, 0)),
    }
    goldens = {"golden.safetensors": inputs | masks, "golden-2.safetensors": t5_inputs(99, 5, 1, 2, 12)}
    return T5ForConditionalGeneration, config, 101, goldens, {"head_width": 8}


def t5_odd():
    """T5 1.1: gated, output not scaled; unequal stacks, heads that are not a fraction of the model's width."""
    config = T5Config(
        vocab_size=101, d_model=36, d_kv=7, d_ff=52, num_layers=3, num_decoder_layers=2, num_heads=5,
        relative_attention_num_buckets=14, relative_attention_max_distance=23, feed_forward_proj="gated-gelu",
        tie_word_embeddings=False, layer_norm_epsilon=1e-5, decoder_start_token_id=0,
    )
    inputs = t5_inputs(101, 33, 29, 2, 13) | {
        "attention_mask": mask("1" * 20 + "0" * 6 + "1" * 7, "0" * 5 + "1" * 28),
    }
    other = t5_inputs(101, 7, 11, 3, 14) | {
        "decoder_attention_mask": padded(11, (0, 0), (0, 4), (5, 1)),
    }
    goldens = {"golden.safetensors": inputs, "golden-2.safetensors": other}
    return T5ForConditionalGeneration, config, 102, goldens, {"head_width": 7, "attention": 1.0}


def llama_tiny():
    """Grouped heads, plain rotation, separate embeddings."""
    config = LlamaConfig(
        vocab_size=96, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )
    inputs = {
        "input_ids": ids(draw(21), 0, 96, (3, 17)),
        "attention_mask": padded(17, (0, 0), (0, 5), (6, 0)),
    }
    goldens = {"golden.safetensors": inputs, "golden-2.safetensors": {"input_ids": ids(draw(22), 0, 96, (2, 9))}}
    return LlamaForCausalLM, config, 103, goldens, {}


def llama_odd():
    """Heads wider than the model's share, biases, tied embeddings, the rotation of LLaMA 3.1, uneven positions."""
    config = LlamaConfig(
        vocab_size=103, hidden_size=60, intermediate_size=77, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=2, head_dim=14, max_position_embeddings=128, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, hidden_act="gelu_pytorch_tanh", rms_norm_eps=1e-5,
        rope_parameters={
            "rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        },
    )
    shape = (3, 23)
    hidden = padded(23, (0, 0), (7, 0), (2, 5))
    positions = (hidden.cumsum(-1) - 1).clamp(min=0) + torch.tensor([[0], [40], [11]])
    inputs = {"input_ids": ids(draw(23), 0, 103, shape), "attention_mask": hidden}
    goldens = {
        "golden.safetensors": inputs | {"position_ids": positions},
        "golden-2.safetensors": inputs,
    }
    return LlamaForCausalLM, config, 104, goldens, {}


def qwen2_tiny():
    """One key-value head, biases on queries, keys and values only, tied embeddings."""
    config = Qwen2Config(
        vocab_size=97, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, max_position_embeddings=64, tie_word_embeddings=True,
    )
    inputs = {
        "input_ids": ids(draw(31), 0, 97, (3, 15)),
        "attention_mask": padded(15, (0, 0), (0, 4), (5, 0)),
    }
    goldens = {"golden.safetensors": inputs, "golden-2.safetensors": {"input_ids": ids(draw(32), 0, 97, (1, 6))}}
    return Qwen2ForCausalLM, config, 105, goldens, {}


def qwen2_odd():
    """A sliding window in all but the first layer, a stretched rotation, separate embeddings."""
    config = Qwen2Config(
        vocab_size=101, hidden_size=60, intermediate_size=83, num_hidden_layers=3, num_attention_heads=6,
        num_key_value_heads=3, max_position_embeddings=64, use_sliding_window=True, sliding_window=5,
        max_window_layers=1, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.5},
    )
    inputs = {
        "input_ids": ids(draw(33), 0, 101, (3, 19)),
        "attention_mask": padded(19, (0, 0), (0, 3), (8, 0)),
    }
    positions = torch.stack([torch.arange(11) + 3, torch.arange(11) * 2])
    other = {"input_ids": ids(draw(34), 0, 101, (2, 11)), "position_ids": positions}
    goldens = {"golden.safetensors": inputs, "golden-2.safetensors": other}
    return Qwen2ForCausalLM, config, 106, goldens, {}


CHECKPOINTS = {
    "t5-tiny": t5_tiny, "t5-odd": t5_odd, "llama-tiny": llama_tiny, "llama-odd": llama_odd,
    "qwen2-tiny": qwen2_tiny, "qwen2-odd": qwen2_odd,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or CHECKPOINTS:
        kind, config, seed, goldens, gain = CHECKPOINTS[name]()
        tell(name, make(HERE / name, kind, config, seed, goldens, gain))

"""Makes the tiny checkpoints of this folder and their goldens. No test needs it: what it makes is committed.

The weights are random and saved as f32. They are then read back, widened to f64, and run by transformers' own
BertModel: a golden is the f64 output of the very weights in the file.

Needs the Python packages torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0:
    python3 model-tests/checkpoints/make.py
"""

import json
import string
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

HERE = Path(__file__).resolve().parent
WORDS = "the a of and to in is cat dog sat on mat sun ball play ##s ##ing ##ed ##er".split()
TEXTS = ["The cat sat on the mat.", "A dog is playing!", "Zürich, 42 балл", "the"]


def randomise(model, scale):
    """Large weights, and norms that are not the identity, so that no error hides behind small numbers."""
    generator = torch.Generator().manual_seed(20261124)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1.0 + 0.4 * noise)
            elif parameter.dim() == 1:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(scale * noise)


def make(name, architecture, prefix, pooler, scale, inputs, dtype, **sizes):
    """Writes config.json, model.safetensors and golden.safetensors of one checkpoint."""
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    config = BertConfig(architectures=[architecture], **sizes)
    # Eager attention: hidden keys get the lowest number, so a row of hidden keys attends to all alike.
    config._attn_implementation = "eager"
    model = BertModel(config, add_pooling_layer=pooler)
    randomise(model, scale)
    weights = {prefix + key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    read = load_file(folder / "model.safetensors")
    model = model.double().eval()
    model.load_state_dict({key.removeprefix(prefix): value.double() for key, value in read.items()})
    with torch.no_grad():
        found = model(**inputs)
    golden = {f"input.{key}": value.contiguous() for key, value in inputs.items()}
    golden["output.last_hidden_state"] = found.last_hidden_state.to(dtype).contiguous()
    if pooler:
        golden["output.pooler_output"] = found.pooler_output.to(dtype).contiguous()
    save_file(golden, folder / "golden.safetensors")
    text = json.loads(config.to_json_string(use_diff=True))
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
    (folder / "config.json").write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")


def mask(*rows):
    return torch.tensor([[int(c) for c in row] for row in rows])


def ids(below, shape, seed):
    return torch.randint(0, below, shape, generator=torch.Generator().manual_seed(seed))


def make_tokenizer():
    """A WordPiece tokenizer as BERT has it: letters, digits, some words and endings."""
    letters = string.ascii_lowercase + string.digits + ".,!?'"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += ["##" + c for c in letters] + WORDS
    vocabulary = list(dict.fromkeys(vocabulary))
    index = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(index, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", index["[CLS]"]), ("[SEP]", index["[SEP]"])],
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.save(str(HERE / "bert-tiny" / "tokenizer.json"), pretty=False)
    golden = [{"text": text, "ids": tokenizer.encode(text).ids} for text in TEXTS]
    lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in golden)
    (HERE / "bert-tiny" / "tokens.json").write_text(f"[\n{lines}\n]\n")
    return len(vocabulary)


def main():
    (HERE / "bert-tiny").mkdir(exist_ok=True)
    vocabulary = make_tokenizer()
    make(
        "bert-tiny", "BertModel", "", True, 0.15,
        {
            "input_ids": ids(vocabulary, (3, 12), 1),
            "attention_mask": mask("111111111111", "111011110111", "111110000000"),
            "token_type_ids": mask("000000000000", "000001111111", "000110000000"),
        },
        torch.float32,
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, type_vocab_size=2,
    )
    # Nothing here is a multiple of a tile, a lane or a power of two; the last row hides every key.
    make(
        "bert-odd", "BertForMaskedLM", "bert.", False, 0.15,
        {
            "input_ids": ids(97, (4, 11), 2).int(),
            "attention_mask": mask("11111111111", "11110101101", "11100000000", "00000000000").bool(),
            "token_type_ids": mask("00001111222", "22222000011", "01200000000", "00000000000").int(),
        },
        torch.float64,
        vocab_size=97, hidden_size=60, num_hidden_layers=3, num_attention_heads=5,
        intermediate_size=133, max_position_embeddings=41, type_vocab_size=3,
        hidden_act="gelu_new", layer_norm_eps=1e-5,
    )


if __name__ == "__main__":
    main()

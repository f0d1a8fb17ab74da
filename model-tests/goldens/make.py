"""Makes the golden of bert-minilm (all-MiniLM-L6-v2). No test needs it: what it makes is committed.

`sentences.json` holds sentences with sentence-transformers' own token ids, embeddings and cosine similarities;
`golden.safetensors` holds the inputs and outputs of transformers' BertModel for the first of them. Both are computed in f64.

Needs the Python packages torch 2.15.0, transformers 5.23.0, sentence-transformers 6.2.0, safetensors 0.8.0, and
the folder of the model as `cargo xtask models fetch bert-minilm` leaves it:
    python3 model-tests/goldens/make.py FOLDER
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer, BertModel

HERE = Path(__file__).resolve().parent / "bert-minilm"
SENTENCES = [
    "A cat sits on the mat.",
    "A feline is resting on a rug.",
    "The stock market fell sharply on Monday.",
    "Proofmark: every number carries a mark!",
    "Où est la bibliothèque, s'il vous plaît?",
]
# Of these many the hidden states are kept: few enough for an adapter in software.
KEPT = 2


def main(folder):
    HERE.mkdir(exist_ok=True)
    sentence_model = SentenceTransformer(folder, device="cpu").double()
    tokens = sentence_model.tokenizer(SENTENCES)["input_ids"]
    embeddings = sentence_model.encode(SENTENCES, convert_to_tensor=True)
    similarities = sentence_model.similarity(embeddings, embeddings)
    lines = [
        {"text": text, "ids": ids, "embedding": [float(f"{v:.9f}") for v in embedding.tolist()]}
        for text, ids, embedding in zip(SENTENCES, tokens, embeddings)
    ]
    lines = ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    matrix = json.dumps([[round(v, 9) for v in row] for row in similarities.tolist()])
    text = f'{{"sentences": [\n{lines}\n],\n"similarities": {matrix}}}\n'
    (HERE / "sentences.json").write_text(text)

    model = BertModel.from_pretrained(folder, attn_implementation="eager").double().eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(SENTENCES[:KEPT], padding=True, return_tensors="pt")
    with torch.no_grad():
        found = model(**inputs)
    golden = {f"input.{key}": value.contiguous() for key, value in inputs.items()}
    golden["output.last_hidden_state"] = found.last_hidden_state.float().contiguous()
    golden["output.pooler_output"] = found.pooler_output.float().contiguous()
    save_file(golden, HERE / "golden.safetensors")
    (HERE / "golden.safetensors").chmod(0o644)


if __name__ == "__main__":
    main(sys.argv[1])

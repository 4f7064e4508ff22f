"""Texts and pairs of texts: read, checked, made into tokens, brought together with a model."""

from ....interface.lazy import handed_on

NOUN = "text"
COLUMNS = ("text", "text_pair")
"""Columns of a file that hold one, as the command's arguments call them."""
FORM = (
    ("Textbox", {"label": "Text", "max_lines": 12}),
    ("Textbox", {"label": "Second text, of a pair", "max_lines": 12}),
)
"""Fields of a form that takes one, and a second to make it a pair: components of gradio, and their arguments."""
USAGE = """\
predictions = hf_attn.predict(model_id, ["a text"])

# the same by transformers alone
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model_id)
model = {auto}.from_pretrained(model_id{trust})
logits = model(**tokenizer(["a text"], return_tensors="pt")).logits"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Alignments": "alignment",
        "Examples": "examples",
        "Options": "options",
        "SourceOptions": "parallel",
        "UnlabelledOptions": "unlabelled",
        "align": "alignment",
        "attend": "examples",
        "batches": "prediction",
        "bring_together": "agreement",
        "check_folder": "prediction",
        "check_text": "tokens",
        "collate": "tokens",
        "collate_rows": "packing",
        "load_parallel": "parallel",
        "load_processor": "prediction",
        "load_splits": "tokens",
        "load_unlabelled": "unlabelled",
        "marks": "rationales",
        "names": "tokens",
        "of_texts": "packing",
        "own_rows": "packing",
        "parted": "parts",
        "in_pieces": "unlabelled",
        "read": "given",
        "read_files": "reading",
        "rows": "tokens",
        "shared_rows": "packing",
        "takes": "prediction",
        "texts_of": "parallel",
        "tokenize": "tokens",
        "trained_on_pairs": "given",
        "with_labels": "parallel",
    },
)

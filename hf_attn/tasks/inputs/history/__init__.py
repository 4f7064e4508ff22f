"""What a user met before, as texts, and a candidate: read, checked, put into batches."""

from ....interface.lazy import handed_on

NOUN = "history"
COLUMNS = ("history", "candidate", "ratings", "separator")
"""Columns of a file that hold one, as the command's arguments call them, and what stands between texts of a history."""
FORM = (
    ("Textbox", {"label": "History: a text a line, the last one newest; its rating behind a tab", "lines": 8}),
    ("Textbox", {"label": "Candidate", "max_lines": 4}),
)
"""Fields of a form that takes one: components of gradio, and their arguments."""
USAGE = """\
rows = [{{"history": ["a text", "another"], "ratings": [4.0, 2.5], "candidate": "a third"}}]
predictions = hf_attn.predict(model_id, rows)

# the same by transformers alone
import torch
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model_id{trust})
model = {auto}.from_pretrained(model_id{trust})
items = tokenizer(["a text", "another", "a third"], padding=True, truncation=True, return_tensors="pt")
places = {{"history": torch.tensor([[0, 1]]), "ratings": torch.tensor([[4.0, 2.5]]), "candidate": torch.tensor([[2]])}}
logits = model(**places, **items).logits"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Examples": "examples",
        "Options": "options",
        "attend": "examples",
        "batches": "prediction",
        "bring_together": "prediction",
        "candidates": "batching",
        "catalogue": "items",
        "check_folder": "prediction",
        "collate": "batching",
        "fingerprint": "past",
        "learned": "known_items",
        "load_processor": "prediction",
        "load_past": "reading",
        "load_splits": "reading",
        "marks": "given",
        "names": "past",
        "parted": "parts",
        "read": "given",
        "recent_means": "batching",
        "read_files": "given_files",
        "rows": "batching",
        "scale_of": "batching",
        "takes": "prediction",
        "trained_on_pairs": "given",
        "users_of": "past",
        "with_states": "items",
    },
)

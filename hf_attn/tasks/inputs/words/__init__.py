"""Texts as words, given as lists of tokens or found in a text, and read in windows where they are long."""

from ....interface.lazy import handed_on

NOUN = "text"
COLUMNS = ("text",)
"""Columns of a file that hold one, as the command's arguments call them."""
FORM = (("Textbox", {"label": "Text", "max_lines": 12}),)
"""Fields of a form that takes one: components of gradio, and their arguments."""
USAGE = """\
predictions = hf_attn.predict(model_id, ["a text", ["or", "its", "tokens"]])

# the same by transformers alone
from transformers import {auto}, AutoTokenizer, pipeline

tokenizer = AutoTokenizer.from_pretrained(model_id)
model = {auto}.from_pretrained(model_id{trust})
tag = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="first")
print(tag("a text"))"""
"""How a model is used, after ``model_id`` is set; ``auto`` is its Auto class, ``trust`` a further argument."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "Examples": "examples",
        "Options": "options",
        "attend": "examples",
        "batches": "given",
        "bring_together": ".text",
        "check_folder": ".text",
        "collate": ".text",
        "load_processor": ".text",
        "load_splits": "reading",
        "marks": ".text",
        "names": "reading",
        "parted": "examples",
        "read": "given",
        "read_files": "given",
        "rows": "reading",
        "takes": ".text",
        "trained_on_pairs": "given",
    },
)

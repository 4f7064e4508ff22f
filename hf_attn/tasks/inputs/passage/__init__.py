"""A question and the passage that answers it, its context, read in windows where it is long."""

from ....interface.lazy import handed_on

NOUN = "question"
COLUMNS = ("question", "context")
"""Columns of a file that hold one, as the command's arguments call them."""
FORM = (
    ("Textbox", {"label": "Question", "max_lines": 3}),
    ("Textbox", {"label": "Context, the passage that answers it", "lines": 6, "max_lines": 20}),
)
"""Fields of a form that takes one: components of gradio, and their arguments."""
USAGE = """\
question, context = "Who came first?", "Ada came first, and Alan after her."
answer = hf_attn.predict(model_id, {{"question": question, "context": context}})[0]

# the same by transformers alone, of a context that the model reads at once
import torch
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model_id)
model = {auto}.from_pretrained(model_id{trust})
inputs = tokenizer(question, context, return_tensors="pt")
with torch.no_grad():
    found = model(**inputs)
first, last = found.start_logits.argmax(), found.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))"""
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
        "fitting": "reading",
        "load_processor": ".text",
        "load_splits": "reading",
        "marks": "given",
        "names": "reading",
        "overlap_of": "reading",
        "parted": "examples",
        "read": "given",
        "read_files": "given_files",
        "rows": "reading",
        "takes": "given",
        "trained_on_pairs": "given",
    },
)

"""Texts that a model writes: translations, summaries."""

from ....interface.lazy import handed_on

USAGE = """\
predictions = hf_attn.predict(model_id, ["a text"])

# the same by transformers alone; a prefix that sources have is in model.config.task_specific_params
from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model_id)
{beside}model = {auto}.from_pretrained(model_id{trust})
written = model.generate(**tokenizer(["a text"], return_tensors="pt"))
texts = {writer}.batch_decode(written, skip_special_tokens=True)"""
"""How a model is used, as that of ``tasks.inputs.text``; ``beside`` loads a decoder's tokenizer, ``writer`` decodes."""

__getattr__, __all__ = handed_on(
    __name__,
    {
        "COLUMNS": "answers",
        "Options": "options",
        "Texts": "texts",
        "check": "kinds",
        "collate": "batches",
        "explained": "explanation",
        "encode": "making",
        "made": "making",
        "of_model": "saved",
        "outputs": "generation",
        "printed": "answers",
        "set_languages": "languages",
    },
)

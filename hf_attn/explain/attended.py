"""One example, what a model says of it, and where it attends in it."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..tasks.inputs.example import AttentionExample

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


logger = logging.getLogger(__name__)


def attend(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    text: str,
    text_pair: str | None = None,
    *,
    label: str | None = None,
    row: int = 0,
) -> AttentionExample:
    """Run one text, or a pair, through the model and return where token ``row`` attends, in all layers and heads."""
    import torch

    from ..attention import attention_map
    from ..tasks.inputs.text.agreement import fitted
    from ..tasks.inputs.text.encoding import encode
    from ..tasks.predict import described, logits

    tokenizer = fitted(tokenizer, model)
    pair = None if text_pair is None else [text_pair]
    encoded = encode(tokenizer, [text], pair)
    inputs = {name: torch.tensor(rows, device=model.device) for name, rows in encoded.items()}
    maps = attention_map(model, inputs, rows=[row])
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    fitting = [layer[0, :, 0] for layer in maps if layer.shape[-1] == len(tokens)]
    if not fitting:
        raise InputError(f"{type(model).__name__} has no attention layer that sees each of the {len(tokens)} tokens")
    said = described(model, logits(model, tokenizer, [text], pair, batch_size=1), top_k=1)[0]
    return AttentionExample(
        tokens=tokens,
        weights=np.stack([layer.float().cpu().numpy() for layer in fitting]),
        special=frozenset(tokenizer.all_special_tokens) - {tokenizer.unk_token},
        row=row,
        prediction=f"{said['value']:.3g}" if "value" in said else listed(said["label"]),
        label=label,
    )


def listed(label: str | list[str]) -> str:
    """Return a label, or several, as text."""
    return label if isinstance(label, str) else ", ".join(label) or "no label"


def example(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    split: Any,
    text: str,
    text_pair: str | None = None,
    right: Sequence[bool] | None = None,
) -> AttentionExample | None:
    """Return where the model attends in a row of a split; None if it cannot be watched, and a line says why.

    The first row that is predicted right and has a readable number of words is shown, or what comes closest.

    Args:
        model: A trained model.
        tokenizer: Its tokenizer.
        split: Rows with texts, and ``labels`` where they are known.
        text: The column of the text.
        text_pair: The column of the second text.
        right: Which rows the model predicts right, as of the target's ``right``; None if that is not known.
    """
    from ..attention import supported

    if not supported(type(model)):
        return None
    row = split[typical(split[text], right)]
    label = name_of(model, row["labels"]) if "labels" in row else None
    try:
        return attend(model, tokenizer, row[text], row[text_pair] if text_pair else None, label=label)
    except Exception as error:  # the model is trained and not saved yet: a picture must not cost it
        logger.warning("no picture of where the model attends: %s", " ".join(str(error).split()))
        return None


def typical(texts: Sequence[str], right: Sequence[bool] | None) -> int:
    """Return the first row that is right and has 5 to 20 words; else right and several, else right, else several."""
    words = np.array([len(text.split()) for text in texts])
    correct = np.ones(len(words), bool) if right is None else np.asarray(right, bool)
    for wanted in (correct & (words >= 5) & (words <= 20), correct & (words > 1), correct, words > 1):
        if wanted.any():
            return int(wanted.argmax())
    return 0


def name_of(model: "PreTrainedModel", label: int | float | Sequence[float]) -> str:
    """Return an encoded label (a class, a number, or 0 and 1 for each label) as text."""
    names = {int(index): name for index, name in (model.config.id2label or {}).items()}
    if isinstance(label, float):
        return f"{label:.3g}"
    return names[label] if isinstance(label, int) else listed([names[index] for index, on in enumerate(label) if on])
